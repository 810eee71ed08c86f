#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated mouse, known truth: from its list-mode to %ID/g with the sample study's own settings. Prints TAP.

The limits are those that the program promises: liver within 5 %, organs above 0.1 mL within 10 %, mass balance within 3 %."""
import csv
import os
import shutil
import subprocess
import sys
import tempfile

ISOTRACE = os.environ["ISOTRACE"]
SAMPLE = os.path.join(os.environ["ISOTRACE_SOURCE_ROOT"], "sample_data")


def read_table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def run(folder):
    """The sample study with its first scan alone, and no replicates (they serve the uncertainty only)."""
    for name in os.listdir(SAMPLE):
        if name not in ("study.yaml", "subjects.csv"):
            os.symlink(os.path.join(SAMPLE, name), os.path.join(folder, name))
    with open(os.path.join(SAMPLE, "study.yaml")) as file:
        study = file.read().replace("replicates: 5", "replicates: 0")
    with open(os.path.join(folder, "study.yaml"), "w") as file:
        file.write(study)
    with open(os.path.join(SAMPLE, "subjects.csv")) as file:
        lines = [line for line in file if line.startswith(("#", "subject,", "B01,"))]
    with open(os.path.join(folder, "subjects.csv"), "w") as file:
        file.writelines(lines)
    subprocess.run([ISOTRACE, "run", "-q", os.path.join(folder, "study.yaml")], check=True, stdout=subprocess.DEVNULL)
    return read_table(os.path.join(folder, "results", "biodistribution.csv"))


def main():
    folder = tempfile.mkdtemp(prefix="isotrace-mouse-")
    try:
        rows = run(folder)
    finally:
        shutil.rmtree(folder)
    truth = {r["organ"]: r for r in read_table(os.path.join(SAMPLE, "truth.csv")) if r["subject"] == "B01"}
    checks = []
    for row in rows:
        true = truth[row["organ"]]
        if float(true["volume_ml"]) <= 0.1:
            continue
        limit = 5 if row["organ"] == "liver" else 10
        checks.append((row["organ"], 100 * (float(row["percent_id_per_g"]) / float(true["percent_id_per_g"]) - 1), limit))
    expected = sum(float(r["percent_id"]) for r in truth.values())
    checks.append(("mass balance", 100 * (float(rows[0]["recovered_percent_id"]) / expected - 1), 3))
    print(f"1..{len(checks)}")
    failed = False
    for number, (what, off, limit) in enumerate(checks, 1):
        good = abs(off) <= limit
        failed |= not good
        print(f"{'ok' if good else 'not ok'} {number} - {what}: {off:+.1f} % of the truth, limit {limit} %")
    sys.exit(failed)


main()
