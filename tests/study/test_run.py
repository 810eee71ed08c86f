#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace run on a tiny study (a small ring, a cylinder with a hot sphere): what is done, what is done again, what
happens when a scan fails or the program is killed. Prints TAP."""
import csv
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ISOTRACE = os.environ["ISOTRACE"]
SHARED = os.environ.get("ISOTRACE_SHARED") or os.path.join(os.environ["ISOTRACE_SOURCE_ROOT"], "../shared")

SCENE = """nuclide: Cu-64
tracer: gold
subject: x
injected_mbq: 2
injection_time: 2026-03-14T09:00:00Z
scan_start_time: 2026-03-14T10:00:00Z
duration_s: 2
seed: %d
physics: {positron_range: true, acollinearity: true, attenuation: true, randoms: true}
detector:
  name: small ring
  rings: 8
  crystals_per_ring: 60
  radius_mm: 40
  ring_spacing_mm: 4
  crystal_size_mm: [4, 4, 10]
  attenuation_per_mm: 0.087
  energy_resolution_percent: 14
  energy_window_kev: [350, 650]
  photofraction: 0.6
  time_resolution_ps: 1500
  coincidence_window_ns: 4
truth_grid:
  size: [30, 30, 24]
  voxel_mm: [1, 1, 1]
organs:
  - {organ: body, label: 1, density_g_per_ml: 1.0, mu_per_cm: 0.096, percent_id_per_g: 10}
  - {organ: liver, label: 2, density_g_per_ml: 1.05, mu_per_cm: 0.1008, percent_id_per_g: 40}
shapes:
  - {organ: body, kind: cylinder, centre_mm: [0, 0, 0], half_axes_mm: [12, 12, 9]}
  - {organ: liver, kind: ellipsoid, centre_mm: [3, 0, 0], half_axes_mm: [5, 5, 5]}
"""
STUDY = """name: tiny
nuclide: Cu-64
subjects: subjects.csv
output: results
scanner:
  calibration_factor: 1000
  calibration_uncertainty_percent: 3
  dead_time_factor: 1
reconstruction:
  scatter: none
  grid_voxels: [16, 16, 14]
  voxel_mm: [2, 2, 2]
  iterations: 2
  subsets: 4
  randoms: delayed
  replicates: 2
organs:
  table: organs.csv
  labels: labels.nii.gz
  mu: mu.nii.gz
dicom:
  species: mouse
