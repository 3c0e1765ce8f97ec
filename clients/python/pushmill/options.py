"""The command line of a worker, that of pushmill's own."""
import argparse
import os
import re

from .endpoints import Mistake, check

_UNITS = {"ms": 1e-3, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r" *(\d+(?:\.\d*)?|\.\d+)(ms|[smhd]?) *", re.ASCII | re.IGNORECASE)
MAX_SLOTS = 4096


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Mistake(f"{message}; see --help")


def duration(text):
    """Seconds of 10, 1.5s, 200ms, 5m or 1h30m."""
    total, rest = 0.0, text
    while rest or not text:
        part = _PART.match(rest)
        if not part or (not part[2] and part.end() < len(rest)):  # only the last number may go without
            raise argparse.ArgumentTypeError(f"bad duration '{text}': write it like 10, 1.5s, 200ms, 5m or 1h30m")
        total += float(part[1]) * _UNITS[part[2].lower()]
        rest = rest[part.end():]
    if total >= 1e9:
        raise argparse.ArgumentTypeError(f"duration '{text}' is too long")
    return total


def _slots(text):
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SLOTS):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 to {MAX_SLOTS}")
    return int(text)


def parse(name, arguments):
    """The options; Mistake if there is one."""
    parser = _Parser(name, usage=f"{name} --sink ENDPOINT [OPTIONS]", description="Serves calls of a run; any number of workers may come and go at any time.",
                     epilog="It leaves with status 0 when the run is complete.", allow_abbrev=False)
    parser.add_argument("--sink", metavar="ENDPOINT", help="where the sink listens: tcp://HOST:PORT or ipc://PATH")
    parser.add_argument("--listen", metavar="ENDPOINT", help="where to listen for jobs; default: a free port or path like the sink's")
    parser.add_argument("-j", "--jobs", metavar="N", type=_slots, default=len(os.sched_getaffinity(0)),
                        help="run N jobs at a time; default: one for each CPU that this process may use")
    parser.add_argument("--head-timeout", metavar="TIME", type=duration, default=60.0,
                        help="leave when nothing has been heard of the run for so long and nothing is held; default: 60s")
    parser.add_argument("--hold-timeout", metavar="TIME", type=duration, default=3600.0, help="hold results that nobody takes for so long; default: 1h")
    parser.add_argument("--insecure", action="store_true", help="allow tcp:// endpoints, through which others could run commands as you")
    options = parser.parse_args(arguments)
    if options.sink is None:
        raise Mistake("--sink is required; see --help")
    check(options.sink, False, options.insecure)
    if options.listen is not None:
        check(options.listen, True, options.insecure)
    return options
