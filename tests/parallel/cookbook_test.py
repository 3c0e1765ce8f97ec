#!/usr/bin/python3
"""Runs every recipe of docs/COOKBOOK.md as it stands, in a directory with what recipes need, and compares what it prints with what the page says.

cookbook_test.py [TEXT OF A HEADING]        $PUSHMILL_BIN: where pushmill is

A recipe is a heading, a block of `sh`, and perhaps a block of what is printed.
"""
import contextlib
import functools
import http.server
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

PAGE = pathlib.Path(__file__).parents[2] / "docs/COOKBOOK.md"
RECIPE = re.compile(r"^### (.*?)\n(.*?)(?=^### |\Z)", re.M | re.S)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATIENCE = 60 * int(os.environ.get("PUSHMILL_TIME_FACTOR", 1))
TOOLS = ("gzip", "cjpeg", "gcc", "curl", "jq", "awk", "python3")


def prepare(place, address):
    files = {
        "logs/app.log": "ERROR one\nfine\nERROR two\n", "logs/db.log": "password changed\n", "logs/web.log": "ERROR 404\n",
        "src/main.c": '#include "greet.h"\nint main(void) { return greet(); }\n', "src/greet.h": "int greet(void);\n",
        "src/greet.c": '#include <stdio.h>\n#include "greet.h"\nint greet(void) { puts("hello"); return 0; }\n',
        "photos/red.ppm": "P3 2 2 255\n" + "255 0 0 " * 4 + "\n", "photos/one two.ppm": "P3 1 1 255\n0 0 255\n",
        "people.csv": 'name,amount\nAnn,12\n"Bob B.",7\n', "numbers": "1\n2\n3\n", "genes.fasta": ">first\nACGT\nAC\n>second\nGG\n",
        "big.txt": "".join(f"{number}\n" for number in range(1, 20001)),
        "urls": f"{address}/index.txt\n{address}/news.txt\n",
        "simulate": '#!/bin/sh\necho "$1 x $2 = $(($1 * $2))"\n', "encode": '#!/bin/sh\n[ "$1" != stuck ] || sleep 1000\n',
    }
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for program in ("simulate", "encode"):
        (place / program).chmod(0o755)


@contextlib.contextmanager
def web_server(top):
    """The address of one that has two files; the first request for the news is refused."""
    served = top / "served"
    served.mkdir()
    (served / "index.txt").write_text("the index\n")
    (served / "news.txt").write_text("the news\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        busy = True

        def do_GET(self):
            if self.path == "/news.txt" and Handler.busy:
                Handler.busy = False
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def fault_of(text):
    """What is wrong with a recipe; empty: nothing."""
    blocks = BLOCK.findall(text)
    script = "".join(block for kind, block in blocks if kind == "sh")
    expected = "".join(block for kind, block in blocks if not kind)
    if "pushmill" not in script:
        return "there is no pushmill in it"
    with tempfile.TemporaryDirectory(prefix="recipe.", ignore_cleanup_errors=True) as top, web_server(pathlib.Path(top)) as address:
        place = pathlib.Path(top) / "here"
        prepare(place, address)
        bin_directory = pathlib.Path(os.environ["PUSHMILL_BIN"]).resolve()
        (pathlib.Path(top) / "tmp").mkdir()
        environment = {"PATH": f"{bin_directory}:/usr/bin:/bin", "HOME": top, "TMPDIR": f"{top}/tmp", "LC_ALL": "C.UTF-8", "SHELL": "/bin/bash"}
        environment |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        process = subprocess.Popen(["/bin/bash", "-c", script], cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True)
        try:
            printed, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"still running after {PATIENCE} s"
        if expected and printed != expected:
            return f"printed {printed!r}\n    instead of {expected!r}\n    and said {said[:400]!r}"
        if not expected and (process.returncode or said):
            return f"status {process.returncode}, said {said[:400]!r}"
    return ""


def main():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        print(f"SKIP: missing, and recipes need them: {' '.join(missing)} (scripts/setup)")
        sys.exit(77)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    recipes = {title: text for title, text in RECIPE.findall(PAGE.read_text()) if wanted in title}
    faults = 0
    for title, text in recipes.items():
        if fault := fault_of(text):
            faults += 1
            print(f"{title}: FAULT: {fault}")
    print(f"{len(recipes)} recipes, {faults} faults")
    sys.exit(1 if faults or not wanted and len(recipes) < 20 else 0)


main()
