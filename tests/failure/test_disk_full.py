#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verb that writes, where it cannot: a limit on the size of files (which behaves like a disk that is full in the
middle of one of them), a folder that is not there, is a file, or may not be written to, and a really full file system where
one can be mounted. Each must end with exit code 5 and a message that names the file, and leave nothing half-written: what
has a final name is byte for byte what a run without failure writes, and there are no temporaries. Prints TAP."""
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ISOTRACE = os.environ["ISOTRACE"]
ROOT = os.environ["ISOTRACE_SOURCE_ROOT"]

SCENE = """nuclide: Cu-64
tracer: gold
subject: A
injected_mbq: 10
injection_time: 2026-03-14T09:00:00Z
scan_start_time: 2026-03-14T10:00:00Z
duration_s: 1
seed: 1
physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true}
detector: {name: small ring, rings: 6, crystals_per_ring: 40, radius_mm: 40, ring_spacing_mm: 5, crystal_size_mm: [5, 5, 10],
  attenuation_per_mm: 0.087, energy_resolution_percent: 14, energy_window_kev: [350, 650], photofraction: 0.6,
  time_resolution_ps: 1500, coincidence_window_ns: 4}
truth_grid: {size: [20, 20, 16], voxel_mm: [1.5, 1.5, 1.5]}
organs:
  - {organ: body, label: 1, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 10}
  - {organ: liver, label: 2, density_g_per_ml: 1.05, mu_per_cm: 0.1, percent_id_per_g: 40}
shapes:
  - {organ: body, kind: cylinder, centre_mm: [0, 0, 0], half_axes_mm: [10, 10, 9]}
  - {organ: liver, kind: ellipsoid, centre_mm: [3, 0, 0], half_axes_mm: [5, 5, 5]}
"""
STUDY = """name: tiny
nuclide: Cu-64
subjects: subjects.csv
output: results
scanner: {calibration_factor: 1000, calibration_uncertainty_percent: 3, dead_time_factor: 1}
reconstruction: {grid_voxels: [12, 12, 12], voxel_mm: [2.5, 2.5, 2.5], iterations: 1, subsets: 2, randoms: delayed,
  replicates: 2}
