#!/usr/bin/python3
"""Runs command lines through GNU parallel and through `pushmill run`, and compares everything that is left: both outputs, the exit status, the files.

compare.py [--settle] [--case TEXT] [--other WORDS] FILE...        $PUSHMILL_BIN: where pushmill is

A FILE holds one command line a line, for bash, behind what is expected of it:

    order  | parallel -k echo ::: a b                            the same, byte for byte
    sorted | parallel echo ::: a b                               the same, but the order of lines in the outputs and the joblog is free
    status | parallel --version                                  only the exit status is compared
    order except status: mistakes | parallel -j foo echo ::: a   the same but for these (stdout, stderr, status, files), which have to differ; docs/GNU_PARALLEL.md
                                                                 tells the reason of that name
    todo order | parallel ...                                    is not yet so; when it is, that is a fault of the list: --settle takes the word out

For the second program the word `parallel` becomes `pushmill run`, and nothing else. Each runs in a directory of its own that holds the same few files
(FIXTURE); of a file called *.log, a joblog, times and host are left out. What the programs say on stderr in their own name is not compared.
"""
import argparse
import concurrent.futures
import datetime
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

FIXTURE = {
    "abc": b"A\nB\nC\n",
    "def": b"D\nE\nF\n",
    "num": b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
    "paths": b"/usr/lib/libc.so.6\nsrc/main.c\nREADME\n.profile\narchive.tar.gz\ndir.d/name\n",
    "odd": b"it's\na b\n  two  spaces  \nquote\"d\n$HOME\n*\nback\\slash\na;b|c&d\n#hash\n~\n(x)\n\xc3\xbc\n",
    "nul": b"one\0two words\0three\nlines\0",
    "blank": b"a\n\nb\n\n\nc\n",
    "tsv": b"f1\tf2\tf3\nA1\tA2\tA3\nB1\tB2\tB3\n",
    "csv": b'name,size,note\nann,1,"a, b"\nbob,22,"say ""hi"""\n"eve x",3,plain\n',
    "spaced": b"one two three\nfour five six\nseven eight\n",
    "cont": b"a \nb\nc\nd \ne \nf\n",
    "eof": b"a\nb\nSTOP\nc\nd\n",
    "commands": b"echo first\necho second; echo third\nprintf '%s\\n' \"fourth  one\"\nexit 3\n",
    "unended": b"x\ny\nz",
    "empty": b"",
    "records": b"/head/1\n/head/2\n/head/3\n/foot/4\n/head/5\n",
    "fasta": b">s1\nACGT\nAC\n>s2\nGG\n>s3\nTTT\nTT\nT\n",
}
ASPECTS = ("stdout", "stderr", "status", "files")
CASE = re.compile(r"(?P<todo>todo )?(?P<relation>order|sorted|status)(?: except (?P<except>[a-z, ]+): (?P<reason>[a-z-]+))? *\| (?P<line>.*)")
WORD = re.compile(r"(?<![\w./=-])parallel(?![\w./=-])")
OWN_WORDS = re.compile(rb"(parallel|pushmill run|pushmill|ventilator|worker|sink): ")
REASONS = re.compile(r"^- \*\*([a-z-]+)\*\*", re.M)
PATIENCE = 40 * int(os.environ.get("PUSHMILL_TIME_FACTOR", 1))
PAGE = pathlib.Path(__file__).parents[2] / "docs/GNU_PARALLEL.md"


class Case:
    def __init__(self, file, number, text):
        match = CASE.fullmatch(text)
        if not match:
            sys.exit(f"{file}:{number}: not a case: {text}")
        self.place, self.line, self.relation = f"{file.name}:{number}", match["line"], match["relation"]
        self.todo, self.reason = bool(match["todo"]), match["reason"]
        self.differs = set(re.split(", *", match["except"])) if match["except"] else set()
        if not self.differs <= set(ASPECTS):
            sys.exit(f"{file}:{number}: there are only {', '.join(ASPECTS)}")
        if not WORD.search(self.line):
            sys.exit(f"{file}:{number}: there is no `parallel` in it")


