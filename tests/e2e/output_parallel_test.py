"""The same command lines with GNU parallel and with pushmill run: outputs, and what they leave in files, are the same. Times and names of temporary files aside."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from support import BIN, EndToEnd

BOTH = "echo {}; echo e{} >&2; printf 'no end'"
TWO = (":::", "a", "b c")
# Command lines, as parallel has them. Those without -k have one job at a time.
SHOWN = [
    ("-k", BOTH, *TWO),
    ("-k", "--group", BOTH, *TWO),
    ("-j1", "-u", BOTH, *TWO),
    ("-k", "--lb", BOTH, *TWO),
    ("-k", "--line-buffer", BOTH, *TWO),
    ("-j1", "--ungroup", BOTH, *TWO),
    ("-k", "--tag", BOTH, *TWO),
    ("-k", "--tag", "--lb", BOTH, *TWO),
    ("-j1", "--tag", "-u", BOTH, *TWO),
    ("-k", "--tag", "printf 'a\\n\\n\\nb\\r\\nc\\r'; : ", *TWO),
    ("-k", "--tag", "true", *TWO),
    ("-k", "--tagstring", "{#}-{}", BOTH, *TWO),
    ("-k", "--tagstring", "x", "--lb", BOTH, *TWO),
    ("-k", "-v", BOTH, *TWO),
    ("-k", "-v", "--tag", BOTH, *TWO),
    ("-j1", "-v", "-u", BOTH, *TWO),
    ("-k", "-v", "--lb", BOTH, *TWO),
    ("-k", "-v", "true", *TWO),
    ("-k", "-t", "echo {}", *TWO),
    ("-k", "-t", "--tag", "echo {}", *TWO),
    ("-k", "--results", "-.csv", BOTH, *TWO),
    ("-k", "--results", "-.tsv", BOTH, *TWO),
    ("-k", "--results", "-.json", BOTH, *TWO),
    ("-k", "--results", "-.json", "--tag", BOTH, *TWO),
    ("-k", "--results", "-.json", "printf '%s' {}", ":::", 'a"b', "a\\b", "a\tb", "\x01", "a/b", "ä"),
    ("-k", "--results", "-.csv", "printf '%s' {}", ":::", 'a"b', "a,b", "a\tb", "a;b", "a'b", "ä", "=1"),
    ("-k", "--results", "-.tsv", "printf '%s' {}", ":::", 'a"b', "a,b", "a\tb", "a;b"),
    ("-k", "--header", ":", "--results", "-.csv", "echo", ":::", "a,b", "x", ":::", 'c" d', "y", "z"),
    ("-k", "--header", ":", "--results", "-.tsv", "echo", ":::", "a,b", "x", ":::", "c\td", "y", "z"),
    ("-k", "--header", ":", "--results", "-.json", "echo", ":::", "a", "x"),
    ("-k", "--results", "-.json", "exit 3; echo", ":::", "a"),
    ("-k", "--results", "-.csv", "kill -9 $$; echo", ":::", "a"),
]
# Their outputs go to files in the directory.
KEPT = [
    ("-k", "--results", "r", BOTH, *TWO),
    ("-k", "--results", "r", "--files", BOTH, *TWO),
    ("-k", "--results", "r/{}/", BOTH, *TWO),
    ("-k", "--results", "r/{}.txt", BOTH, *TWO),
    ("-k", "--results", "r", "printf %s {}", ":::", "a/b", ".", "a\\b"),
    ("-k", "--results", "r.csv", BOTH, *TWO),
    ("-k", "--results", "r.tsv", "-v", BOTH, *TWO),
    ("-k", "--results", "r.json", "-v", BOTH, *TWO),
    ("-k", "--joblog", "log", BOTH, *TWO),
]
PARALLEL = shutil.which("parallel")


def without_times(text):
    text = re.sub(rb'("Starttime": |"JobRuntime": )[0-9.]+', rb"\1T", text)
    text = re.sub(rb'"Receive": \d+', b'"Receive": N', text)  # with -v parallel counts what it prints as well
    return re.sub(rb"(?m)^(\d+[,\t]:[,\t])[0-9.]+([,\t]) *[0-9.]+([,\t]0[,\t])\d+", rb"\1T\2T\3N", text)


@unittest.skipUnless(PARALLEL and b"GNU parallel 2022" in subprocess.run([PARALLEL, "--version"], capture_output=True).stdout, "GNU parallel 2022 is not installed")
class AsParallel(EndToEnd):
    def result_of(self, name, command, words):
        """Both outputs of a command line, and the files that it leaves in a directory of its own."""
        folder = self.path / name
        folder.mkdir()
        citing = pathlib.Path(self.env["HOME"]) / ".parallel/will-cite"
        citing.parent.mkdir(parents=True, exist_ok=True)
        citing.touch()
        ran = subprocess.run([*command, *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, env=self.env)
        err = b"".join(line for line in ran.stderr.splitlines(True) if not line.startswith(b"pushmill: "))
        files = {os.fspath(path.relative_to(folder)): sorted(without_times(path.read_bytes()).splitlines()) for path in sorted(folder.rglob("*"))  # a log: jobs end in any order
                 if path.is_file()}
        shutil.rmtree(folder)
        return without_times(ran.stdout), err, files

    def compare(self, cases):
        for words in cases:
            with self.subTest(" ".join(words)):
                expected = self.result_of("theirs", [PARALLEL], words)
                self.assertEqual(self.result_of("ours", [BIN / "pushmill", "run"], words), expected)

    def test_outputs_are_shown_in_the_same_way(self):
        self.compare(SHOWN)

    def test_outputs_are_kept_in_the_same_files(self):
        self.compare(KEPT)


if __name__ == "__main__":
    unittest.main()
