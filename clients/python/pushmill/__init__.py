"""A worker that serves the calls of a pushmill run with functions of Python.

    from pushmill import worker

    @worker.handler("square", version=1)
    def square(x):
        return int(x) ** 2

    if __name__ == "__main__":
        worker.main()
"""
from .program import Worker

__all__ = ["Worker", "worker"]

worker = Worker()