"""
HEADER = ("subject,group,particle,listmode,scene,syringe_mbq,syringe_time,residual_mbq,injection_time,body_mass_g,sex,"
          "excluded\n")
ROW = "%s,%s,gold,%s,%s,%s,2026-03-14T09:00:00Z,0,2026-03-14T09:00:00Z,10,F,%s\n"


class Study:
    def __init__(self, folder):
        self.folder = folder
        self.rows = {"A": ["one", "", "a.yaml", 2, ""], "B": ["one", "", "b.yaml", 2, ""], "C": ["two", "c.lm.h5", "", 2, ""]}
        self.study = STUDY
        for number, name in enumerate("abc"):
            with open(self.path(name + ".yaml"), "w") as file:
                file.write(SCENE % number)
        subprocess.run([ISOTRACE, "simulate", self.path("c.yaml"), "-q", "-o", self.path("c.lm.h5"), "--labels",
                        self.path("labels.nii.gz"), "--mu", self.path("mu.nii.gz"), "--organ-table",
                        self.path("organs.csv")], check=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self):
        with open(self.path("study.yaml"), "w") as file:
            file.write(self.study)
        with open(self.path("subjects.csv"), "w") as file:
            file.write(HEADER)
            for name, (group, listmode, scene, mbq, excluded) in self.rows.items():
                file.write(ROW % (name, group, listmode, scene, mbq, excluded))

    def command(self, *options):
        self.write()
        return [ISOTRACE, "run", self.path("study.yaml"), "--json", *options]

    def run(self, *options):
        done = subprocess.run(self.command(*options), capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    def table(self, folder="results"):
        with open(self.path(folder, "biodistribution.csv"), newline="") as file:
            return list(csv.DictReader(file))


def times(folder):
    """Modification time of every file, but for the lock."""
    return {os.path.join(where, name): os.stat(os.path.join(where, name)).st_mtime_ns
            for where, _, names in os.walk(folder) for name in names if name != ".lock"}


def hashes(folder, names):
    found = {}
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


RESULTS = [f"{s}/{f}" for s in "ABC" for f in ("scan.nii.gz", "scan_replicates.nii.gz", "scan.json", "biodistribution.csv")]
RESULTS += ["biodistribution.csv", "biodistribution.json"]


def first_run(study):
    code, said, stderr = study.run()
    check(code == 0, "exit", code, stderr)
    # A and B: simulate, recon, quant, DICOM; C is native list-mode already
    check(said["steps_done"] == 11 and said["steps_skipped"] == 0 and said["steps_failed"] == 0, said)
    check(sorted({r["subject"] for r in study.table()}) == ["A", "B", "C"], study.table())
    check({r["organ"] for r in study.table()} == {"body", "liver"})
    written = os.listdir(study.path("results/A/dicom"))
    check(len(written) == 14 + 2, "one DICOM file per slice, the segmentation and the report", written)
    # The report carries this scan's table: TextValue of the tracking identifiers and the decimals of %ID/g, as they stand there.
    with open(study.path("results/A/dicom/report.dcm"), "rb") as file:
        content = file.read()
    for row in (r for r in study.table() if r["subject"] == "A"):
        check(row["organ"].encode() in content and row["percent_id_per_g"].encode() in content, row)
    with open(study.path("results/study.json")) as file:
        record = json.load(file)
    check([s["state"] for s in record["scans"]] == ["done"] * 3)
    facts = record["scans"][0]["steps"]["recon"]["facts"]
    with open(study.path("results/A/scan.lm.h5"), "rb") as file:
        check(facts["listmode"]["sha256"] == hashlib.sha256(file.read()).hexdigest(), "the hash of the input is recorded")
    check(facts["iterations"] == 2 and facts["calibration_factor"] == 1000, facts)
    with open(study.path("results/biodistribution.json")) as file:
        check([s["subject"] for s in json.load(file)["subjects"]] == ["A", "B", "C"])


def second_run_does_nothing(study):
    before = times(study.path("results"))
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 0 and said["steps_skipped"] == 11, code, said, stderr)
    check(times(study.path("results")) == before, "a file was written")


def changed_dose(study):
    before, old = times(study.path("results")), study.table()
    study.rows["B"][3] = 4
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 2 and said["steps_skipped"] == 9, code, said, stderr)
    changed = {os.path.relpath(f, study.path("results")) for f, t in times(study.path("results")).items() if before.get(f) != t}
    check(all(f.startswith("B/") or "/" not in f for f in changed), changed)
    check("B/scan.nii.gz" not in changed and "B/biodistribution.csv" in changed, changed)
    for now, then in zip(study.table(), old):
        # twice the injected activity is half the %ID/g; all else stands
        wanted = float(then["percent_id_per_g"]) / (2 if now["subject"] == "B" else 1)
        check(abs(float(now["percent_id_per_g"]) - wanted) <= 1e-6 * wanted, now, then)
    study.rows["B"][3] = 2
    check(study.run()[1]["steps_done"] == 2)
    check(study.table() == old, "back to the old dose, back to the old table")


def damaged_output_is_made_again(study):
    good = hashes(study.path("results"), RESULTS)
    with open(study.path("results/A/scan.nii.gz"), "r+b") as file:
        file.seek(100)
        file.write(b"damage")
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] >= 1, code, said, stderr)
    check(hashes(study.path("results"), RESULTS) == good, "not the same result")
    # A report of a run that quantified, and one of a run that did not: the same bytes.
    written = hashes(study.path("results/A/dicom"), ["report.dcm", "segmentation.dcm"])
    os.remove(study.path("results/A/dicom/report.dcm"))
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 1, code, said, stderr)
    check(hashes(study.path("results/A/dicom"), ["report.dcm", "segmentation.dcm"]) == written, "not the same report")


def broken_subject(study):
    study.rows["B"][2] = "nowhere.yaml"
    code, said, stderr = study.run()
    check(code == 4, "exit", code, stderr)
    check("nowhere.yaml" in stderr and "1 of 3" in stderr, stderr)
    check(said["steps_skipped"] == 7 and said["steps_failed"] == 1, said)
    check(sorted({r["subject"] for r in study.table()}) == ["A", "C"], "B is not in the table")
    check(not os.path.exists(study.path("results/B/biodistribution.csv")), "an outdated table was left")
    with open(study.path("results/study.json")) as file:
        scan = json.load(file)["scans"][1]
    check(scan["state"] == "failed" and "nowhere.yaml" in scan["error"], scan)
    study.rows["B"][2] = "b.yaml"
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 4, code, said, stderr)


def holding(folder, word):
    """The files that hold a word, or have it in their name."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                if word.encode() in file.read() + name.encode():
                    found.append(os.path.relpath(path, folder))
    return found


