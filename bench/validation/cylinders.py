# SPDX-License-Identifier: GPL-3.0-or-later
"""Uniform cylinders of 30, 60 and 150 mm at 0.1, 1 and 5 times the activity at which randoms equal trues."""
import math

import numpy as np

import figures
import phantoms
import scenes
from images import Volume, relative_sd, sidecar

SIZES = {30: (80, 1.0), 60: (80, 1.6), 150: (150, 5.0)}  # diameter: length and voxel in mm
TIMES = (0.1, 1, 5)
PILOT_DECAYS = 4e6


def detector_of(diameter):
    return scenes.CLINICAL_PET if diameter == 150 else scenes.MOUSE_PET


def equal_activity(program, diameter):
    """Activity in MBq at which randoms equal trues (scattered ones included), and trues per MBq and second there. Randoms grow as
    the square and trues as the first power of the activity: two steps from a guess are within some percent, also where dead time
    bends both."""
    mbq = 100.0
    for turn in range(3):
        scene = scenes.uniform_cylinder(detector_of(diameter), diameter, SIZES[diameter][0], mbq, max(PILOT_DECAYS / (mbq * 1e6), 0.004),
                                        seed=diameter)
        share, program.share = program.share, 1.0
        scan = phantoms.simulate(program, f"cylinder-{diameter}-pilot-{turn}", scene)
        program.share = share
        fates = scan.fates()
        trues, randoms = fates["trues"] + fates["scattered"], max(fates["randoms"], 1)
        per_mbq = trues / scan.truth["duration_s"] / mbq
        if abs(randoms / trues - 1) < 0.05:
            break
        mbq *= trues / randoms
    return mbq, per_mbq


def profiles(image, parts, diameter, length, edge_mm):
    """Mean of all that is farther than edge_mm from the surface, its relative sd, and the means over eight rings of equal area and
    twelve slabs relative to it: [(where in mm, value, sd)] for radius and axis."""
    radius, half = diameter / 2 - edge_mm, length / 2 - edge_mm
    bounds = radius * np.sqrt(np.arange(9) / 8)
    r2 = image.x[:, None]**2 + image.y[None, :]**2
    along = np.abs(image.z) <= half
    slabs = np.array_split(np.flatnonzero(along), 12)
    region = image.cylinder((0, 0), radius, -half, half)
    whole, part_whole = image.mean(region), parts.means(region)
    ring_masks = [((r2 >= a * a) & (r2 < b * b))[:, :, None] & along for a, b in zip(bounds, bounds[1:])]
    slab_masks = [(r2 <= radius**2)[:, :, None] & np.isin(np.arange(len(image.z)), s) for s in slabs]
    centres = (0.5 * (bounds[1:] + bounds[:-1]), [image.z[s].mean() for s in slabs])
    lines = []
    for at, masks in zip(centres, (ring_masks, slab_masks)):
        part = np.array([parts.means(mask) / part_whole for mask in masks])
        size = np.array([mask.sum() for mask in masks])
        # One variance for all bins, by their size: eight replicates alone would know each bin's to a quarter only.
        pooled = np.mean(part.var(axis=1, ddof=1) * size) / parts.voxels.shape[3]
        lines.append([(float(a), float(image.mean(mask) / whole), math.sqrt(pooled / n)) for a, mask, n in zip(at, masks, size)])
    return whole, relative_sd(part_whole), lines


def wanted_trues(diameter, times):
    """A mean is known to 0.5 % from 0.4 million trues, a quarter of its limit. At five times the activity each true brings five randoms and five delayeds:
    small voxels then hold so much noise that what may not be negative moves the mean, 2 % down from 0.6 million trues and scattered in the mouse PET
    (docs/decisions/037), 4 % up from 0.25 million in the clinical one, whose dead time takes half of the trues that are asked for (docs/decisions/063)."""
    if times != 5:
        return 4e5
    return 1.2e6 if diameter == 150 else 1e6


def scan(program, diameter, times, equal, trues_per_mbq):
    mbq = times * equal
    scene = scenes.uniform_cylinder(detector_of(diameter), diameter, SIZES[diameter][0], mbq,
                                    max(wanted_trues(diameter, times) / (trues_per_mbq * mbq), 0.004), seed=100 + diameter)
    return phantoms.simulate(program, f"cylinder-{diameter}-{times}", scene)


