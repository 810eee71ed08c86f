# SPDX-License-Identifier: GPL-3.0-or-later
"""isotrace simulate as a user runs it: files, truth, options, and scenes that are wrong. Prints TAP."""
import csv
import json
import math
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import nibabel
    import numpy
except ImportError as missing:
    print("1..0 # SKIP %s" % missing)
    sys.exit(0)

ISOTRACE = os.environ["ISOTRACE"]
ROOT = os.environ["ISOTRACE_SOURCE_ROOT"]
MOUSE = os.path.join(ROOT, "sample_data", "mouse.scene.yaml")
CYLINDER = os.path.join(ROOT, "sample_data", "cylinder.scene.yaml")
tests = []
folder = tempfile.mkdtemp(prefix="isotrace-simulate-")


def test(function):
    tests.append(function)
    return function


def path(name):
    return os.path.join(folder, name)


def run(*arguments):
    return subprocess.run([ISOTRACE, "simulate", *arguments], capture_output=True, text=True)


def events_of(name):
    """Every dataset of the file that is as long as the events, as bytes."""
    found = {}
    with h5py.File(name, "r") as file:
        file.visititems(lambda key, item: found.update({key: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    return found


@test
def mouse_and_its_truth():
    result = run(MOUSE, "-o", path("m.lm.h5"), "--duration", "2", "--labels", path("l.nii.gz"), "--organ-table",
                 path("l.csv"), "--mu", path("mu.nii.gz"), "--activity", path("a.nii.gz"), "--dose", path("d.yaml"), "--json")
    assert result.returncode == 0, result.stderr
    truth = json.load(open(path("m.truth.json")))
    assert truth == json.loads(result.stdout)
    organs = {row["organ"]: row for row in truth["organs"]}
    # spleen: one ellipsoid of half axes 2, 2.4, 6 mm at 1.05 g/mL
    volume = 4 / 3 * math.pi * 2 * 2.4 * 6 / 1000
    assert abs(organs["spleen"]["volume_ml"] / volume - 1) < 1e-9
    assert abs(organs["spleen"]["mass_g"] / (1.05 * volume) - 1) < 1e-9
    # 24 h at 12.7004 h half-life
    left = 2 ** (-24 / 12.7004)
    assert abs(organs["spleen"]["activity_bq"] / (10e6 * 0.12 * 1.05 * volume * left) - 1) < 1e-6
    assert 24 < truth["whole_body"]["mass_g"] < 26
    assert all(row["volume_ml"] > 0.1 for row in truth["organs"])
    # images against the organs: labels vote per voxel of 0.5 mm; a surface of n voxels is wrong by some sqrt(n)/4 voxels,
    # far below 1 % of the smallest organ (960 voxels, 500 on the surface)
    labels = nibabel.load(path("l.nii.gz")).get_fdata()
    table = {row["organ"]: row for row in csv.DictReader(open(path("l.csv")))}
    for name, row in organs.items():
        assert int(table[name]["label"]) == row["label"]
        volume = (labels == row["label"]).sum() * 0.5 ** 3 / 1000
        assert abs(volume / row["volume_ml"] - 1) < 0.02, (name, volume, row["volume_ml"])
    activity = nibabel.load(path("a.nii.gz")).get_fdata().sum() * 0.5 ** 3 / 1000
    assert abs(activity / truth["whole_body"]["activity_bq"] - 1) < 0.002
    mu = nibabel.load(path("mu.nii.gz")).get_fdata()
    assert abs(mu.max() - 0.1267) < 1e-6 and mu.min() == 0
    dose = open(path("d.yaml")).read()
    assert "nuclide: Cu-64" in dose and "2026-03-14T09:00:00Z" in dose
    counts = truth["counts"]
    info = subprocess.run([ISOTRACE, "info", "--json", path("m.lm.h5")], capture_output=True, text=True)
    if info.returncode == 0:
        facts = json.loads(info.stdout)
        assert facts["prompts"] == counts["trues"] + counts["randoms"], facts
        assert facts["delayeds"] == counts["delayeds"]


@test
def same_events_for_any_threads_but_not_any_seed():
    for name, options in {"t1": ["--threads", "1"], "t2": ["--threads", "2"], "s": ["--seed", "2"]}.items():
        result = run(CYLINDER, "-o", path(name + ".lm.h5"), "--duration", "0.3", "--scale", "20", "-q", *options)
        assert result.returncode == 0 and result.stdout == "", result.stderr
    one, two, other = (events_of(path(name + ".lm.h5")) for name in ("t1", "t2", "s"))
    assert one.keys() == two.keys() and all(one[key] == two[key] for key in one)
    assert one != other


ELECTRONICS = """electronics:
  dead_time_model: non_paralyzable
  dead_time_ns: 300
  pile_up_ns: 60
  multiples: all_pairs
  delayed_offset_ns: 400
  efficiency_spread_percent: 12
  efficiency_distribution: log_normal
  singles_interval_s: 0.02
detector:
  block_crystals: [14, 8]
"""


@test
def electronics_and_the_truth_of_events():
    with open(path("e.yaml"), "w") as file:
        file.write(open(CYLINDER).read().replace("detector:\n", ELECTRONICS))
    result = run(path("e.yaml"), "-o", path("e.lm.h5"), "--duration", "0.05", "--scale", "40", "--json")
    assert result.returncode == 0, result.stderr
    counts = json.loads(result.stdout)["counts"]
    with h5py.File(path("e.lm.h5"), "r") as file:
        prompt = file["events/kind"][:] == 0
        fate = file["truth/fate"][:]
        for value, name in enumerate(["trues", "scattered", "randoms", "prompt_gammas", "background"]):
            assert (fate[prompt] == value).sum() == counts[name], name
        assert counts["trues"] > 1000 and counts["randoms"] > 100
        assert (fate[~prompt] == 2).all() and (~prompt).sum() == counts["delayeds"] > 100
        assert prompt.sum() == counts["prompts"] == sum(
            counts[name] for name in ("trues", "scattered", "randoms", "prompt_gammas", "background"))
        assert file["truth/scatters"].shape == fate.shape
        assert file["singles/counts"].shape == (3, 64 * 196)  # 50 ms in intervals of 20 ms
        assert file["singles/counts"][:].sum() == counts["singles"]
        assert (file["singles/group"][:] == numpy.arange(64 * 196)).all()
        assert list(file["scanner"].attrs["block_crystals"]) == [14, 8]
        assert (file["scanner/efficiency"][:] == 1).all()
        efficiency = file["truth/efficiency"][:]
        # 5 standard errors of mean and deviation of 12544 crystals, the latter widened by the tail
        assert abs(efficiency.mean() - 1) < 5 * 0.12 / 112 and abs(efficiency.std() - 0.12) < 7 * 0.12 / 158
    assert counts["lost_dead_time"] > 0 and counts["piled_up"] > 0
    assert counts["photons"] == sum(counts[name] for name in (
        "lost_dead_time", "piled_up", "lost_efficiency", "outside_window", "singles"))
    info = subprocess.run([ISOTRACE, "info", "--json", path("e.lm.h5")], capture_output=True, text=True)
    facts = json.loads(info.stdout)
    assert facts["singles"] == {"photons": counts["singles"], "groups": 12544, "interval_s": 0.02, "intervals": 3}
    assert facts["blocks"] == {"number": 112, "crystals_transaxial": 14, "crystals_axial": 8}
    # the same crystals in another scan: a norm scan corrects the scans that follow it
    found = {}
    for seed in ("21", "22"):
        for own in ("", "  efficiency_seed: 9\n"):
            with open(path("s.yaml"), "w") as file:
                file.write(open(CYLINDER).read().replace("detector:\n", ELECTRONICS.replace("  singles_interval_s", own + "  singles_interval_s")))
            assert run(path("s.yaml"), "-o", path("s.lm.h5"), "--duration", "0.002", "--seed", seed).returncode == 0
            with h5py.File(path("s.lm.h5"), "r") as file:
                found[seed, own != ""] = file["truth/efficiency"][:]
    assert (found["21", True] == found["22", True]).all() and (found["21", False] != found["22", False]).any()
    # without electronics the fate is known, too
    result = run(CYLINDER, "-o", path("f.lm.h5"), "--duration", "0.2", "--scale", "40", "--json")
    counts = json.loads(result.stdout)["counts"]
    with h5py.File(path("f.lm.h5"), "r") as file:
        prompt = file["events/kind"][:] == 0
        fate = file["truth/fate"][:]
        assert (fate[prompt] == 0).sum() == counts["trues"] and (fate[prompt] == 2).sum() == counts["randoms"] > 0
        assert "singles" not in file and "efficiency" not in file["truth"]


@test
def electronics_that_are_wrong():
    for old, new, message in [
            ("model: non_paralyzable", "model: extending", "dead_time_model 'extending' is not possible"),
            ("  dead_time_ns: 300\n", "", "contradict"),
            ("multiples: all_pairs", "multiples: some", "multiples 'some' is not possible"),
            ("delayed_offset_ns: 400", "delayed_offset_ns: 5", "delayed_offset_ns is 5"),
            ("block_crystals: [14, 8]", "block_crystals: [13, 8]", "blocks of 13 x 8"),
            ("  block_crystals: [14, 8]\n", "", "there are none"),
            ("  singles_interval_s", "  efficiency_seed: 0.5\n  singles_interval_s", "efficiency_seed"),
            ("efficiency_spread_percent: 12", "efficiency_spread: 12", "efficiency_spread")]:
        assert old in ELECTRONICS, old
        broken("detector:\n", ELECTRONICS.replace(old, new), message)
    with open(path("material.yaml"), "w") as file:
        file.write(open(CYLINDER).read().replace("  photofraction: 0.6", "  #").replace(
            "  attenuation_per_mm: 0.087", "  crystal_material: LSO  #"))
    refused(run(path("material.yaml"), "-o", path("bad.lm.h5")), 3, "need the electronics")
    broken("detector:\n", "electronics: {}\ndetector:\n  block_crystals: [14]\n", "line")


@test
def uptakes_from_a_table():
    with open(path("u.csv"), "w") as file:
        file.write("organ,percent_id_per_g\nliver,9.5\n")
    result = run(MOUSE, "-o", path("u.lm.h5"), "--duration", "0.2", "--uptake", path("u.csv"), "--subject", "M07", "--json")
    assert result.returncode == 0, result.stderr
    truth = json.loads(result.stdout)
    assert truth["subject"] == "M07"
    assert {row["organ"]: row["percent_id_per_g"] for row in truth["organs"]}["liver"] == 9.5
    with open(path("u.csv"), "w") as file:
        file.write("organ,percent_id_per_g\ngizzard,9.5\n")
    refused(run(MOUSE, "-o", path("bad.lm.h5"), "--uptake", path("u.csv")), 3, "u.csv: line 2", "gizzard")


@test
def uptakes_that_change():
    text = open(CYLINDER).read().replace("randoms: true", "randoms: false").replace(
        "percent_id_per_g: 2}", "time_course: [{percent_id_per_g: 3, half_life_s: 60}, {percent_id_per_g: 1}]}")
    with open(path("course.yaml"), "w") as file:
        file.write(text.replace("scan_start_time: 2026-03-14T09:00:00Z", "scan_start_time: 2026-03-14T09:01:00Z"))
    result = run(path("course.yaml"), "-o", path("c.lm.h5"), "--duration", "1", "--scale", "0.1", "--json")
    assert result.returncode == 0, result.stderr
    organ = json.loads(result.stdout)["organs"][0]
    assert abs(organ["percent_id_per_g"] - 2.5) < 1e-9  # a half-life after the injection
    assert organ["time_course"] == [{"percent_id_per_g": 3.0, "half_life_s": 60.0}, {"percent_id_per_g": 1.0, "half_life_s": None}]
    broken("percent_id_per_g: 2}", "percent_id_per_g: 2, time_course: [{percent_id_per_g: 3, half_life_s: 60}]}", "time_course")
    broken("percent_id_per_g: 2}", "time_course: [{percent_id_per_g: 3, half_life_s: 0}]}", "half-life of 0")
    broken("percent_id_per_g: 2}", "time_course: [{percent_id_per_g: -3, half_life_s: 9}]}", "the uptake of 'cylinder' is -")
    broken("percent_id_per_g: 2}", "time_course: [{half_life_s: 9}]}", "percent_id_per_g is missing")
    broken("percent_id_per_g: 2}", "time_course: []}", "percent_id_per_g is missing")
    broken("percent_id_per_g: 2}", "time_course: [{percent_id_per_g: 3, half_time_s: 9}]}", "half_time_s")


def refused(result, code, *texts):
    assert result.returncode == code, (result.returncode, result.stderr)
    for text in texts:
        assert text in result.stderr, (text, result.stderr)
    left = [name for name in os.listdir(folder) if name.startswith(("bad", ".part"))]
    assert not left, left


def broken(old, new, *texts):
    text = open(CYLINDER).read()
    assert old in text, old
    with open(path("scene.yaml"), "w") as file:
        file.write(text.replace(old, new, 1))
    refused(run(path("scene.yaml"), "-o", path("bad.lm.h5")), 3, "scene.yaml", *texts)


@test
def scenes_that_are_wrong():
    text = open(CYLINDER).read().split("\n")
    line = 1 + next(n for n, row in enumerate(text) if row.startswith("duration_s"))
    broken("duration_s: 300", "duration_minutes: 5", "line %d" % line, "duration_minutes")
    broken("duration_s: 300", "duration_s: 300 s", "line %d" % line, "'300 s' is not a number")
    broken("duration_s: 300", "duration_s: -300", "duration_s is -300")
    broken("duration_s: 300\n", "", "duration_s is missing")
    broken("nuclide: Cu-64", "nuclide: Xx-99", "Xx-99")
    broken("nuclide: Cu-64", "nuclide: Tc-99m", "no positrons")
    broken("half_axes_mm: [15, 15, 35]", "half_axes_mm: [15, -15, 35]", "half axes 15, -15, 35")
    broken("half_axes_mm: [15, 15, 35]", "half_axes_mm: [55, 15, 35]", "into the detector")
    broken("half_axes_mm: [15, 15, 35]", "half_axes_mm: [15, 15]", "line")
    broken("organ: cylinder, kind", "organ: sphere, kind", "'sphere' is not an organ")
    broken("kind: cylinder", "kind: cone", "'cone' is not a shape")
    broken("shapes:\n", "  - {organ: ghost, label: 2, density_g_per_ml: 1, mu_per_cm: 0, percent_id_per_g: 1}\nshapes:\n",
           "'ghost' has no shape")
    broken("label: 1,", "label: 0,", "label '0' is not possible")
    broken("density_g_per_ml: 1.00", "density_g_per_ml: 0", "0 g/mL")
    broken("injection_time: 2026-03-14T09:00:00Z", "injection_time: 09:00", "'09:00' is not a moment")
    broken("injection_time: 2026-03-14T09", "injection_time: 2026-03-14T10", "3600 s before the injection")
    broken("attenuation: true", "attenuation: maybe", "'maybe' is neither true nor false")
    broken("photofraction: 0.6", "photofraction: 1.6", "photofraction is 1.6")
    broken("energy_window_kev: [350, 650]", "energy_window_kev: [650, 350]", "energy_window_kev is 650")
    broken("percent_id_per_g: 2", "percent_id_per_g: 0", "no activity")
    refused(run(path("none.yaml"), "-o", path("bad.lm.h5")), 3, "none.yaml")


@test
def wrong_usage():
    refused(run(), 2, "which scene")
    refused(run(CYLINDER), 2, "-o")
    refused(run(CYLINDER, "-o", path("bad.lm.h5"), "--seed", "x"), 2, "--seed x")
    refused(run(CYLINDER, "-o", path("bad.lm.h5"), "--duration", "0"), 2, "--duration 0")
    refused(run(CYLINDER, "-o", os.path.join(folder, "no", "such", "bad.lm.h5"), "--duration", "0.1"), 5)


failed = 0
print("1..%d" % len(tests))
for number, function in enumerate(tests, 1):
    try:
        function()
        print("ok %d - simulate-cli: %s" % (number, function.__name__.replace("_", " ")))
    except Exception as problem:  # an assertion, or a file that is not there
        failed += 1
        print("# %s: %s" % (type(problem).__name__, problem))
        print("not ok %d - simulate-cli: %s" % (number, function.__name__.replace("_", " ")))
subprocess.run(["rm", "-r", folder])
sys.exit(1 if failed else 0)