def names_stay_in_the_dicom_files(study):
    """People and places of the study file are in the DICOM files, where they belong, and in no record, table or message; the key
    of a de-identification is nowhere."""
    people = ("Zaphodson", "Heartofgold", "Magrathea")
    named = STUDY + "  responsible_person: %s^Z\n  responsible_organisation: %s\n  institution: %s\n" % people
    study.study = named
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 3 and said["steps_skipped"] == 8, code, said, stderr)
    for name in people:
        places = holding(study.path("results"), name)
        check(len(places) == 3 * 16 and all("/dicom/" in p for p in places), name, places)
        check(name not in stderr + json.dumps(said), stderr)
    study.study = named.replace("Zaphodson", "Zaphodson" * 10, 1)
    code, _, stderr = study.run()
    check(code == 3 and "responsible_person" in stderr and "Zaphodson" not in stderr, code, stderr)
    with open(study.path("key"), "w") as file:
        file.write("unlikely secret of ours\n")
    study.study = named + "  deidentify: key\n"
    code, said, stderr = study.run()
    check(code == 0 and said["steps_done"] == 3 and said["steps_skipped"] == 8, code, said, stderr)
    for word in (*people, "unlikely secret"):
        check(not holding(study.path("results"), word) and word not in stderr, word)
    check(len(holding(study.path("results"), "ANON-")) == 3 * 16)
    with open(study.path("key"), "w") as file:
        file.write("too short\n")
    code, _, stderr = study.run()
    check(code == 3 and "guessed" in stderr and "too short" not in stderr, code, stderr)
    study.study = STUDY
    check(study.run()[1]["steps_done"] == 3)


def all_broken(study):
    kept = {name: list(row) for name, row in study.rows.items()}
    for row in study.rows.values():
        row[1], row[2] = "", "nowhere.yaml"
    code, _, stderr = study.run("-o", study.path("nothing"))
    check(code == 3 and "3 of 3" in stderr, code, stderr)
    check(not os.path.exists(study.path("nothing/biodistribution.csv")))
    study.rows = kept


def excluded(study):
    study.rows["C"][4] = "died"
    code, said, _ = study.run()
    check(code == 0 and said["scans"] == 2, code, said)
    check({r["subject"] for r in study.table()} == {"A", "B"})
    study.rows["C"][4] = ""
    code, said, _ = study.run()
    check(code == 0 and said["steps_done"] == 0 and {r["subject"] for r in study.table()} == {"A", "B", "C"}, said)


