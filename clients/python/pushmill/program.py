"""Worker: the handlers of a script, and its command line."""
import os
import sys

from . import options
from .codec import MAX_TEXT
from .endpoints import CannotListen, Mistake
from .shell import Shell

_USAGE, _OTHER = 102, 255  # exit statuses


class Worker:
    def __init__(self):
        self._handlers, self._mistake = {}, None

    def handler(self, name, version=1):
        """Serves calls of `name` and `version` with the function below: it takes the arguments, one value of msgpack, and returns another."""
        def register(function):
            self._mistake = self._mistake or self._mistake_in(name, version, function)
            self._handlers[name, version] = function
            return function
        return register

    def _mistake_in(self, name, version, function):
        """Told by main(), where it is one line and a status."""
        if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= MAX_TEXT:
            return f"a handler's name has 1 to {MAX_TEXT} bytes, and is not {name!r}"
        if type(version) is not int or not 0 <= version < 2**32:
            return f"handler '{name}': a version is a whole number from 0 to 4294967295, and not {version!r}"
        if not callable(function):
            return f"handler '{name}': {function!r} cannot be called"
        if (name, version) in self._handlers:
            return f"version {version} of handler '{name}' is registered twice: {_place(self._handlers[name, version])} and {_place(function)}"
        return None

    def main(self, arguments=None):
        """Serves a run as the command line says, and exits. For the main thread of a script."""
        name = os.path.basename(sys.argv[0]) or "worker"
        try:
            chosen = options.parse(name, sys.argv[1:] if arguments is None else arguments)
            if self._mistake or not self._handlers:
                raise Mistake(self._mistake or "there is no handler: register one with @worker.handler(NAME)")
            status = Shell(name, chosen).run(self._handlers)
        except (Mistake, CannotListen) as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = _USAGE if isinstance(error, Mistake) else _OTHER
        sys.exit(status)


def _place(function):
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
