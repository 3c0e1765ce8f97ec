"""Many at once, and few descriptors: strangers that connect and say nothing, more workers than there is room for, and a thousand within a second."""
import contextlib
import resource
import socket
import time
import unittest

from support import EndToEnd, Ring, SLOWNESS, is_finished, processor_time, query, wait_until

FEW = 64  # descriptors, the fewest that pushmill starts with
ROOM = 12  # workers with so many
MANY = 1000 // SLOWNESS


class FewDescriptors(EndToEnd):
    def start_head(self, transport, *command, records):
        """With few descriptors, and outputs that are too large to be kept elsewhere than in files."""
        ring, start = Ring(self, transport), self.start
        self.start = lambda *words, **more: start(*words, **more, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW)))
        ring.start_sink("--durability", "process")
        ring.start_ventilator(*Ring.QUICK, "--durability", "process", *command, records=records)
        self.start = start
        return ring

    def crowd(self, ring, count):
        """Connections to the sink that say nothing. Those that are not taken now wait in the kernel, or are turned away."""
        opened = []
        for _ in range(count):
            connection = socket.socket(socket.AF_UNIX if ring.endpoint.startswith("ipc") else socket.AF_INET)
            connection.setblocking(False)
            opened.append(connection)
            self.addCleanup(connection.close)
            address = ring.endpoint.partition("://")[2]
            with contextlib.suppress(BlockingIOError, ConnectionError):
                connection.connect(address if ring.endpoint.startswith("ipc") else ("127.0.0.1", int(address.rpartition(":")[2])))
        return opened

    def outlive(self, transport):
        wait, go = self.gate()
        ring = self.start_head(transport, f"{wait}; head -c 100000 /dev/zero #", records=range(12))
        ring.start_worker("-j2")
        ring.sink.wait_for("listening")
        wait_until(lambda: query(ring.run, "SELECT 1 FROM meta WHERE key = 'run'"), "the run")
        crowd = self.crowd(ring, 2000)
        before, begun = processor_time(ring.sink.pid), time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 2, "some time to pass")
        spent, passed = processor_time(ring.sink.pid) - before, time.monotonic() - begun
        self.assertLess(spent / passed, 0.5 * SLOWNESS, "the sink spins")
        go()
        wait_until(is_finished(ring.run, 12), "the jobs of the worker that had joined before")
        for connection in crowd:
            connection.close()
        ring.wait()
        self.assert_all_ok(ring.run, 12)
        self.assertEqual(len(ring.sink.out), 12 * 100000)

    def test_thousands_of_silent_connections_over_tcp(self):
        self.outlive("tcp")

    def test_thousands_of_silent_connections_over_ipc(self):
        self.outlive("ipc")

    def test_a_worker_joins_when_a_silent_crowd_has_left(self):
        ring = self.start_head("tcp", "echo", records=range(12))
        crowd = self.crowd(ring, 500)
        worker = ring.start_worker("-j2")
        worker.wait_for("waiting for the sink")
        for connection in crowd:
            connection.close()
        ring.wait()
        self.assert_all_ok(ring.run, 12)

    def test_workers_beyond_the_room_are_told_so_and_join_when_others_leave(self):
        journal = self.journal()
        wait, go = self.gate()
        ring = self.start_head("tcp", journal.job(wait), records=range(2 * ROOM))
        said = f"waiting for room: this run has room for {ROOM} workers; raise the limit of open files (ulimit -n) of its sink and ventilator"
        for _ in range(ROOM + 3):
            ring.start_worker("-j1")
        wait_until(lambda: sum(said in worker.err for worker in ring.workers) == 3, "three that are refused")
        wait_until(lambda: journal.starts().total() == ROOM, "a job in each of the others")
        for worker in [worker for worker in ring.workers if said not in worker.err][:3]:
            ring.workers.remove(worker)
            worker.stop()
        wait_until(lambda: journal.starts().total() == ROOM + 3, "their jobs, in those who waited")
        go()
        ring.wait()
        self.assert_all_ok(ring.run, 2 * ROOM)
        self.assertEqual(query(ring.run, "SELECT count(DISTINCT worker) FROM results"), [(ROOM,)])


class ManyWorkers(EndToEnd):
    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20 * MANY, f"the hard limit of open files is too low for {MANY} workers in one process")
    def test_a_thousand_workers_join_within_a_second(self):
        ring = Ring(self, "tcp")
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--durability", "process", "--call", "echo", records=range(3 * MANY))
        crowd = self.start("many_workers", ring.endpoint, str(MANY))
        ring.wait()
        crowd.wait(0)
        self.assert_all_ok(ring.run, 3 * MANY)


if __name__ == "__main__":
    unittest.main()
