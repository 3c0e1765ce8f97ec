#!/usr/bin/python3
"""The Debian package, made by cpack, installed into a root of its own, used from there and removed: nothing is left.

$PUSHMILL_BUILD: the build directory
"""
import gzip
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["PUSHMILL_BUILD"])
COMMANDS = ("run", "resume", "status", "log", "output", "why", "debug", "retry", "sql", "runs", "rm", "sink", "ventilator", "worker")


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def files_in(root):
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir() and not path.is_relative_to(root / "var")}


def completed_by_zsh(folder, line):
    """The words behind `pushmill ` that an interactive zsh would run when Tab and Return have been pressed behind `line`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})
    shown = b""
    try:
        os.write(terminal, f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; pushmill() {{ print -r -- w''ords: $@ :; }}; print rea''dy\n".encode())
        for sign, answer in ((b"ready\r\n", line.encode() + b"\t\n"), (b" :\r\n", b"exit\n")):
            while sign not in shown:
                if not select.select([terminal], [], [], 60)[0]:
                    raise AssertionError(f"zsh has not said {sign}: {shown}")
                shown += os.read(terminal, 65536)
            os.write(terminal, answer)
        return re.search(rb"words: (.*) :\r\n", shown)[1].decode()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.TemporaryDirectory(prefix="package.")
        run("cpack", "-G", "DEB", "-B", cls.top.name, cwd=BUILD)
        cls.package, = pathlib.Path(cls.top.name).glob("*.deb")
        cls.root = pathlib.Path(cls.top.name) / "root"
        (cls.root / "var/lib/dpkg").mkdir(parents=True)
        (cls.root / "var/lib/dpkg/status").touch()

    @classmethod
    def tearDownClass(cls):
        cls.top.cleanup()

    def dpkg(self, *words):
        as_root = [] if os.geteuid() == 0 else ["fakeroot"]
        # Its dependencies are packages of this system, not of that root; they are looked at for themselves.
        run(*as_root, "dpkg", f"--root={self.root}", "--force-depends", "--log=/dev/null", *words, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})

    def test_it_is_installed_used_and_removed(self):
        self.dpkg("--install", self.package)
        installed = files_in(self.root)
        self.assertEqual({name for name in installed if "/bin/" in name}, {"usr/bin/pushmill"})
        self.assertEqual({name for name in installed if "/libexec/" in name}, {f"usr/libexec/pushmill/{name}" for name in ("keeper", "sink", "ventilator", "worker")})
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.top.name, "LC_ALL": "C.UTF-8"}
        environment |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        program = self.root / "usr/bin/pushmill"
        self.assertEqual(run(program, "run", "-k", "echo", ":::", "a", "b", env=environment), "a\nb\n")
        self.assertIn("Usage", run(program, "worker", "--help", env=environment))
        self.dpkg("--purge", "pushmill")
        self.assertEqual(files_in(self.root), set())

    def test_it_depends_on_the_libraries_and_nothing_that_is_not_here(self):
        depends = run("dpkg-deb", "--field", self.package, "Depends")
        for library in ("libzmq5", "libsqlite3-0", "libc6"):
            self.assertIn(library, depends)
        known = run("dpkg-query", "--show", "--showformat", "${Status}: ${Package}, ${Provides}\n")
        here = set(re.findall(r"[a-z0-9.+-]+", " ".join(line for line in known.split("\n") if line.startswith("install ok installed"))))
        self.assertLessEqual(set(re.findall(r"(?:^|, )([a-z0-9.+-]+)", depends)), here)

    def test_every_command_has_a_page_that_man_shows_and_completions(self):
        place = pathlib.Path(self.top.name) / "unpacked"
        run("dpkg-deb", "--extract", self.package, place)
        for name in ("pushmill", *(f"pushmill-{command}" for command in COMMANDS)):
            text = gzip.decompress((place / f"usr/share/man/man1/{name}.1.gz").read_bytes()).decode()
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
                self.assertIn(f".SH {section}\n", text, name)
        if shutil.which("groff"):
            page = gzip.decompress((place / "usr/share/man/man1/pushmill-run.1.gz").read_bytes())
            shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page, capture_output=True)
            self.assertEqual((shown.returncode, shown.stderr), (0, b""))
        script = (f'. "{place}/usr/share/bash-completion/completions/pushmill"; complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_pushmill 2>/dev/null; echo "${COMPREPLY[*]}"; }; complete_words pushmill ru; complete_words pushmill run --keep-o')
        self.assertEqual(run("bash", "-c", script), "run runs\n--keep-order --keep-output\n")
        completions = place / "usr/share/zsh/vendor-completions"
        self.assertEqual(completed_by_zsh(completions, "pushmill resu"), "resume")
        self.assertEqual(completed_by_zsh(completions, "pushmill run --jobl"), "run --joblog")


if __name__ == "__main__":
    needed = ["cpack", "dpkg", "dpkg-deb", "dpkg-shlibdeps"] + (["fakeroot"] if os.geteuid() else [])
    missing = [tool for tool in needed if not shutil.which(tool)]
    if missing:
        print(f"SKIP: no {', '.join(missing)} here: no Debian package can be made and installed")
        sys.exit(77)
    unittest.main()
