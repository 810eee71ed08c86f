# SPDX-License-Identifier: GPL-3.0-or-later
"""The phantoms of bench/validation at low counts: a cylinder, points, a mouse with F-18. Prints TAP.

In the first three, scatter, dead time and the other effects of bench/validation/scenes.py EFFECTS stay off: each has tests of its own, and
scripts/validate physics proves the whole. The last one is a scan with all of them, whose estimated background is set against the events' true fates."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.environ["ISOTRACE_SOURCE_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "bench", "validation"))
try:
    import h5py
    import nibabel
    import numpy
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(0)

import mice
import monte_carlo
import phantoms
import scenes
from images import Volume, centroid, relative_sd, sidecar
from program import Program

folder = tempfile.mkdtemp(prefix="isotrace-phantoms-")
program = Program(os.environ["ISOTRACE"], folder, say=lambda *words, **keys: None)
COARSE = {"iterations": 3, "subsets": 8, "psf-fwhm": 1.2, "positron-range": True, "randoms": "delayed", "replicates": 4, "sensitivity-lines": 500000}
checks = []


def check(what, value, limit, unit):
    checks.append((abs(value) <= limit, f"{what}: {value:+.3g}, limit {limit:.3g} {unit}"))


def cylinder(name, diameter, mbq, seconds, seed):
    """(mean inside / true concentration, its relative sd) without calibration."""
    scan = program.simulate(name, scenes.uniform_cylinder(scenes.MOUSE_PET, diameter, 40, mbq, seconds, seed))
    base = program.reconstruct(scan, name, {**COARSE, "voxel": 1.6, "grid": phantoms.grid((diameter, diameter, 40), 1.6), "uncalibrated": True,
                                            "mu": scan.base + ".mu.nii.gz"})
    image, parts = Volume(base), Volume(base, replicates=True)
    inside = image.cylinder((0, 0), diameter / 2 - 4, -14, 14)
    branching = sidecar(base)["isotrace"]["branching_fraction"]
    return image.mean(inside) / scan.organs["cylinder"]["concentration_bq_per_ml"] / branching, relative_sd(parts.means(inside))


def cylinders():
    """Two sizes must agree: without attenuation correction the larger one reads 17 % less (exp(-0.096 / cm x 2 cm)). The limit is 2 % for what is
    not noise and 4 standard deviations, which four replicates know to 40 %; so the noise has a limit, too: sqrt(60,000) is 0.4 %, and the
    reconstruction, which solves for the inside of the object, multiplies it by up to 5."""
    small, small_sd = cylinder("small", 20, 2, 0.8, 1)
    large, large_sd = cylinder("large", 40, 2, 1.2, 2)
    sd = 100 * numpy.hypot(small_sd, large_sd)
    check("mean of a 40 mm cylinder from a 20 mm one's", 100 * (large / small - 1), 2 + 4 * min(sd, 2.5), "%")
    check("noise of the means", sd, 2.5, "%")
    return 1 / small, min(100 * small_sd, 2)


def points():
    """8,000 trues of a spot of 0.6 mm (standard deviation, with positron range) know the centroid to 0.007 mm along each axis; the limit is the
    proof's own."""
    for n, at in enumerate(((3.0, 4.0, 0.4), (0.0, -10.0, 25.6))):
        scan = program.simulate(f"point-{n}", scenes.point_source(at, 0.2, 1.3, seed=3 + n))
        base = program.reconstruct(scan, f"point-{n}", {"iterations": 2, "subsets": 4, "voxel": 0.5, "grid": "28,28,28", "replicates": 0, "uncalibrated": True,
                                                        "centre": ",".join(f"{c:g}" for c in at), "mu": scan.base + ".mu.nii.gz",
                                                        "randoms": "delayed", "sensitivity-lines": 500000})
        check(f"point at {at}: distance from its place", numpy.linalg.norm(numpy.subtract(centroid(Volume(base), at, 5), at)), 0.1, "mm")


def mouse(factor, factor_percent):
    """The limits of the full proof, 3 and 7 %, with 2 % for the coarse sensitivity, and four standard deviations of the calibration and of the
    organ's counts (from four replicates and so noisy itself: no more than 8 % is believed)."""
    scan = program.simulate("mouse", scenes.mouse("F-18", 5, 2.2, 5))
    found, _ = mice.organs(program, "mouse", scan, factor, {**COARSE, "voxel": 1, "grid": "38,32,86", "iterations": 2}, replicates=4)
    total = sum(value * scan.organs[organ]["mass_g"] for organ, (value, _) in found.items())
    true_total = sum(row["percent_id"] for row in scan.organs.values())
    check("mouse: activity of all organs", 100 * (total / true_total - 1), 3 + 4 * factor_percent, "%")
    for organ, (value, sd) in found.items():
        true = scan.organs[organ]
        check(f"mouse: {organ}", 100 * (value / true["percent_id_per_g"] - 1),
              mice.limit_percent(true["volume_ml"]) + 2 + 4 * numpy.hypot(factor_percent, min(100 * sd, 8)), "%")


