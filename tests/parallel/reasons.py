#!/usr/bin/python3
"""Every difference that docs/GNU_PARALLEL.md calls meant is shown by a case, and every reason that a case names is there."""
import pathlib
import sys

from compare import PAGE, REASONS, read_cases

cases = [case for file in sorted((pathlib.Path(__file__).parent / "cases").glob("*.txt")) for case in read_cases(file)]
known, used = set(REASONS.findall(PAGE.read_text())), {case.reason for case in cases if case.reason}
faults = [f"{PAGE.name} tells {name}, and no case shows it" for name in sorted(known - used)]
faults += [f"a case names {name}, and {PAGE.name} does not tell it" for name in sorted(used - known)]
print("\n".join([*faults, f"{len(cases)} cases, {sum(case.todo for case in cases)} to do, {len(used)} reasons"]))
sys.exit(1 if faults or len(cases) < 300 else 0)
