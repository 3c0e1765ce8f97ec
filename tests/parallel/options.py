#!/usr/bin/python3
"""Walks through all options of GNU parallel: `pushmill run` has them, or refuses them by name; as docs/GNU_PARALLEL.md says; and none is left out.

options.py [--settle]        $PUSHMILL_BIN: where pushmill is
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from compare import PAGE, WORD, environment_of, play

DATA = pathlib.Path(__file__).parent / "options.txt"
LINE = re.compile(r"(?P<todo>todo )?(?P<answer>yes|no) +(?P<name>-\S+) \| (?P<line>.*)")
ROW = re.compile(r"^\| (`-.*?`) \| (yes|partly|no) \|(.*)\|$", re.M)
NAME = re.compile(r"`(-[\w-]*)")
USAGE = 102


def of_the_page():
    """Option -> yes, partly or no, as the page for users has it."""
    found = {}
    for names, answer, text in ROW.findall(PAGE.read_text()):
        for name in NAME.findall(names):
            if name in found:
                sys.exit(f"{PAGE.name}: {name} is there twice")
            if answer != "yes" and not text.strip():
                sys.exit(f"{PAGE.name}: {name}: not supported, or not quite, and nothing said about it")
            found[name] = answer
    return found


def of_parallel():
    """The options that its manual explains: lines that begin an item and hold nothing but an option and perhaps its value."""
    page = subprocess.run(["man", "-w", "parallel"], capture_output=True, text=True).stdout.strip() if shutil.which("man") else ""
    if not page:
        return set()
    text = subprocess.run(["zcat", "-f", page], capture_output=True, text=True, check=True).stdout
    items = re.findall(r'^\.IP "(.*?)"', text, re.M)
    return {name for item in items for name in re.findall(r"^(?:\\fB)?((?:\\-){1,2}[a-zA-Z0](?:\w|\\-)*)", item) for name in [name.replace("\\-", "-")]}


FULL_NAMES = {"--bt": "--block-timeout", "--round": "--round-robin"}  # under which these are refused


def fault_of(entry, environment):
    with tempfile.TemporaryDirectory(prefix="parity.", ignore_cleanup_errors=True) as top:
        left = play(WORD.sub("pushmill run", entry["line"]), pathlib.Path(top), environment, True)
    said = left["said"].decode(errors="replace").strip()
    if entry["answer"] == "yes":
        return f"status {left['status']}: {said[:200]}" if left["status"] else ""
    name = FULL_NAMES.get(entry["name"], entry["name"])
    if left["status"] != USAGE:
        return f"is not refused: status {left['status']}: {said[:200]}"
    if "\n" in said or "unknown option" in said or not re.match(rf"pushmill run: .*{re.escape(name)}(?![\w-])", said):
        return f"is not refused by name, in one line: {said[:200]}"
    return "" if left["stdout"] == [b""] else f"something ran: {left['stdout']}"


def main():
    entries = []
    for number, line in enumerate(DATA.read_text().split("\n"), 1):
        if line and not line.startswith("#"):
            match = LINE.fullmatch(line)
            if not match:
                sys.exit(f"{DATA.name}:{number}: {line}")
            entries.append(match.groupdict() | {"number": number})
    page, faults, to_do, passed = of_the_page(), [], 0, set()
    listed = {entry["name"] for entry in entries}
    faults += [f"{name} is in {PAGE.name} only" for name in sorted(set(page) - listed)] + [f"{name} is not in {PAGE.name}" for name in sorted(listed - set(page))]
    faults += [f"{name} of GNU parallel's manual is nowhere" for name in sorted(of_parallel() - listed)]
    faults += [f"{entry['name']}: {PAGE.name} says {page[entry['name']]}" for entry in entries
               if entry["name"] in page and (page[entry["name"]] == "no") != (entry["answer"] == "no")]
    environment = environment_of(os.environ)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for entry, fault in zip(entries, pool.map(lambda entry: fault_of(entry, environment), entries)):
            if entry["todo"] and fault:
                to_do += 1
                print(f"to do: {entry['name']}: {fault}")
            elif entry["todo"]:
                passed.add(entry["number"])
                if "--settle" not in sys.argv:
                    faults.append(f"{entry['name']}: is well, and is said to be to do")
            elif fault:
                faults.append(f"{entry['name']}: {fault}\n    {entry['line']}")
    if "--settle" in sys.argv:
        lines = DATA.read_text().split("\n")
        DATA.write_text("\n".join(line.removeprefix("todo ") if number in passed else line for number, line in enumerate(lines, 1)))
    print("\n".join(faults))
    print(f"{len(entries)} options, {to_do} to do, {len(faults)} faults; the manual of GNU parallel was {'read' if of_parallel() else 'not installed'}")
    sys.exit(1 if faults else 0)


main()