def read_cases(file):
    lines = file.read_text().split("\n")
    return [Case(file, number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]


def without_times(joblog, keep_order):
    rows = [line.split(b"\t") for line in joblog.split(b"\n")]
    rows = [[row[0], *row[4:]] if len(row) >= 9 else row for row in rows]
    return rows if keep_order else sorted(rows)


def left_in(directory, keep_order):
    """What a command line left there, beyond what it found: name -> content."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_dir():
            found[name] = "a directory"
        elif FIXTURE.get(name) != (content := path.read_bytes()):
            found[name] = without_times(content, keep_order) if name.endswith(".log") else content
    return found


def in_order(output, keep_order):
    lines = output.split(b"\n")
    return lines if keep_order else sorted(lines)


def play(line, place, environment, keep_order):
    """aspect -> what it is."""
    directory = place / "here"
    for fresh in (directory, place / "tmp", place / "home" / ".parallel"):
        fresh.mkdir(parents=True, exist_ok=True)
    for name, content in FIXTURE.items():
        (directory / name).write_bytes(content)
    environment = {**environment, "HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    (place / "home/.parallel/will-cite").touch()
    script = line + "\nexit"  # behind it, so that bash does not become the program itself: the shell that called is looked for among the parents
    process = subprocess.Popen(["/bin/bash", "-c", script], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        status = f"still running after {PATIENCE} s"
    said = b"\n".join(said for said in stderr.split(b"\n") if not OWN_WORDS.match(said))
    return {"stdout": in_order(stdout, keep_order), "stderr": in_order(said, keep_order), "status": status, "files": left_in(directory, keep_order), "said": stderr}


def shown(aspect, value):
    if aspect == "status":
        return str(value)
    text = repr(b"\n".join(value) if aspect in ("stdout", "stderr") else value)
    return text if len(text) < 400 else text[:400] + "..."


def difference(case, reference, subject):
    """Where both do not stand to each other as they should; empty: all is well."""
    faults = []
    for aspect in ("status",) if case.relation == "status" else ASPECTS:
        is_same = reference[aspect] == subject[aspect]
        if is_same and aspect in case.differs:
            faults.append(f"    {aspect}: does not differ any more: {shown(aspect, subject[aspect])}")
        if not is_same and aspect not in case.differs:
            faults.append(f"    {aspect}\n        parallel: {shown(aspect, reference[aspect])}\n        pushmill: {shown(aspect, subject[aspect])}")
    if faults and subject["said"]:
        faults.append("    pushmill said: " + subject["said"].decode(errors="replace").strip()[:300])
    return "\n".join(faults)


def judge(case, other, environment):
    keep_order = case.relation != "sorted"
    with tempfile.TemporaryDirectory(prefix="parity.", ignore_cleanup_errors=True) as top:
        place = pathlib.Path(top) / "place"  # of the same name for both, for it may be printed
        reference = play(case.line, place, environment, keep_order)
        place.rename(pathlib.Path(top) / "other")
        subject = play(WORD.sub(other, case.line), place, environment, keep_order)
        return difference(case, reference, subject)


def environment_of(outer):
    """What both programs are given: nothing of the caller's but where the programs are, and what a sanitizer is told."""
    found = {"PATH": f"{pathlib.Path(outer['PUSHMILL_BIN']).resolve()}:/usr/local/bin:/usr/bin:/bin", "SHELL": "/bin/bash", "LC_ALL": "C.UTF-8", "LOGNAME": "user", "USER": "user"}
    return found | {name: value for name, value in outer.items() if name.endswith("SAN_OPTIONS")}


def settle(passed):
    """Takes the word `todo` from those lines."""
    for file in {case.file for case in passed}:
        numbers = {int(case.place.rpartition(":")[2]) for case in passed if case.file == file}
        lines = file.read_text().split("\n")
        file.write_text("\n".join(line.removeprefix("todo ") if number in numbers else line for number, line in enumerate(lines, 1)))


def main():
    parser = argparse.ArgumentParser(description="Compares GNU parallel and `pushmill run` over lists of command lines.")
    parser.add_argument("--settle", action="store_true", help="take the word `todo` from the cases that pass")
    parser.add_argument("--other", default="pushmill run", help="what takes the place of `parallel`; --other parallel shows what is never the same twice")
    parser.add_argument("--case", default="", help="only those whose line holds this text")
    parser.add_argument("--third", action="store_true", help="only each third case, other ones from day to day: all take seven minutes of a processor")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    if not shutil.which("parallel"):
        print("SKIP: GNU parallel is not installed: nothing to compare with (scripts/setup)")
        sys.exit(77)
    environment = environment_of(os.environ)
    known = set(REASONS.findall(PAGE.read_text()))
    cases, counts, passed = [], {"as expected": 0, "to do": 0, "faults": 0}, []
    for file in arguments.files:
        for case in read_cases(file):
            case.file = file
            if arguments.case in case.line:
                cases.append(case)
    if arguments.third:
        cases = cases[datetime.date.today().toordinal() % 3::3]
    if not cases:
        sys.exit("no cases")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, fault in zip(cases, pool.map(lambda case: judge(case, arguments.other, environment), cases)):
            if case.reason and case.reason not in known:
                fault = f"    the reason {case.reason} is not in {PAGE.name}"
            if case.todo:
                if not fault:
                    passed.append(case)
                    counts["as expected" if arguments.settle else "faults"] += 1
                    print(f"{case.place}: passes, and is said to be to do\n    {case.line}")
                    continue
                counts["to do"] += 1
            else:
                counts["faults" if fault else "as expected"] += 1
            if fault:
                print(f"{case.place}: {'to do' if case.todo else 'FAULT'}\n    {case.line}\n{fault}")
    if arguments.settle:
        settle(passed)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    sys.exit(1 if counts["faults"] else 0)


if __name__ == "__main__":
    main()
