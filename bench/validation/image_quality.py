# SPDX-License-Identifier: GPL-3.0-or-later
"""NEMA NU 4-2008, section 6: image quality, accuracy of attenuation and scatter corrections."""
import math

import numpy as np

import figures
import mice
import phantoms
import scenes
from images import Volume

# The standard's 20 min are 120 parts; so many are simulated.
PART_S, PARTS, STANDARD_S = 10, 36, 1200
# The resolution is the scanner's own, as for the mice: at a radius of 7 mm three quarters of the lines pass a point at 0.55 mm rms, the rest at 1.5 mm. 192
# updates as there, since cold chambers empty slowly; subsets of 1/32 of these counts hold more than those of the mice.
# The filter is the site's choice: the standard reads a rod at its largest voxel, which without it is its noisiest.
OSEM = {"iterations": 6, "subsets": 32, **{key: mice.MICE_RECON[key] for key in ("psf-fwhm", "psf-tail-share", "psf-tail-fwhm")}}
FILTER_MM = 1.25
# What a scanner of 1.2 mm should recover at least; the largest is for the overshoot of a resolution model at edges (some 10 %) and for the
# report's choice of the rod's largest voxel.
RECOVERY = {5: (0.85, 1.25), 4: (0.8, 1.25), 3: (0.7, 1.25), 2: (0.5, 1.25), 1: (0.1, 1.25)}


def report(image, true):
    """The standard's report from an image in Bq/mL, all as parts of the uniform region's mean, which is told as part of the truth;
    recovery and spill-over as (value, %STD)."""
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


def scan_in_parts(program):
    count = max(1, round(PARTS * program.share))
    return phantoms.simulate_parts(program, "image-quality", [scenes.image_quality(PART_S, seed=100 + n, wait_s=n * PART_S) for n in range(count)])


def run(program):
    result = phantoms.Result("image-quality", "NEMA NU 4-2008 image quality phantom")
    scan = scan_in_parts(program)
    trues = program.choose(scan, "image-quality-trues", (0,))
    calibrated, (factor, _) = phantoms.calibration_file(program), phantoms.calibration(program)
    fates, duration_s = scan.fates(), scan.truth["duration_s"]
    result.setup = (f"Body of PMMA 33.5 x 63 mm; 30 mm of hot water, five rods of 1 to 5 mm on a circle of 7 mm radius, two cold chambers of 8 mm; 3.7 MBq of "
                    f"F-18. Voxels of 0.5 mm, since the profile along the 1 mm rod goes through single voxels; {OSEM['iterations']} x {OSEM['subsets']} OSEM with the mice's "
                    f"resolution model; the checks are of the image with all corrections and a Gaussian filter of {FILTER_MM:g} mm.")
    result.counts = (f"{duration_s:g} s of the standard's {STANDARD_S} s, {fates['trues']:,} trues, {fates['scattered']:,} scattered, {fates['randoms']:,} randoms: means "
                     f"have the same expectation, the %STD are about {math.sqrt(STANDARD_S / duration_s):.1f} times those of 20 min.")
    common = {**phantoms.MOUSE_RECON, "voxel": 0.5, "grid": "72,72,136", **OSEM}
    every = {**phantoms.corrections(program, scan), "calibration": calibrated}
    alone = {**every, "randoms": "none", "scatter": "none", "calibration": None, "calibration-factor": factor}
    filtered = {"post-filter": f"gaussian:{FILTER_MM:g}"}
    images = {"all corrections, filter": (scan, "image-quality-filter", {**every, **filtered}),
              "all corrections, no filter": (scan, "image-quality-plain", every),
              "true events alone, filter": (trues, "image-quality-trues-filter", {**alone, **filtered})}
    rows, rods = [], {}
    for label, (of, name, settings) in images.items():
        r = report(Volume(program.reconstruct(of, name, {**common, **settings})), scan.organs["hot"]["concentration_bq_per_ml"])
        rows.append([label, f"{100 * (r['mean'] - 1):+.1f}", f"{r['std']:.1f}", f"{r['max']:.2f} / {r['min']:.2f}",
                     *("{:.3f} ({:.0f})".format(*r["rods"][d]) for d in RECOVERY), *("{:.3f} ({:.0f})".format(*r["cold"][c]) for c in ("water", "air"))])
        rods[label] = [(d, r["rods"][d][0], 0.0) for d in sorted(RECOVERY)]
        if name == "image-quality-filter":
            judge(result, r)
    result.table(["image", "uniform mean off, %", "%STD", "max / min of mean", *(f"rod {d} mm" for d in RECOVERY), "water", "air"], rows)
    result.figures["image-quality-recovery"] = figures.curves("recovery coefficients of the rods by diameter", "mm", rods, level=1, low=0, high=1.4)
    result.remarks.append("Recovery and spill-over with their %STD in brackets, as sections 6.4.2 and 6.4.3 define them: parts of the uniform region's mean. True events alone: the same "
                          "list-mode without what /truth calls scattered or random, reconstructed without those corrections.")
    return result


def judge(result, r):
    result.check("mean of the uniform region", 100 * (r["mean"] - 1), 2, "%")
    for name in ("water", "air"):
        result.check(f"spill-over in {name}", 100 * r["cold"][name][0], 5, "%")
    for d, (low, high) in RECOVERY.items():
        value = r["rods"][d][0]
        result.check(f"recovery of the {d} mm rod, at least {low}", value, high, "", low <= value <= high)
