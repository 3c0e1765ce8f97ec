"""Somebody else answers at the sink's port: both roles say so, try for ever, and go on when the sink is there, without a restart."""
import contextlib
import fcntl
import os
import socket
import struct
import threading
import unittest

import zmq

from support import EndToEnd, LIBC, Ring

CLONE_NEWNET = 0x40000000
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server:
    """A server on a port of 127.0.0.1 that answers whatever it is told with `words`, and hangs up."""

    def __init__(self, words):
        self.words, self.listener = words, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                with connection, contextlib.suppress(OSError):
                    connection.recv(100)
                    connection.sendall(self.words)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class ZeroMQServer:
    """A ZeroMQ socket that is not what a sink has, or asks for keys or a password."""

    def __init__(self, kind, **options):
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")

    def close(self):
        self.context.destroy(linger=0)


def curve():
    public, secret = zmq.curve_keypair()
    return ZeroMQServer(zmq.PULL, curve_publickey=public, curve_secretkey=secret, curve_server=1)


class Strangers(EndToEnd):
    def start_without_sink(self, ring, said):
        """Ventilator and worker, until both have said what stands in their way."""
        ring.start_ventilator(*Ring.QUICK, "echo", records=range(20))
        ring.start_worker()
        for role in ring.ventilator, ring.workers[0]:
            role.wait_for(f"waiting for the sink at {ring.endpoint}")
            role.wait_for(said)

    def ring(self, port):
        ring = Ring(self, "tcp")
        ring.endpoint = f"tcp://127.0.0.1:{port}"
        return ring

    def give_way(self, server, said="does not speak this protocol"):
        ring = self.ring(server.port)
        try:
            self.start_without_sink(ring, said)
        finally:
            server.close()
        ring.start_sink()
        ring.wait()
        self.assert_all_ok(ring.run, 20)

    def test_a_web_server(self):
        self.give_way(Server(HTTP))

    def test_a_server_that_hangs_up(self):
        self.give_way(Server(b""))

    def test_a_server_with_keys(self):
        self.give_way(curve())

    def test_a_server_with_passwords(self):
        self.give_way(ZeroMQServer(zmq.PULL, plain_server=1))

    def test_a_socket_of_another_kind(self):
        self.give_way(ZeroMQServer(zmq.REP))

    def test_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ring = self.ring(free.getsockname()[1])
        self.start_without_sink(ring, "nobody answers there")
        ring.start_sink()
        ring.wait()

    @unittest.skipIf(os.geteuid() != 0, "only root has networks of its own")
    def test_a_link_that_meets_itself(self):
        for first in "ventilator", "worker":
            with self.subTest(first=first):
                self.enter_a_network_of_its_own()
                self.give_out_ports("40000 40000")
                ring = Ring(self, "tcp", name=first)
                ring.endpoint, ring.input = "tcp://127.0.0.1:40000", list(range(20))
                ring.ventilator_options = [*Ring.QUICK, "--listen", "tcp://127.0.0.1:30001", "echo"]
                start = {"ventilator": ring.start_ventilator, "worker": lambda: ring.start_worker("--listen", "tcp://127.0.0.1:30002")}
                start.pop(first)().wait_for("met itself")
                self.give_out_ports("41000 41100")
                start.popitem()[1]()
                ring.start_sink()  # whose port the link has been holding
                ring.wait()
                self.assert_all_ok(ring.run, 20)

    def give_out_ports(self, ports):
        with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
            file.write(ports)

    def enter_a_network_of_its_own(self):
        """With a loopback of its own; what is started from now on is in it as well."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        if LIBC.unshare(CLONE_NEWNET) != 0:
            os.close(before)
            self.skipTest("no network of one's own here")
        self.addCleanup(lambda: (LIBC.setns(before, CLONE_NEWNET), os.close(before)))
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running


if __name__ == "__main__":
    unittest.main()
