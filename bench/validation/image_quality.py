# SPDX-License-Identifier: GPL-3.0-or-later
"""NEMA NU 4-2008, section 6: image quality, accuracy of attenuation and scatter corrections."""
import math

import numpy as np

import figures
import phantoms
import scenes
from images import Volume

# The first word names the files. Points at 5 and 10 mm have widths of 1.3 to 1.7 mm (the phantom "points"), from which the source and the positrons'
# range, modelled by itself, take little: 1.2 mm, with which the mice are reconstructed, is narrower than the scanner at the rods (7 mm).
# The filter is the site's choice; without it the report's largest voxel of a rod is its noisiest (5 mm rod 1.43 with a Gaussian of 1 mm, 1.30 with 1.25 mm,
# 1.20 with 1.5 mm, which costs the 2 mm rod a fifth; 12 s of data). 16 subsets and eight iterations are 128 updates, since cold chambers empty
# slowly: 7 to 8 % after 36 updates, 4 to 5 % after 72, 3 to 4 % after 128.
OSEM = {"iterations": 8, "subsets": 16}
VARIANTS = {"resolution model (1.2 mm), no filter": {}, "resolution model (1.2 mm)": {"post-filter": "gaussian:1.25"}}
# What a scanner of 1.2 mm should recover at least after six iterations; the largest is for the overshoot of a resolution model at edges
# (some 10 %) and for the report's choice of the rod's largest voxel.
RECOVERY = {5: (0.85, 1.25), 4: (0.8, 1.25), 3: (0.7, 1.25), 2: (0.5, 1.25), 1: (0.1, 1.25)}


def report(image, true):
    """The standard's report from an image in Bq/mL; recovery and spill-over as (value, %STD)."""
    voxels = image.voxels[..., 0]
    region = voxels[image.cylinder((0, 0), 11.25, *scenes.IQ_UNIFORM)]
    mean, sd = region.mean(), region.std(ddof=1)
    out = {"mean": mean / true, "std": 100 * sd / mean, "max": region.max() / mean, "min": region.min() / mean, "rods": {}, "cold": {}}
    slab = (image.z >= scenes.IQ_RODS[0]) & (image.z <= scenes.IQ_RODS[1])
    average = voxels[:, :, slab].mean(axis=2)
    for diameter, (x, y) in scenes.RODS:
        near = (image.x[:, None] - x)**2 + (image.y[None, :] - y)**2 <= diameter**2  # a region of twice the rod's diameter
        i, j = np.unravel_index(np.where(near, average, -1).argmax(), average.shape)
        line = voxels[i, j, slab]
        out["rods"][diameter] = (line.mean() / mean, 100 * math.hypot(line.std(ddof=1) / line.mean(), sd / mean))
    for name, centre in scenes.COLD.items():
        cold = voxels[image.cylinder(centre, 2, *scenes.IQ_COLD)]
        spread = cold.std(ddof=1) / cold.mean() if cold.mean() > 0 else math.nan
        out["cold"][name] = (cold.mean() / mean, 100 * math.hypot(spread, sd / mean))
    return out


def run(program, duration_s=40.0):
    result = phantoms.Result("image-quality", "NEMA NU 4-2008 image quality phantom")
    scan = phantoms.simulate(program, "image-quality", scenes.image_quality(duration_s, seed=4))
    factor = phantoms.calibration_file(program)
    result.setup = ("Body of PMMA 33.5 x 63 mm; 30 mm of hot water, five rods of 1 to 5 mm on a circle of 7 mm radius, two cold chambers of 8 mm; 3.7 MBq of "
                    "F-18. Voxels of 0.5 mm, since the profile along the 1 mm rod goes through single voxels; 8 x 16 OSEM; the checks are of the image with resolution model and filter.")
    result.counts = (f"{scan.truth['duration_s']:g} s of the standard's 1200 s, {scan.fates()['trues']:,} trues: means (recovery, spill-over) have the same "
                     f"expectation, the %STD are those of so short a scan, about {math.sqrt(1200 / scan.truth['duration_s']):.1f} times those of 20 min.")
    rows, rods = [], {}
    for model, changes in VARIANTS.items():
        settings = {**phantoms.MOUSE_RECON, **phantoms.corrections(program, scan), "voxel": 0.5, "grid": "72,72,136", **OSEM, "calibration": factor, **changes}
        filtered = "filter" if "post-filter" in changes else "plain"
        base = program.reconstruct(scan, f"image-quality-{model.split()[0]}-{filtered}", settings)
        r = report(Volume(base), scan.organs["hot"]["concentration_bq_per_ml"])
        pair = lambda p: f"{p[0]:.3f} ({p[1]:.0f})"
        rows.append([model + (", Gaussian of 1.25 mm" if filtered == "filter" else ""), f"{100 * (r['mean'] - 1):+.1f}", f"{r['std']:.1f}", f"{r['max']:.2f} / {r['min']:.2f}",
                     *(pair(r["rods"][d]) for d in RECOVERY), *(pair(r["cold"][c]) for c in ("water", "air"))])
        rods[rows[-1][0]] = [(d, r["rods"][d][0], 0.0) for d in sorted(RECOVERY)]
        if model == "resolution model (1.2 mm)":
            result.check("mean of the uniform region", 100 * (r["mean"] - 1), 2, "%")
            for name in ("water", "air"):
                result.check(f"spill-over in {name}", 100 * r["cold"][name][0], 5, "%")
            for d, (low, high) in RECOVERY.items():
                value = r["rods"][d][0]
                result.check(f"recovery of the {d} mm rod, at least {low}", value, high, "", low <= value <= high)
    result.table(["OSEM", "uniform mean off, %", "%STD", "max / min", *(f"rod {d} mm" for d in RECOVERY), "water", "air"], rows)
    result.figures["image-quality-recovery"] = figures.curves("recovery coefficients of the rods by diameter", "mm", rods, level=1, low=0, high=1.4)
    result.remarks.append("Why 1.2 mm: points at 5 and 10 mm have widths of 1.3 to 1.7 mm, so that the model is not wider than the scanner at the rods (7 mm); one that is "
                          "makes small rods overshoot. The standard reads the rods at their largest voxel, which is also their noisiest: hence the filter.")
    result.remarks.append("Recovery and spill-over with their %STD in brackets, as sections 6.4.2 and 6.4.3 define them.")
    return result
