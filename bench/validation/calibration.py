# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site measures of its scanner before it scans animals: the calibration factor, and the dead time that fits counted singles."""
import json
import os

import numpy as np

import scenes
from images import Volume

# A cylinder of a size that no other phantom has: diameter and length in mm, MBq, seconds; and MBq and seconds of the busy scan that shows the
# dead time, in which blocks are dead for 10 to 20 % of the time.
MOUSE, CLINICAL = (40, 80, 3, 20), (100, 150, 10, 8)
BUSY = {False: (1000, 0.02), True: (500, 0.04)}


def _scan(program, clinical, mbq, seconds, name, seed):
    import phantoms
    detector = scenes.CLINICAL_PET if clinical else scenes.MOUSE_PET
    diameter, length = (CLINICAL if clinical else MOUSE)[:2]
    return phantoms.simulate(program, name, scenes.uniform_cylinder(detector, diameter, length, mbq, seconds, seed=seed))


def cylinder(program, clinical=False):
    """The scan of the calibration phantom: quiet, so that nothing is corrected by much."""
    return _scan(program, clinical, *(CLINICAL if clinical else MOUSE)[2:], "calibration-clinical" if clinical else "calibration-mouse", 11)


def _block_singles(scan):
    """Singles per second of each ring of blocks."""
    import h5py
    with h5py.File(scan.listmode) as file:
        counts = file["singles/counts"][:].sum(axis=0, dtype=float)
        z = file["scanner/position_mm"][:, 2].astype(float)
        axial = int(file["scanner"].attrs["block_crystals"][1])
    rings = np.unique(np.round(z, 3))
    ring = np.searchsorted(rings, np.round(z, 3))
    return np.bincount(ring // axial, counts) / scan.truth["duration_s"]


def dead_time_ns(program, clinical=False):
    """Dead time of a block per recorded single, from the cylinder at two activities. A block with a non-paralyzable dead time that
    is offered k A photons records m = k A / (1 + k A tau): A / m = 1 / k + A tau is a straight line. It is longer than the electronics' own, since
    photons that a crystal of low efficiency loses keep the block busy as well. None where this build has no dead time."""
    quiet = cylinder(program, clinical)
    if "dead_time_ns" not in quiet.scene or not program.takes("recon", "--dead-time-ns"):
        return None
    mbq, seconds = BUSY[clinical]
    share, program.share = program.share, 1.0
    busy = _scan(program, clinical, mbq, seconds, "dead-time-clinical" if clinical else "dead-time-mouse", 12)
    program.share = share
    import h5py
    with h5py.File(quiet.listmode) as file:
        blocks = np.prod(file["scanner"].attrs["block_crystals"].astype(int))
        per_ring = len(file["scanner/position_mm"]) / blocks / len(_block_singles(quiet))
    activity = [scan.organs["cylinder"]["activity_bq"] for scan in (quiet, busy)]
    rates = [_block_singles(scan) / per_ring for scan in (quiet, busy)]
    tau = (activity[1] / rates[1] - activity[0] / rates[0]) / (activity[1] - activity[0])
    weight = (rates[1] / activity[1])**2 * rates[1]  # inverse variance: that of A / m is that of 1 / m times A
    return float(1e9 * (tau * weight).sum() / weight.sum())


def file(program, clinical=False):
    """The path of the calibration file that `isotrace calibrate` made of the cylinder's image."""
    import phantoms
    scan = cylinder(program, clinical)
    diameter, length = (CLINICAL if clinical else MOUSE)[:2]
    settings = {**(phantoms.CLINICAL_RECON if clinical else phantoms.MOUSE_RECON), **phantoms.corrections(program, scan), "replicates": 8,
                "uncalibrated": True}
    settings["grid"] = phantoms.grid((diameter, diameter, length), settings["voxel"])
    name = os.path.basename(scan.base)
    base = program.reconstruct(scan, name, settings)
    row = scan.organs["cylinder"]
    region = f"cylinder:0,0,0,{0.35 * diameter:g},{0.6 * length:g}"
    return program.calibrate(base, name, ["--activity-mbq", repr(row["activity_bq"] / 1e6), "--volume-ml", repr(row["volume_ml"]), "--uncertainty-percent", "0",
                                          "--assay-time", scan.start, "--region", region])


def factor(program, clinical=False):
    """(Bq/mL per counts/s/mm for branching 1, its relative standard deviation by counting)."""
    with open(file(program, clinical)) as text:
        kept = json.load(text)
    return kept["factor"], kept["uncertainty"]["noise"] or 0.0