def one(program, diameter, times, equal, trues_per_mbq):
    length, voxel = SIZES[diameter]
    mbq, name = times * equal, f"cylinder-{diameter}-{times}"
    made = scan(program, diameter, times, equal, trues_per_mbq)
    settings = {**(phantoms.CLINICAL_RECON if diameter == 150 else phantoms.MOUSE_RECON), **phantoms.corrections(program, made),
                "voxel": voxel, "replicates": 8, "calibration": phantoms.calibration_file(program, diameter == 150), "grid": phantoms.grid((diameter, diameter, length), voxel)}
    base = program.reconstruct(made, name, settings)
    mean, sd, lines = profiles(Volume(base), Volume(base, replicates=True), diameter, length, max(4.0, 2.0 * voxel))
    true = made.organs["cylinder"]["concentration_bq_per_ml"]
    return {"mbq": mbq, "fates": made.fates(), "delayeds": made.truth["counts"]["delayeds"], "off": mean / true - 1, "sd": sd, "lines": lines,
            "scatter": sidecar(base)["isotrace"]["corrections"]["scatter"].split(", ")[-1] or "none"}


def run(program):
    result = phantoms.Result("cylinders", "Uniform cylinders")
    result.setup = ("Water, F-18: 30 and 60 mm (80 mm long) in the mouse PET, 150 mm (150 mm long) in the clinical one. 6 x 12 OSEM with resolution model; "
                    "voxels of 1, 1.6 and 5 mm, since nothing in them is small. The calibration comes from other cylinders (40 and 100 mm). Mean and "
                    "profiles of all that is farther than 4 mm (150 mm: 10 mm) from the surface; standard deviations from 8 replicates.")
    result.counts = ("0.4 million trues are asked for (at five times the activity 1 million in the mouse PET, 1.2 million in the clinical one), of which the count rate leaves less: the mean is known to some 0.5 %, a ring or a slab to 1 to 3 %, "
                     "as the table says; the limit is 2 % of the mean.")
    rows, curves, scales = [], {}, []
    for diameter in SIZES:
        factor_sd = phantoms.calibration(program, diameter == 150)[1]
        equal, per_mbq = equal_activity(program, diameter)
        for times in TIMES:
            r = one(program, diameter, times, equal, per_mbq)
            f = r["fates"]
            chi2 = [sum(((v - 1) / sd)**2 for _, v, sd in line) / (len(line) - 1) for line in r["lines"]]
            worst = [max(line, key=lambda p: abs(p[1] - 1)) for line in r["lines"]]
            rows.append([f"{diameter} mm", times, f"{r['mbq']:.3g}", f["trues"], f["scattered"], f["randoms"], r["delayeds"], f"{100 * r['off']:+.2f}",
                         f"{100 * math.hypot(r['sd'], factor_sd):.2f}", *(f"{100 * (w[1] - 1):+.1f} ± {100 * w[2]:.1f}" for w in worst),
                         *(f"{c:.2f}" for c in chi2)])
            where = f"{diameter} mm at {times} x equal activity"
            scales.append(f"{where}: {r['scatter']}")
            result.check(f"{where}: mean", 100 * r["off"], 2, "%")
            for kind, line, c in zip(("radial", "axial"), r["lines"], chi2):
                # chi2 of n degrees per degree has a variance of 2 / n, and the pooled variance about as much again; five of the roots
                limit = round(1 + 5 * math.sqrt(4 / (len(line) - 1)), 2)
                result.check(f"{where}: {kind} profile, chi2 per degree of freedom", c, limit, "")
                if times == 1:
                    curves.setdefault(kind, {})[f"{diameter} mm"] = line
    result.table(["cylinder", "x equal activity", "MBq", "trues", "scattered", "randoms", "delayeds", "mean off, %", "its sd, %", "worst ring, %",
                  "worst slab, %", "chi2/dof rings", "chi2/dof slabs"], rows)
    result.remarks.append("The normalisation is of the mouse PET; the clinical one's crystals are alike here. Scatter's scale, from the image's sidecar: " + "; ".join(scales) + ".")
    result.remarks.append("Dead time makes randoms a little fewer than delayeds: a photon whose partner has just made a block busy finds no random partner there, 500 ns later it "
                          "does. Expected: the partner's probability to be taken (some 0.15) over the number of blocks that it may hit, 0.1 to 0.3 % of the randoms, at five times the "
                          "activity 0.5 to 1.3 % of the trues. Scanners have it, too.")
    for kind, lines in curves.items():
        result.figures[f"cylinders-{kind}"] = figures.curves(f"{kind} profiles at the equal activity, relative to the region's mean", "mm", lines,
                                                             level=1, low=0.94, high=1.06)
    return result
