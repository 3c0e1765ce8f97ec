"""scripts/check finds each fault it is for, and none in a tree without. Usage: check_test.py PATH-OF-CHECK"""
import pathlib
import subprocess
import sys
import tempfile

CHECK = sys.argv[1]

CLEAN = {
    "worker/core.h": '#include "worker/events.h"\n#include "wire/messages.h"\n#include "base/ids.h"\n#include <vector>\n',
    "worker/events.h": "#include <string>\n",
    "worker/shell.cc": '#include "worker/core.h"\n#include "io/socket.h"\n#include <unistd.h>\n',
    "worker/options.cc": "#include <CLI/CLI.hpp>\n",
    "shared/io/socket.cc": '#include <zmq.h>\n#include "base/ids.h"\n',
    "shared/io/database.cc": "#include <sqlite3.h>\n",
    "shared/wire/codec.cc": "#include <msgpack.hpp>\n",
    "shared/cli/log.cc": "#include <spdlog/logger.h>\n",
    "pushmill/run.cc": '#include "worker/shell.h"\n#include "sink/shell.h"\n',
    "tests/wire/codec_test.cc": "#include <msgpack.hpp>\n",
}

# Each added to the clean tree alone, with what must be said about it.
FAULTS = [
    ("worker/core.cc", '#include "io/socket.h"\n', "a core includes only"),
    ("worker/core.cc", '#include "wire/codec.h"\n', "a core includes only"),
    ("worker/core.cc", "#include <thread>\n", "does not touch the world"),
    ("worker/core.cc", "#include <unistd.h>\n", "does not touch the world"),
    ("worker/core.cc", '#include "worker/table.h"\n', None),
    ("worker/events.h", '#include "worker/shell.h"\n', None),
    ("sink/progress.cc", '#include "cli/log.h"\n', "a core includes only"),
    ("worker/shell.cc", '#include "sink/core.h"\n', "another's file"),
    ("worker/shell.cc", '#include "pushmill/run.h"\n', "another's file"),
    ("shared/io/socket.cc", '#include "worker/core.h"\n', "knows no role"),
    ("shared/wire/codec.cc", '#include "io/socket.h"\n', "may not use io"),
    ("worker/shell.cc", "#include <zmq.hpp>\n", "has its own wrapper"),
    ("worker/shell.cc", "#include <sqlite3.h>\n", "has its own wrapper"),
    ("worker/shell.cc", "#include <msgpack.hpp>\n", "has its own wrapper"),
    ("worker/shell.cc", "#include <spdlog/spdlog.h>\n", "has its own wrapper"),
    ("worker/main.cc", "#include <CLI/CLI.hpp>\n", "has its own wrapper"),
    ("worker/main.cc", "\n" * 601, "is the wall"),
]


def run(files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([CHECK, root], capture_output=True, text=True)


def expect(condition, what, result):
    if not condition:
        sys.exit(f"{what}: status {result.returncode}\n{result.stdout}{result.stderr}")


clean = run(CLEAN)
expect(clean.returncode == 0, "a clean tree", clean)
for name, text, message in FAULTS:
    if message is None:  # what a core reaches in its folder is held to the same
        reached = text.split('"')[1]
        files = {**CLEAN, name: text, reached: '#include "io/socket.h"\n'}
        name, message = reached, "a core includes only"
    else:
        files = {**CLEAN, name: text}
    result = run(files)
    expect(result.returncode == 1 and f"{name}:" in result.stdout and message in result.stdout, f"{text!r} in {name}", result)
print(f"{len(FAULTS)} faults found")