organs: {table: organs.csv, labels: labels.nii.gz, mu: mu.nii.gz}
dicom: {species: mouse}
"""
SUBJECTS = """subject,group,particle,listmode,scene,syringe_mbq,syringe_time,residual_mbq,injection_time,body_mass_g,sex,excluded
A,one,gold,a.lm.h5,,10,2026-03-14T09:00:00Z,0,2026-03-14T09:00:00Z,10,F,
"""

base = tempfile.mkdtemp(prefix="isotrace-full-")
os.chmod(base, 0o755)


def given(name):
    return os.path.join(base, name)


def verbs(out):
    """The command of each verb that writes into the folder out."""
    def to(name):
        return os.path.join(out, name)
    return {
        "convert": ["convert", given("a.lm.h5"), "-o", to("copy.lm.h5"), "-q"],
        "simulate": ["simulate", given("scene.yaml"), "-q", "-o", to("s.lm.h5"), "--labels", to("l.nii.gz"), "--mu",
                     to("m.nii.gz"), "--activity", to("a.nii.gz"), "--organ-table", to("o.csv"), "--dose", to("d.yaml")],
        "normalise": ["normalise", given("a.lm.h5"), "-q", "-o", to("n.norm.h5"), "--source", "cylinder", "--radius", "10"],
        "recon": ["recon", given("a.lm.h5"), "-q", "-o", to("v.nii.gz"), "--grid", "12", "--voxel", "2.5", "--iterations",
                  "1", "--subsets", "2", "--replicates", "2", "--calibration-factor", "1000", "--dead-time-factor", "1",
                  "--sensitivity-cache", "none", "--threads", "2"],
        "mu": ["mu", "-q", "--mu-labels", given("labels.nii.gz"), "--mu-table", given("mu.csv"), "-o", to("mu.nii.gz")],
        "calibrate": ["calibrate", given("v.nii.gz"), "-q", "--concentration-bq-per-ml", "1e5", "--assay-time",
                      "2026-03-14T10:00:00Z", "--uncertainty-percent", "2", "--region", "sphere:0,0,0,6", "-o", to("cal.json")],
        "quant": ["quant", given("v.nii.gz"), "-q", "--organs", given("labels.nii.gz"), "--organ-table",
                  given("organs.csv"), "--dose", given("dose.yaml"), "-o", to("quant")],
        "dicom": ["dicom", given("v.nii.gz"), "-q", "--dose", given("dose.yaml"), "-p", "A", "-o", to("series"), "--organs",
                  given("labels.nii.gz"), "--organ-table", given("organs.csv"), "--segmentation", "--structured-report",
                  "--parametric-map", "--pdf", given("report.pdf")],
        "deidentify": ["deidentify", given("real"), "-q", "--key", given("key"), "-o", to("public")],
        "run": ["run", given("study.yaml"), "-q", "-o", to("study"), "--threads", "2"],
    }


def call(arguments, prepare=None):
    environment = dict(os.environ, XDG_CACHE_HOME=given("cache"))
    done = subprocess.run([ISOTRACE, *arguments], capture_output=True, text=True, preexec_fn=prepare, env=environment)
    return done.returncode, done.stderr.strip()


def tree(folder):
    """Hash and size of every file."""
    found = {}
    for where, folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                content = file.read()
            found[os.path.relpath(path, folder)] = (hashlib.sha256(content).hexdigest(), len(content))
    return found


def leftovers(folder):
    return [name for where, folders, names in os.walk(folder) for name in folders + names if ".part-" in name]


# Files of a study that tell of the run itself, of a failed one too: they differ, but must be whole JSON.
DIARY = ("study.json", "steps.json")
whole = {}


def check_folder(verb, out, what):
    """Nothing but whole files, and not all of them."""
    assert not leftovers(out), f"{what}: temporaries: {leftovers(out)}"
    found = tree(out)
    for name, content in found.items():
        # On a slow machine a run lives long enough to leave a checkpoint, from which the next one goes on.
        if os.path.basename(name) == ".lock" or ".checkpoint/" in name:
            continue
        if os.path.basename(name) in DIARY:
            with open(os.path.join(out, name)) as file:
                json.load(file)
            continue
        assert name in whole[verb], f"{what}: {name} is new"
        assert content[0] == whole[verb][name][0], f"{what}: {name} is there and not whole"
    assert not set(whole[verb]) <= set(found), f"{what}: nothing is missing"


def check_failure(verb, out, code, message, what):
    assert code == 5, f"{what}: exit code {code}: {message}"
    assert message.startswith("isotrace: ") and out in message, f"{what}: names no file: {message}"
    assert "; " in message, f"{what}: no remedy: {message}"


def size_limit(verb):
    # The diary's length differs by a digit of the seconds it took.
    sizes = sorted({size for name, (_, size) in whole[verb].items() if os.path.basename(name) not in DIARY})
    for limit in sorted({0, 1000, sizes[-1] // 2, sizes[-1] - 1}):
        if limit >= sizes[-1]:
            continue
        out = tempfile.mkdtemp(dir=base)
        code, message = call(verbs(out)[verb], lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        check_failure(verb, out, code, message, f"at most {limit} bytes")
        check_folder(verb, out, f"at most {limit} bytes")
        shutil.rmtree(out)


def no_folder(verb):
    out = tempfile.mkdtemp(dir=base)
    with open(os.path.join(out, "file"), "w") as file:
        file.write("x")
    inside = os.path.join(out, "file")
    code, message = call(verbs(inside)[verb])
    check_failure(verb, out, code, message, "a file in place of the folder")
    assert os.listdir(out) == ["file"]
    if verb not in ("quant", "run", "dicom", "deidentify"):  # these make their folder with its parents
        code, message = call(verbs(os.path.join(out, "absent"))[verb])
        check_failure(verb, out, code, message, "no folder")
        assert os.listdir(out) == ["file"]


def not_allowed(verb):
    out = tempfile.mkdtemp(dir=base)
    os.chmod(out, 0o555)
    become = None
    if os.geteuid() == 0:  # whom no permission stops
        def become():
            os.setgid(65534)
            os.setuid(65534)
        if subprocess.run([ISOTRACE, "--version"], capture_output=True, preexec_fn=become).returncode != 0:
            return "the program cannot be run as nobody"
    code, message = call(verbs(out)[verb], become)
    check_failure(verb, out, code, message, "a folder that may not be written to")
    assert os.listdir(out) == []
    return None


def full_disk(verb):
    out = tempfile.mkdtemp(dir=base)
    total = sum(size for _, size in whole[verb].values())
    if total <= 4096:
        return "a page, the smallest disk, holds all of it"
    pages = max(1, total // 4096 // 2)  # room for about half of it
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4096 * pages}", "tmpfs", out],
                      capture_output=True).returncode != 0:
        return "no file system can be mounted here"
    try:
        code, message = call(verbs(out)[verb])
        check_failure(verb, out, code, message, "a full disk")
        check_folder(verb, out, "a full disk")
    finally:
        subprocess.run(["umount", out], check=True)
    return None


def scratch(verb):
    """Events that find no place in memory find none in the scratch folder either; the volume's own folder is all right."""
    out, there = tempfile.mkdtemp(dir=base), tempfile.mkdtemp(dir=base)
    command = verbs(out)["recon"] + ["--max-memory", "1K", "--scratch"]
    code, message = call(command + [there], lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    check_failure("recon", there, code, message, "at most 1000 bytes")
    assert "--max-memory" in message and "--scratch" in message, message
    absent = os.path.join(there, "absent")
    code, message = call(command + [absent])
    check_failure("recon", absent, code, message, "no folder")
    assert os.listdir(there) == [] and os.listdir(out) == []
    code, message = call(command + [there])
    assert code == 0, message
    assert os.listdir(there) == [] and tree(out) == whole["recon"], "the volume is another one than from memory"


def prepare():
    for name, text in (("scene.yaml", SCENE), ("study.yaml", STUDY), ("subjects.csv", SUBJECTS)):
        with open(given(name), "w") as file:
            file.write(text)
    with open(given("mu.csv"), "w") as file:
        file.write("label,mu_per_cm\n1,0.096\n2,0.1\n")
    code, message = call(["simulate", given("scene.yaml"), "-q", "-o", given("a.lm.h5"), "--labels", given("labels.nii.gz"),
                          "--mu", given("mu.nii.gz"), "--organ-table", given("organs.csv"), "--dose", given("dose.yaml")])
    assert code == 0, message
    out = base
    code, message = call(verbs(out)["recon"])
    assert code == 0, message
    code, message = call(["dicom", given("v.nii.gz"), "-q", "-p", "A", "-o", given("real")])
    assert code == 0, message
    with open(given("report.pdf"), "w") as file:
        file.write("%PDF-1.4\n%%EOF\n")
    with open(given("key"), "w") as file:
        file.write("a secret of the tests")
    for verb in verbs(""):
        out = tempfile.mkdtemp(dir=base)
        code, message = call(verbs(out)[verb])
        assert code == 0, f"{verb}: exit code {code}: {message}"
        whole[verb] = tree(out)
        assert whole[verb] and not leftovers(out), f"{verb}: {os.listdir(out)}"


def main():
    tests = [(verb, test) for verb in verbs("") for test in (size_limit, no_folder, not_allowed, full_disk)]
    tests.append(("recon", scratch))
    print(f"1..{len(tests)}")
    failed = 0
    prepare()
    for number, (verb, test) in enumerate(tests, 1):
        name = f"{number} - disk: {verb}: {test.__name__.replace('_', ' ')}"
        try:
            skipped = test(verb)
            print(f"ok {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
        except (AssertionError, ValueError) as wrong:
            failed += 1
            for line in str(wrong).splitlines():
                print("# " + line)
            print(f"not ok {name}", flush=True)
    return 1 if failed else 0


try:
    sys.exit(main())
finally:
    shutil.rmtree(base, ignore_errors=True)