def killed_and_resumed(study):
    """Killed after each of several times; goes on each time; the same bits come out."""
    started = time.monotonic()
    code, _, stderr = study.run("-o", study.path("whole"))
    took = time.monotonic() - started
    check(code == 0, stderr)
    killed = 0
    for share in (0.15, 0.35, 0.5, 0.7, 0.85):
        process = subprocess.Popen(study.command("-o", study.path("stopped")), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=max(0.02, share * took / 2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    check(killed > 0, "it was never killed")
    code, said, stderr = study.run("-o", study.path("stopped"))
    check(code == 0 and said["steps_done"] + said["steps_skipped"] == 11, code, said, stderr)
    check(hashes(study.path("stopped"), RESULTS) == hashes(study.path("whole"), RESULTS), "other bits")
    left = [n for where, folders, names in os.walk(study.path("stopped")) for n in folders + names if n.startswith(".part-")]
    check(not left, "left behind:", left)


def threads_do_not_matter(study):
    code, _, stderr = study.run("-o", study.path("single"), "--threads", "1")
    check(code == 0, stderr)
    check(hashes(study.path("single"), RESULTS) == hashes(study.path("whole"), RESULTS), "other bits with one thread")


def mistakes_stop_before_anything(study):
    for old, new, says in (("iterations", "iteration", "iteration"), ("nuclide: Cu-64", "nuclide: Xx-99", "Xx-99"),
                           ("organs.csv", "missing.csv", "missing.csv"), ("subjects.csv", "people.csv", "people.csv")):
        study.study = STUDY.replace(old, new, 1)
        code, said, stderr = study.run("-o", study.path("none"))
        check(code == 3, new, "exit", code, stderr)
        check(says in stderr, stderr)
        check(not os.path.exists(study.path("none")), "something was made for", new)
    study.study = STUDY
    check(subprocess.run([ISOTRACE, "run"], capture_output=True).returncode == 2, "no study: wrong usage")
    check(subprocess.run([ISOTRACE, "run", study.path("absent.yaml")], capture_output=True).returncode == 3)


def contradictions_are_refused(study):
    study.study = STUDY.replace("nuclide: Cu-64", "nuclide: F-18", 1)
    code, _, stderr = study.run("-o", study.path("other"))
    check(code == 3 and "Cu-64" in stderr and "F-18" in stderr, code, stderr)
    study.study = STUDY.replace("  calibration_factor: 1000\n  calibration_uncertainty_percent: 3\n", "", 1)
    code, _, stderr = study.run("-o", study.path("other"))
    check(code == 3 and "calibrat" in stderr, code, stderr)
    study.study = STUDY


def calibration_file(study):
    """A file of isotrace calibrate, made of a scan of this study, gives its own factor back and is part of the facts."""
    scan = study.path("results/C/scan.nii.gz")
    done = subprocess.run([ISOTRACE, "calibrate", scan, "--concentration-bq-per-ml", "1e5", "--assay-time", "2026-03-14T09:00:00Z",
                           "--uncertainty-percent", "4", "--region", "sphere:0,0,0,6", "-o", study.path("cal.json")],
                          capture_output=True, text=True)
    check(done.returncode == 0 and "calibrated with 1000" in done.stderr, done.stderr)
    with open(study.path("cal.json")) as file:
        made = json.load(file)
    rows, study.rows = study.rows, {"C": study.rows["C"]}
    study.study = STUDY.replace("calibration_factor: 1000\n  calibration_uncertainty_percent: 3\n", "calibration: cal.json\n", 1)
    code, _, stderr = study.run("-o", study.path("calibrated"))
    check(code == 0, code, stderr)
    with open(study.path("calibrated/C/scan.json")) as file:
        facts = json.load(file)["isotrace"]
    check(facts["calibration_factor"] == made["factor"] and facts["calibration_uncertainty"] == made["uncertainty"]["total"], facts)
    with open(study.path("calibrated/study.json")) as file:
        check(json.load(file)["scans"][0]["steps"]["recon"]["facts"]["calibration"]["file"] == "cal.json")
    # of an image that was not corrected for attenuation, or stated twice
    study.study = study.study.replace("  mu: mu.nii.gz\n", "", 1)
    code, _, stderr = study.run("-o", study.path("calibrated"))
    check(code == 3 and "attenuation" in stderr, code, stderr)
    study.study = STUDY.replace("scanner:\n", "scanner:\n  calibration: cal.json\n", 1)
    code, _, stderr = study.run("-o", study.path("calibrated"))
    check(code == 3 and "both" in stderr, code, stderr)
    study.study, study.rows = STUDY, rows


def corrections(study):
    """Scatter where nothing is said, because these files state all it needs; a normalisation; each is part of the facts, and a
    change of one redoes the reconstruction and what hangs on it, not the conversion."""
    rows, study.rows = study.rows, {"C": study.rows["C"]}
    norm = study.path("ring.norm.h5")
    made = subprocess.run([ISOTRACE, "normalise", study.path("c.lm.h5"), "-q", "-o", norm, "--source", "cylinder", "--radius", "12",
                           "--length", "18"], capture_output=True, text=True)
    check(made.returncode == 0, made.stderr)

    def done(text):
        study.study = text
        code, said, stderr = study.run("-o", study.path("corrected"))
        check(code == 0, code, stderr)
        with open(study.path("corrected/C/scan.json")) as file:
            corrections = json.load(file)["isotrace"]["corrections"]
        with open(study.path("corrected/study.json")) as file:
            step = json.load(file)["scans"][0]["steps"]["recon"]
        return said, corrections, step["facts"], step["fingerprint"]

    automatic = STUDY.replace("  scatter: none\n", "", 1)
    _, said_of, facts, first = done(automatic)
    check(said_of["scatter"].startswith("single-scatter simulation") and facts["scatter"] == "where possible", said_of, facts)
    with_norm = automatic.replace("scanner:\n", "scanner:\n  normalisation: ring.norm.h5\n", 1)
    said, said_of, facts, second = done(with_norm)
    with open(norm, "rb") as file:
        check(facts["normalisation"] == {"file": "ring.norm.h5", "sha256": hashlib.sha256(file.read()).hexdigest()}, facts)
    check("ring.norm.h5" in said_of["normalisation"] and first != second, said_of)
    check(said["steps_done"] == 3, said)
    said, _, _, same = done(with_norm)
    check(said["steps_done"] == 0 and same == second, said)
    guided = "  algorithm: bsrem\n  prior_within_organs: true\n  psf_fwhm_mm: 1\n  psf_tail_share: 0.2\n  psf_tail_fwhm_mm: 3\n  iterations: 2\n"
    said, said_of, facts, third = done(with_norm.replace("  randoms: delayed\n", "  randoms: none\n  scatter: none\n", 1).replace("  iterations: 2\n", guided, 1))
    with open(study.path("corrected/C/scan.json")) as file:
        prior = json.load(file)["isotrace"]["reconstruction"]["prior"]
    check(prior.endswith("not across the borders of labels.nii.gz") and facts["prior_regions"]["file"] == "labels.nii.gz", prior, facts)
    check(said_of["resolution"].startswith("image-space Gaussian 1 mm FWHM, 0.2 of it 3 mm") and facts["psf_tail_share"] == 0.2, said_of, facts)
    check(said_of["scatter"] == said_of["randoms"] == "" and facts["randoms"] == facts["scatter"] == "none" and third != second, said_of)
    # asked for without its data
    for text, word in ((with_norm.replace("dead_time_factor: 1", "dead_time: singles", 1), "singles"),
                       (automatic.replace("  mu: mu.nii.gz\n", "", 1).replace("replicates", "scatter: sss\n  replicates", 1), "mu")):
        study.study = text
        code, _, stderr = study.run("-o", study.path("corrected"))
        check(code == 3 and word in stderr, code, stderr)
    study.study, study.rows = STUDY, rows


def one_run_at_a_time(study):
    with open(study.path("results/.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, stderr = study.run()
    check(code == 2 and "another" in stderr, code, stderr)


def unreachable_pacs(study):
    with open(study.path("pacs.yaml"), "w") as file:
        file.write("queue: queue\nreceivers: [{name: nobody, aet: NOBODY, host: 127.0.0.1, port: 1, retries: 0}]\n")
    code, said, stderr = study.run("--pacs", "somebody", "--pacs-config", study.path("pacs.yaml"))
    check(code == 2 and "nobody" in stderr, code, stderr)
    code, said, stderr = study.run("--pacs", "nobody", "--pacs-config", study.path("pacs.yaml"))
    check(code == 5 and said["steps_failed"] == 3, code, said, stderr)
    check({r["subject"] for r in study.table()} == {"A", "B", "C"}, "the results are there all the same")
    code, said, _ = study.run()
    check(code == 0 and said["steps_done"] == 0, code, said)


def safir_export(study):
    """A vendor's export with its crystal map, from the row to the table."""
    folder = os.path.join(SHARED, "safir_virtual" if os.path.isdir(os.path.join(SHARED, "safir_virtual")) else "data/safir_virtual")
    if not os.path.isdir(folder):
        return "no shared data"
    there = study.path("safir")
    os.makedirs(there)
    with open(os.path.join(there, "study.yaml"), "w") as file:
        text = STUDY.replace("nuclide: Cu-64", "nuclide: F-18").replace("scanner:\n", f"scanner:\n  crystal_map: {folder}/crystal_map_front.txt\n")
        text = text.replace("grid_voxels: [16, 16, 14]", "grid_voxels: [18, 18, 14]").replace("  sensitivity_lines: 0\n", "")
        text = text.replace("replicates: 2", "replicates: 0\n  sensitivity_lines: 200000")
        file.write(text.replace("labels.nii.gz", "../labels.nii.gz").replace("  mu: mu.nii.gz\n", "").replace("organs.csv", "../organs.csv"))
    with open(os.path.join(there, "subjects.csv"), "w") as file:
        file.write("subject,listmode,start_time,syringe_mbq,syringe_time,residual_mbq,injection_time\n"
                   f"point,{folder}/point_5.clm.safir,2026-03-14T10:00:00Z,5,2026-03-14T09:00:00Z,0,2026-03-14T09:30:00Z\n")
    done = subprocess.run([ISOTRACE, "run", os.path.join(there, "study.yaml"), "--json"], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    with open(os.path.join(there, "results/biodistribution.csv"), newline="") as file:
        rows = {r["organ"]: float(r["percent_id_per_g"]) for r in csv.DictReader(file)}
    # The source is at (4.6, 0, 0) mm: inside the sphere of 5 mm around (3, 0, 0), not in the cylinder around it.
    check(rows["liver"] > 20 * rows["body"] > 0, rows)
    return None


TESTS = [first_run, second_run_does_nothing, changed_dose, damaged_output_is_made_again, broken_subject, all_broken, excluded,
         names_stay_in_the_dicom_files,
         killed_and_resumed, threads_do_not_matter, mistakes_stop_before_anything, contradictions_are_refused,
         calibration_file, corrections, one_run_at_a_time, unreachable_pacs, safir_export]


def main():
    folder = tempfile.mkdtemp(prefix="isotrace-study-")
    print(f"1..{len(TESTS)}")
    failed = False
    try:
        study = Study(folder)
        for number, test in enumerate(TESTS, 1):
            try:
                skipped = test(study)
                print(f"ok {number} - {test.__name__.replace('_', ' ')}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
            except Exception as error:  # one broken test must not hide the others
                failed = True
                for line in f"{type(error).__name__}: {error}".splitlines():
                    print("# " + line)
                print(f"not ok {number} - {test.__name__.replace('_', ' ')}", flush=True)
    finally:
        shutil.rmtree(folder)
    sys.exit(failed)


main()
