"""Endpoints: ipc, tcp with --insecure, and what is refused."""
import socket
import unittest

from support import EndToEnd, Ring, SLOWNESS, USAGE, wait_until


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


class Transports(EndToEnd):
    def run_over(self, transport, **more):
        journal, ring = self.journal(), Ring(self, transport)
        for name, value in more.items():
            setattr(ring, name, value)
        ring.start(journal.job("echo {}"), records=range(40))
        ring.wait()
        self.assert_all_ok(ring.run, 40, journal)
        self.assertEqual(sorted(map(int, ring.sink.out.split())), list(range(40)))
        self.assertEqual(journal.starts(), {job: 1 for job in range(1, 41)})

    def test_ipc(self):
        self.run_over("ipc")

    def test_tcp(self):
        self.run_over("tcp")

    def test_tcp_by_name(self):
        self.run_over("tcp", endpoint="tcp://localhost:*")

    @unittest.skipUnless(has_ipv6(), "no IPv6 here")
    def test_tcp_over_ipv6(self):
        self.run_over("tcp", endpoint="tcp://[::1]:*")

    def test_workers_over_several_transports_at_once(self):
        ring = Ring(self)
        sink = self.start("sink", "--insecure", "--listen", ring.endpoint, "--listen", "tcp://127.0.0.1:*", "--listen", f"ipc://{self.path}/third", "--run-dir", ring.run)
        wait_until(lambda: sink.err.count("listening on") == 3, "three endpoints")
        endpoints = [line.split()[-1] for line in sink.err.splitlines()]
        # Each of the three jobs waits for the other two, and each worker has one slot.
        meet = "touch on-{}; while [ $(ls on-* | wc -l) -lt 3 ]; do sleep 0.02; done"
        ventilator = self.start("ventilator", "--insecure", "--sink", endpoints[1], "--run-dir", ring.run, *Ring.QUICK, meet, stdin=["1", "2", "3"])
        workers = [self.start("worker", "--insecure", "--sink", endpoint, "-j1") for endpoint in endpoints]
        for program in (sink, ventilator, *workers):
            program.wait(0)
        self.assert_all_ok(ring.run, 3)

    def test_a_sink_that_listens_everywhere(self):
        sink = self.start("sink", "--insecure", "--listen", "tcp://*:*", "--run-dir", "r")
        sink.wait_for("listening on")
        port = sink.err.split(":")[-1].strip()
        ventilator = self.start("ventilator", "--insecure", "--sink", f"tcp://127.0.0.1:{port}", "--run-dir", "r", *Ring.QUICK, "echo", stdin=["1"])
        worker = self.start("worker", "--insecure", "--sink", f"tcp://127.0.0.1:{port}", "--listen", "tcp://0.0.0.0:*")
        for program in sink, ventilator, worker:
            program.wait(0)
        self.assertEqual(sink.out, b"1\n")

    def test_the_front_runs_the_roles(self):
        ring = Ring(self)
        roles = [self.start("pushmill", "sink", "--listen", ring.endpoint, "--run-dir", ring.run),
                 self.start("pushmill", "ventilator", "--sink", ring.endpoint, "--run-dir", ring.run, *Ring.QUICK, "echo", "{#}", stdin=["x"]),
                 self.start("pushmill", "worker", "--sink", ring.endpoint)]
        for program in roles:
            program.wait(0)
        self.assertEqual(roles[0].out, b"1\n")


class Refusals(EndToEnd):
    def refuse(self, name, *words, said):
        program = self.start(name, *words, stdin=["a"])
        program.wait(USAGE, 5 * SLOWNESS)
        self.assertIn(said, program.err)
        self.assertEqual(program.err.count("\n"), 1, program.err)
        self.assertFalse((self.path / "r").exists(), "nothing is begun")

    def test_tcp_needs_insecure_on_loopback_too(self):
        for endpoint in "tcp://127.0.0.1:5000", "tcp://localhost:5000", "tcp://10.0.0.1:5000":
            said = f"refusing {endpoint}: "
            self.refuse("sink", "--listen", endpoint, "--run-dir", "r", said=said)
            self.refuse("ventilator", "--sink", endpoint, "--run-dir", "r", "echo", said=said)
            self.refuse("worker", "--sink", endpoint, said="run commands as you")
        self.refuse("sink", "--listen", f"ipc://{self.path}/s", "--listen", "tcp://127.0.0.1:*", "--run-dir", "r", said="--insecure")
        self.refuse("worker", "--sink", f"ipc://{self.path}/s", "--listen", "tcp://127.0.0.1:*", said="every user of this host")
        self.refuse("ventilator", "--sink", f"ipc://{self.path}/s", "--listen", "tcp://127.0.0.1:*", "--run-dir", "r", "echo", said="--insecure")

    def test_bad_endpoints(self):
        for endpoint in "127.0.0.1:5000", "tcp://127.0.0.1", "tcp://:5000", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:x", "ipc://", "udp://127.0.0.1:1", "ipc://@x":
            self.refuse("sink", "--insecure", "--listen", endpoint, "--run-dir", "r", said=endpoint)
            self.refuse("worker", "--insecure", "--sink", endpoint, said=endpoint)
        self.refuse("worker", "--insecure", "--sink", "tcp://*:5000", said="not one to connect to")
        self.refuse("sink", "--listen", f"ipc://{self.path}/{'x' * 120}", "--run-dir", "r", said="bytes long")

    def test_inproc_is_for_threads(self):
        for name, words in (("sink", ["--listen", "inproc://x", "--run-dir", "r"]), ("worker", ["--sink", "inproc://x", "--head-timeout", "1s"])):
            self.refuse(name, *words, said="inproc://x")

    def test_a_port_that_is_taken_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            program = self.start("sink", "--insecure", "--listen", endpoint, "--run-dir", "r")
            self.assertNotEqual(program.wait(), 0)
            self.assertIn(endpoint, program.err)


if __name__ == "__main__":
    unittest.main()
