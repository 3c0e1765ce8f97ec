#!/usr/bin/python3
"""Squares numbers for a run:

    pip install ./clients/python
    pushmill sink --listen ipc:///tmp/squares --run-dir run &
    seq 10 | pushmill ventilator --sink ipc:///tmp/squares --run-dir run --call square &
    examples/square_worker.py --sink ipc:///tmp/squares
"""
from pushmill import worker


@worker.handler("square", version=1)
def square(line):
    return int(line) ** 2


if __name__ == "__main__":
    worker.main()
