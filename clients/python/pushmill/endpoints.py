"""Endpoints: what a user may write, and where this worker is reached."""
import ipaddress
import os
import secrets
import socket

MAX_IPC_PATH = 107


class Mistake(Exception):
    """Of the user's: one line."""


class CannotListen(Exception):
    """One line, as well."""


def check(text, listens, is_insecure_allowed):
    """Mistake if `text` is no endpoint to listen on, or to connect to."""
    def require(condition, why):
        if not condition:
            raise Mistake(f"bad endpoint '{text}': {why}")
    if text.startswith("inproc://"):
        raise Mistake(f"{text} is for the threads of one process; programs meet at ipc:// or tcp://")
    require(text.startswith(("tcp://", "ipc://")), "it must begin with tcp:// or ipc://")
    if text.startswith("ipc://"):
        path = text[6:]
        require(path and not path.endswith("/"), "the name of the socket file is missing; write ipc:///PATH")
        require(not path.startswith("@"), "abstract sockets have no permissions; write ipc:///PATH")
        require(listens or not path.endswith("/*"), "'*' is a place to listen on, not one to connect to")
        size = len(os.fsencode(os.path.abspath(path)))
        require(size <= MAX_IPC_PATH, f"the path is {size} bytes long, and a socket's may have {MAX_IPC_PATH}; choose a shorter directory")
        return
    host, colon, port = text[6:].rpartition(":")
    require(colon and port, "the port is missing; write tcp://HOST:PORT")
    require(host, "the host is missing; write tcp://HOST:PORT")
    require(listens or host != "*", "'*' is a place to listen on, not one to connect to")
    require(":" not in host or (host[0] == "[" and host[-1] == "]"), "write an IPv6 address in brackets: tcp://[::1]:PORT")
    require(not set(host) & set(";@/ \t\n"), "the host has characters that no host name has")
    require(port == "*" or (port.isascii() and port.isdigit() and int(port) <= 65535), "the port is not a number from 1 to 65535")
    require(listens or (port != "*" and int(port) > 0), "the port to connect to must be a number from 1 to 65535")
    if not is_insecure_allowed:
        raise Mistake(f"refusing {text}: whoever can connect to it, every user of this host included, could run commands as you; use an ipc:// endpoint, "
                      "or add --insecure if nobody else can reach it")


def to_bind(listen, sink, directory):
    """What to bind: `listen`, or if that is None a free place like the sink's. `directory`: for a socket of ipc."""
    if listen is None:
        listen = f"ipc://{directory}/*" if sink.startswith("ipc://") else f"tcp://{_address_towards(sink)}:*"
    if listen.startswith("ipc://"):
        path = os.path.abspath(listen[6:])
        return f"ipc://{path[:-1]}{secrets.token_hex(6)}" if path.endswith("/*") else f"ipc://{path}"
    host, _, port = listen[6:].rpartition(":")
    return f"tcp://{_numeric(host)}:{'*' if port == '0' else port}"


def reachable(bound, sink):
    """Under which the ventilator reaches what is bound there."""
    host, _, port = bound[6:].rpartition(":")
    if not bound.startswith("tcp://") or host not in ("0.0.0.0", "[::]", "*"):
        return bound
    here = _address_towards(sink) if sink.startswith("tcp://") else "127.0.0.1"
    return f"tcp://{here}:{port}"


def is_ipv6(endpoint):
    return endpoint.startswith("tcp://[")


def _numeric(host):
    """ZeroMQ binds to addresses and interfaces, not to names."""
    if host == "*" or host.startswith("[") or host in [name for _, name in socket.if_nameindex()]:
        return host
    return _resolve(host, socket.AF_INET)[0]


def _resolve(host, family):
    try:
        return socket.getaddrinfo(host, 9, family, socket.SOCK_DGRAM)[0][4]
    except OSError as error:
        raise OSError(f"cannot find host '{host}': {error.strerror}") from None


def _address_towards(sink):
    """Connecting a datagram socket sends nothing, but makes the kernel choose the way and with it our address."""
    host = sink[6:].rpartition(":")[0]
    family, name = (socket.AF_INET6, host[1:-1]) if host.startswith("[") else (socket.AF_INET, host)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        there = _resolve(name, family)
        try:
            probe.connect(there)
        except OSError as error:
            raise OSError(f"cannot find the way to host '{host}': {error.strerror}") from None
        address = probe.getsockname()[0]
    return f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
