# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the phantoms that prove isotrace's numbers, prints TAP, and writes docs/validation.md.

usage: bench/validation [PHANTOM ...] [options]        (scripts/validate physics)

Every simulation, reconstruction and result is kept in the working folder; a run that was stopped goes on where it was, and a phantom
whose files are there takes seconds."""
import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import cylinders
import image_quality
import mice
import monte_carlo
import normalisation
import points
import report
import scenes
from program import ROOT, Program, Refused

PHANTOMS = {"cylinders": cylinders.run, "image-quality": image_quality.run, "points": points.run, "nuclides": mice.run_nuclides,
            "dynamic": mice.run_dynamic, "without": mice.run_without, "monte-carlo": monte_carlo.run, "normalisation": normalisation.run}


def commit():
    try:
        words = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
        return words.stdout.strip() if words.returncode == 0 else "not in git"
    except OSError:
        return "not in git"


def about(program, options, results):
    probe = scenes.Scene(scenes.MOUSE_PET)
    lacking = scenes.equip(program, probe)
    version = subprocess.run([program.path, "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    rows = [("command", "`scripts/validate physics`" + (" with a tenth of the counts (`--quick`)" if options.quick else "")),
            ("commit", f"{commit()}, {version}"),
            ("time", f"{sum(r['seconds'] for r in results) / 60:.0f} min: " + ", ".join(f"{r['name']} {r['seconds'] / 60:.1f}" for r in results))]
    if lacking:
        rows.append(("not simulated by this build", ", ".join(lacking)))
    missing = [name for name in PHANTOMS if name not in [r["name"] for r in results]]
    if missing:
        rows.append(("not run", ", ".join(missing)))
    return rows


def run(program, name):
    """The result as a dictionary; the time is that of the steps, also of those that were there already."""
    program.seconds = {}
    began = time.time()
    result = PHANTOMS[name](program).as_json()
    result["seconds"] = max(time.time() - began, sum(program.seconds.values()))
    with open(os.path.join(program.work, name + ".result.json"), "w") as file:
        json.dump(result, file, indent=1)
    return result


def main():
    parser = argparse.ArgumentParser(prog="bench/validation", description=__doc__.split("\n")[0])
    parser.add_argument("phantoms", nargs="*", metavar="PHANTOM", help="one of " + ", ".join(PHANTOMS) + "; default: all")
    parser.add_argument("--program", default=os.path.join(ROOT, "build/cli/isotrace"), help="isotrace to prove")
    parser.add_argument("--work", default=os.path.join(ROOT, "build/validation"), help="working folder, kept")
    parser.add_argument("--quick", action="store_true", help="a tenth of the counts: shows that it runs, proves little")
    parser.add_argument("--any-build", action="store_true", help="take what another build left in the working folder")
    parser.add_argument("--docs", help="write validation.md and its figures into this folder, from all results of the working folder")
    options = parser.parse_args()
    unknown = [name for name in options.phantoms if name not in PHANTOMS]
    if unknown:
        parser.error(f"no phantom '{unknown[0]}'; there are {', '.join(PHANTOMS)}")
    program = Program(options.program, options.work + ("-quick" if options.quick else ""), 0.1 if options.quick else 1.0, options.any_build)
    failed = number = 0
    for name in options.phantoms or PHANTOMS:
        try:
            result = run(program, name)
        except Refused as refusal:
            number, failed = number + 1, failed + 1
            print(f"# {refusal}\nnot ok {number} - {name}", flush=True)
            continue
        for check in result["checks"]:
            number += 1
            failed += not check["good"]
            print(f"{'ok' if check['good'] else 'not ok'} {number} - {name}: {check['what']}: {report.number(check)}, limit {check['limit']:g}")
        for remark in result["remarks"]:
            print("# " + remark)
        print(f"# {name}: {result['seconds']:.0f} s", flush=True)
    print(f"1..{number}")
    if options.docs:
        results = []
        for name in PHANTOMS:
            path = os.path.join(program.work, name + ".result.json")
            if os.path.exists(path):
                with open(path) as file:
                    results.append(json.load(file))
        report.write(results, about(program, options, results), options.docs)
    sys.exit(failed > 0)


main()