def background():
    """As many randoms as trues, dead time of 100 ns. Randoms: 1 % and four standard deviations of their own number and of the delayeds'. Scatter, scaled
    to the total: 5 % and four standard deviations, of the true scattered events and of prompts less randoms, which the estimate is made
    from. Profiles: 5 % of the maximum and, since the worst of 23 bins is looked at, five standard deviations of the fullest one."""
    scene = scenes.uniform_cylinder({**scenes.MOUSE_PET}, 40, 60, 200, 0.006, seed=5)
    for key in ("photofraction", "attenuation_per_mm"):
        del scene.detector[key]
    scene.detector.update(crystal_material="LSO", block_crystals=[7, 8])
    scene.physics["scatter"] = scene.materials = True
    scene.electronics = {"dead_time_model": "non_paralyzable", "dead_time_ns": 100, "singles_interval_s": 0.001}
    scan = program.simulate("busy", scene)
    fates = scan.fates()
    prompts, randoms, scattered = sum(fates.values()), fates["randoms"], fates["scattered"]
    for how, more in (("delayed", {"scatter": "none", "iterations": 1}), ("singles", {"scatter-scale": "total"})):
        path = os.path.join(folder, how + ".json")
        program.reconstruct(scan, "busy-" + how, {**COARSE, "replicates": 0, "randoms": how, "voxel": 3.2, "grid": phantoms.grid((40, 40, 60), 3.2), "psf-fwhm": 4,
                                                  "uncalibrated": True, "mu": scan.base + ".mu.nii.gz", "dead-time": "singles", "write-background": path, **more})
        with open(path) as file:
            made = json.load(file)
        check(f"randoms from {how}", 100 * (made["randoms"] / randoms - 1), 1 + 400 * numpy.sqrt(2 / randoms), "%")
    check("scatter", 100 * (made["scatter"] / scattered - 1), 5 + 400 * numpy.hypot(numpy.sqrt(1 / scattered), numpy.sqrt(prompts + randoms) / (prompts - randoms)), "%")
    for kind in ("randoms", "scatter"):
        for name, where in zip(("radial", "axial"), monte_carlo.lines(scan, monte_carlo.FATE[kind])):
            true = numpy.histogram(where, made[name]["edges_mm"])[0]
            off = 100 * (numpy.array(made[name][kind]) - true) / true.max()
            check(f"{name} profile of {kind}, % of its maximum", off[abs(off).argmax()], 5 + 500 / numpy.sqrt(true.max()), "%")


def other_listmode():
    """A scan in two parts is one scan of both; the true events alone are those that the Monte Carlo calls true. Exact, so the limits are 0."""
    scenes_of_parts = [scenes.image_quality(1, seed=8 + n, wait_s=n) for n in range(2)]
    for scene in scenes_of_parts:
        scene.facts["injected_mbq"] = 0.1
        scene.detector["block_crystals"] = [7, 8]
        scene.electronics = {"dead_time_model": "non_paralyzable", "dead_time_ns": 100}
    parts = [program.simulate(f"part-{n}", scene) for n, scene in enumerate(scenes_of_parts)]
    whole = program.join("whole", parts)
    trues = program.choose(whole, "trues", (0,))
    for name, scan, prompts in (("two parts joined", whole, sum(p.truth["counts"]["prompts"] for p in parts)),
                                ("true events alone", trues, sum(p.truth["counts"]["trues"] for p in parts))):
        said = json.loads(subprocess.run([program.path, "info", "--json", scan.listmode], capture_output=True, check=True).stdout)
        check(f"{name}: prompts missing", said["prompts"] - prompts, 0, "")
        check(f"{name}: duration", said["duration_s"] - 2, 0, "s")
        with h5py.File(scan.listmode) as file:
            late = file["events/time_ms"][:] >= 1000
            check(f"{name}: events before the second part's first", numpy.count_nonzero(late[:file["events/index"][1]]), 0, "")
            check(f"{name}: events of the first part behind it", numpy.count_nonzero(~late[file["events/index"][1]:]), 0, "")


try:
    other_listmode()
    background()
    calibration = cylinders()
    points()
    mouse(*calibration)
finally:
    shutil.rmtree(folder)
print(f"1..{len(checks)}")
for number, (good, what) in enumerate(checks, 1):
    print(f"{'ok' if good else 'not ok'} {number} - {what}")
sys.exit(not all(good for good, _ in checks))
