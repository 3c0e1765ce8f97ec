"""Partitions between any two roles, one way and both ways, for longer than a lease: they heal by themselves, and nothing is lost.

Each role lives in a network namespace of its own, behind a bridge in a fourth; a packet filter in the namespaces drops what must not arrive. The namespaces
have no names and are gone with the processes that hold them. Needs root, ip and tc (iproute2) and nft (nftables).
"""
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import unittest

from support import LIBC, SLOWNESS, EndToEnd, Ring, query, wait_until

SKIPPED = 77
LEASE = 0.5 * SLOWNESS
JOBS = 60
ADDRESSES = {"ventilator": "10.77.0.1", "sink": "10.77.0.2", "worker": "10.77.0.3"}
PORT = 7000  # of the sink, in a network where nobody else is
CLONE_NEWNET = 0x40000000


class Network:
    """A namespace for each role, joined by a bridge."""

    def __init__(self):
        self.holders = {}
        for name in ("bridge", *ADDRESSES):
            # `cat` ends with its stdin, and so with this process whatever happens to it.
            holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            self.holders[name] = holder
            ours = os.stat("/proc/self/ns/net").st_ino
            wait_until(lambda: os.stat(f"/proc/{holder.pid}/ns/net").st_ino != ours, "a network namespace")
        self.do("bridge", "ip", "link", "add", "hub", "type", "bridge")
        self.do("bridge", "ip", "link", "set", "hub", "up")
        for name, address in ADDRESSES.items():
            self.do("bridge", "ip", "link", "add", f"to-{name[:4]}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holders[name].pid))
            self.do("bridge", "ip", "link", "set", f"to-{name[:4]}", "master", "hub", "up")
            self.do(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            self.do(name, "ip", "link", "set", "eth0", "up")
            self.do(name, "ip", "link", "set", "lo", "up")
            self.do(name, "nft", "add table ip cut; add chain ip cut from { type filter hook input priority 0; }")

    def do(self, name, *words):
        namespace = f"--net=/proc/{self.holders[name].pid}/ns/net"
        return subprocess.run(["nsenter", namespace, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def cut(self, sender, receiver):
        """Nothing of `sender` arrives at `receiver` any more; the sender hears nothing of that."""
        self.do(receiver, "nft", f"add rule ip cut from ip saddr {ADDRESSES[sender]} counter drop")

    def dropped(self):
        """How many packets were."""
        total = 0
        for name in ADDRESSES:
            total += sum(map(int, re.findall(r"packets (\d+)", self.do(name, "nft", "list ruleset"))))
        return total

    def slow_down(self, sender, rate):
        self.do(sender, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "32kb", "latency", "100ms")

    def heal(self):
        for name in ADDRESSES:
            self.do(name, "nft", "flush chain ip cut from")

    def enter(self, name):
        """For a child, between fork and exec."""
        descriptor = os.open(f"/proc/{self.holders[name].pid}/ns/net", os.O_RDONLY)
        if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError("cannot enter a network namespace")
        os.close(descriptor)

    def close(self):
        for holder in self.holders.values():
            holder.stdin.close()
            holder.wait()


class Partition(EndToEnd):
    def setUp(self):
        super().setUp()
        self.network = Network()
        self.addCleanup(self.network.close)

    def start(self, name, *words, **more):
        return super().start(name, *words, preexec=lambda: self.network.enter(name), **more)

    def ring(self, body):
        self.log, ring = self.journal(), Ring(self, "tcp")
        ring.endpoint = f"tcp://{ADDRESSES['sink']}:{PORT}"
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--durability", "process", "--heartbeat", f"{LEASE / 5}s", "--lease", f"{LEASE}s", self.log.job(body), records=range(JOBS))
        ring.start_worker("-j2")
        return ring

    def partition(self, *cuts, leases=4):
        """A run whose network is cut so in its midst, for `leases`. Some jobs end meanwhile, two run on over it."""
        wait, go = self.gate()
        ring = self.ring(f"[ {{}} -lt 20 -o {{}} -gt 21 ] || {{ {wait}; }}; sleep 0.02")
        wait_until(lambda: {21, 22} <= self.log.running(), "two jobs that wait")
        for sender, receiver in cuts:
            self.network.cut(sender, receiver)
        time.sleep(leases / 2 * LEASE)  # what is tested is that this time goes by
        go()
        time.sleep(leases / 2 * LEASE)
        self.assertGreater(self.network.dropped(), 0)
        self.network.heal()
        ring.wait()
        self.assert_all_ok(ring.run, JOBS, self.log)
        if any(set(cut) == {"sink", "worker"} for cut in cuts):
            return
        # The sink heard the worker all the time: it gave up nothing that ran. (What was on its way to the worker for longer than a lease it did, unstarted.)
        self.assertEqual(self.log.starts(), {job: 1 for job in range(1, JOBS + 1)})
        self.assertEqual(query(ring.run, "SELECT job, outcome FROM attempts WHERE job IN (21, 22)"), [])

    def test_inputs_go_on_over_a_partition(self):
        given = os.urandom(20 << 20).replace(b"\n", b"x") + b"\n"
        ring = Ring(self, "tcp")
        ring.endpoint = f"tcp://{ADDRESSES['sink']}:{PORT}"
        ring.start_sink("-k", "--durability", "process")
        self.network.slow_down("ventilator", "80mbit")
        ring.start_ventilator("--durability", "process", "--heartbeat", f"{LEASE / 5}s", "--lease", f"{LEASE}s", "--pipe", "--recend", "", "--block", "5M", "cat", records=given)
        ring.start_worker("-j1")
        wait_until(lambda: (ring.run / "inputs" / "4").exists(), "all blocks")
        self.network.cut("ventilator", "worker")
        time.sleep(2 * LEASE)  # what is tested is that this time goes by
        self.assertGreater(self.network.dropped(), 0)
        self.network.heal()
        ring.wait()
        self.assertTrue(ring.sink.out == given, "another byte")

    def test_inputs_on_a_slow_line_do_not_make_its_worker_a_silent_one(self):
        self.network.slow_down("ventilator", "2mbit")
        ring = Ring(self, "tcp")
        ring.endpoint = f"tcp://{ADDRESSES['sink']}:{PORT}"
        ring.start_sink("--durability", "process")
        ring.start_ventilator("--durability", "process", "--pipe", "--recend", "", "--block", "1M", "wc -c", records=b"x" * (2 << 20))
        ring.start_worker("-j1")
        ring.wait()
        self.assert_all_ok(ring.run, 2)
        self.assertEqual(query(ring.run, "SELECT job, outcome FROM attempts"), [])

    def test_ventilator_to_sink(self):
        self.partition(("ventilator", "sink"))

    def test_sink_to_ventilator(self):
        self.partition(("sink", "ventilator"))

    def test_ventilator_and_sink(self):
        self.partition(("ventilator", "sink"), ("sink", "ventilator"))

    def test_worker_to_sink(self):
        self.partition(("worker", "sink"))

    def test_sink_to_worker(self):
        self.partition(("sink", "worker"))

    def test_worker_and_sink(self):
        self.partition(("worker", "sink"), ("sink", "worker"))

    def test_ventilator_to_worker(self):
        self.partition(("ventilator", "worker"))

    def test_worker_to_ventilator(self):
        self.partition(("worker", "ventilator"))

    def test_ventilator_and_worker(self):
        self.partition(("ventilator", "worker"), ("worker", "ventilator"))

    def test_all_from_all(self):
        self.partition(*itertools.permutations(ADDRESSES, 2))


if __name__ == "__main__":
    missing = [word for word in ("ip", "nft", "nsenter", "tc", "unshare") if not shutil.which(word)]
    if os.geteuid() != 0 or missing:
        print("skipped: " + ("network namespaces need root" if os.geteuid() != 0 else f"not installed: {' '.join(missing)}; see scripts/setup"))
        sys.exit(SKIPPED)
    unittest.main()
