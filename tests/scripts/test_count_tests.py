#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/count-tests, on which the verdict of scripts/test rests: what passes, and all that must not. Prints TAP."""
import json
import os
import subprocess
import sys
import tempfile

COUNT = os.path.join(os.environ["ISOTRACE_SOURCE_ROOT"], "scripts", "count-tests")
GOOD = "1..2\nok 1 - a\nok 2 - b\n"


def program(stdout, result="OK", returncode=0, name="p"):
    return {"name": "isotrace / " + name, "stdout": stdout, "result": result, "returncode": returncode}


def count(programs, steps="ok - build\n", expected=("p",), code=0, report=None, cut=0):
    """Exit code and closing line for such a run."""
    with tempfile.TemporaryDirectory(prefix="isotrace-count-") as folder:
        def put(name, text):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        os.mkdir(os.path.join(folder, "sanitizer"))
        put("steps", steps)
        if programs is not None:
            log = "".join(json.dumps(p) + "\n" for p in programs)
            put("build.json", log[:len(log) - cut])
            put("build.tests", json.dumps([{"name": name} for name in expected]))
            put("build.exit", f"{code}\n")
        if report:
            put("sanitizer/report.p.1", report)
        done = subprocess.run([sys.executable, COUNT, folder], capture_output=True, text=True)
        return done.returncode, (done.stdout.splitlines() or [done.stderr])[-1]


# The step that builds is one more that passes.
cases = {
    "all pass": (count([program(GOOD)]), 0, "3 passed, 0 failed, 0 skipped"),
    "a skipped test is not one that passed":
        (count([program("1..2\nok 1 - a\nok 2 - b # SKIP no data\n")]), 0, "2 passed, 0 failed, 1 skipped"),
    "a skipped program": (count([program("1..0 # SKIP no h5py\n", "SKIP")]), 0, "1 passed, 0 failed, 1 skipped"),
    "a failed test":
        (count([program("1..2\nok 1 - a\nnot ok 2 - b\n", "ERROR", 1)], code=1), 1, "2 passed, 1 failed, 0 skipped"),
    "a known shortcoming is not one that passed":
        (count([program("1..2\nok 1 - a\nnot ok 2 - b # TODO hard\n")]), 0, "2 passed, 0 failed, 1 skipped"),
    "a known shortcoming that is none any more":
        (count([program("1..2\nok 1 - a\nok 2 - b # TODO hard\n", "FAIL")], code=1), 1, "2 passed, 1 failed, 0 skipped"),
    "a program that died after its tests passed":
        (count([program(GOOD, "ERROR", -11)], code=1), 1, "3 passed, 1 failed, 0 skipped"),
    "a program that died in between":
        (count([program("1..2\nok 1 - a\n", "ERROR", -6)], code=1), 1, "2 passed, 1 failed, 0 skipped"),
    "a program that took too long":
        (count([program("1..2\nok 1 - a\n", "TIMEOUT", -9)], code=1), 1, "2 passed, 1 failed, 0 skipped"),
    "a program that says nothing, which meson takes for skipped":
        (count([program("", "SKIP")]), 1, "1 passed, 1 failed, 0 skipped"),
    "a program that plans nothing": (count([program("ok 1 - a\n")]), 1, "2 passed, 1 failed, 0 skipped"),
    "a program that bails out, which meson takes for skipped":
        (count([program("1..2\nBail out!\n", "SKIP")]), 1, "1 passed, 1 failed, 0 skipped"),
    "a program that did not run": (count([program(GOOD)], expected=("p", "q")), 1, "3 passed, 1 failed, 0 skipped"),
    "a log that is broken off": (count([program(GOOD)], cut=9), 1, "1 passed, 2 failed, 0 skipped"),
    "meson fails and no test says why": (count([program(GOOD)], code=2), 1, "3 passed, 1 failed, 0 skipped"),
    "a sanitizer's report, though all pass":
        (count([program(GOOD)], report="ERROR: AddressSanitizer\n"), 1, "3 passed, 1 failed, 0 skipped"),
    "a failed step": (count([program(GOOD)], steps="not ok - build\n"), 1, "2 passed, 1 failed, 0 skipped"),
    "no tests at all": (count([], expected=()), 1, "1 passed, 1 failed, 0 skipped"),
    "nothing was built": (count(None), 1, "1 passed, 1 failed, 0 skipped"),
}
print(f"1..{len(cases)}")
failed = 0
for number, (name, (result, code, line)) in enumerate(cases.items(), 1):
    good = result[0] == code and line == result[1]
    failed += not good
    if not good:
        print(f"# exit code {result[0]}, {result[1]}")
    print(f"{'ok' if good else 'not ok'} {number} - count-tests: {name}")
sys.exit(1 if failed else 0)
