# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead time that fits counted singles, from a cylinder at two activities."""
import numpy as np

import scenes

SCANS = {"quiet": (20, 0.6), "busy": (1000, 0.015)}  # MBq and seconds


def _block_singles(scan):
    """Singles per second of a block, one number for each ring of blocks."""
    import h5py
    with h5py.File(scan.listmode) as file:
        counts = file["singles/counts"][:].sum(axis=0, dtype=float)
        z = np.round(file["scanner/position_mm"][:, 2].astype(float), 3)
        across, along = (int(n) for n in file["scanner"].attrs["block_crystals"])
    ring = np.unique(z, return_inverse=True)[1] // along
    blocks = np.bincount(ring) / (across * along)
    return np.bincount(ring, counts) / blocks / scan.truth["duration_s"]


def per_single_ns(program):
    """Dead time of the mouse PET's blocks per recorded single. A block with a non-paralyzable dead time that is offered k A photons records
    m = k A / (1 + k A tau): A / m = 1 / k + A tau is a straight line. It is longer than the electronics' own, since photons that a crystal of low
    efficiency loses keep the block busy as well."""
    import phantoms
    activity, rates = [], []
    share, program.share = program.share, 1.0
    for label, (mbq, seconds) in SCANS.items():
        scan = phantoms.simulate(program, f"dead-time-{label}", scenes.uniform_cylinder(scenes.MOUSE_PET, 40, 80, mbq, seconds, seed=12))
        activity.append(scan.organs["cylinder"]["activity_bq"])
        rates.append(_block_singles(scan))
    program.share = share
    tau = (activity[1] / rates[1] - activity[0] / rates[0]) / (activity[1] - activity[0])
    weight = rates[1]**3  # inverse variance of the busy scan's 1 / m
    return float(1e9 * (tau * weight).sum() / weight.sum())
