# SPDX-License-Identifier: GPL-3.0-or-later
"""NEMA NU 4-2008, section 3: spatial resolution of point sources; a line source; and where the image puts them."""
import math

import numpy as np

import phantoms
import scenes
from images import Volume, centroid, response, widths

RADII = (0, 5, 10, 15, 25)
QUARTER_MM = 25.6  # a quarter of the axial field of view of 102.4 mm from its centre
PLAIN = {"psf-fwhm": None, "positron-range": False, "uncalibrated": True}


def run(program):
    result = phantoms.Result("points", "Point and line sources")
    result.setup = ("F-18 in balls of 0.3 mm in acrylic of 10 mm. Section 3 asks for filtered back-projection, which list-mode does not have: 2 x 12 OSEM without "
                    "resolution model, voxels of 0.25 mm (6 x 12 in brackets). An iterative image of a point in cold surroundings is sharper than the scanner is, "
                    "the more so the longer it iterates: these widths compare positions in this scanner, not scanners.")
    result.counts = ("Some 100,000 trues each, as the standard asks: the centroid of a spot of 1 mm is known to 0.003 mm; the limit is 0.1 mm. The widths' "
                     "noise is about 1 %.")
    rows = []
    for z in (0.0, QUARTER_MM):
        for radius in RADII:
            at, name = (0.0, -float(radius), z), f"point-{radius}-{z:g}"
            scan = phantoms.simulate(program, name, scenes.point_source(at, 0.2, 16, seed=20 + radius), ("efficiency spread",))
            shown, off = [], []
            for iterations in (2, 6):
                settings = {**phantoms.MOUSE_RECON, **phantoms.corrections(program, scan), "voxel": 0.25, "grid": "64,64,64",
                            "centre": ",".join(f"{c:g}" for c in at), "iterations": iterations, **PLAIN}
                image = Volume(program.reconstruct(scan, f"{name}-{iterations}", settings))
                shown.append([widths(*pair) for pair in response(image, at, 3.0)])
                off = off or [w - a for w, a in zip(centroid(image, at, 5), at)]
            cell = lambda axis, which: f"{shown[0][axis][which]:.2f} ({shown[1][axis][which]:.2f})"
            # y is radial, x tangential
            rows.append([f"{z:g}", radius, scan.fates()["trues"], *(cell(axis, which) for axis in (1, 0, 2) for which in (1, 2)),
                         ", ".join(f"{o:+.3f}" for o in off)])
            result.check(f"point at radius {radius}, z {z:g} mm: distance from its place", math.hypot(*off), 0.1, "mm")
    result.table(["z, mm", "radius, mm", "trues", "radial FWHM, mm", "FWTM", "tangential FWHM", "FWTM", "axial FWHM", "FWTM", "off in x, y, z, mm"], rows)
    result.remarks.append("The reconstruction puts a crystal at one depth for all lines, here 4.5 mm (docs/decisions/058). The mean depth of first interactions at right angles, "
                          "4.28 mm, puts these points up to 0.08 mm nearer to the axis: photons that scatter in the crystals are found at the centroid of their deposits, which lies "
                          "deeper. A change of the depth by 0.1 mm moves the point at 25 mm by 0.045 mm and that at 10 mm by 0.018 mm.")
    result.remarks.append("A point in the very middle lies on a plane of symmetry between two rings: all its lines cross the axis at multiples of half a ring "
                          "spacing (0.8 mm), and an image with voxels of 0.25 mm shows that comb; its axial width says nothing.")
    line(program, result)
    return result


def line(program, result):
    """A line along the axis at a radius of 10 mm: its centre slice by slice. 10,000 trues in a slice know its centre to 0.025 mm in x and in y, and the
    worst of 26 lies two such standard deviations away: four times as many leave less than the systematic 0.05 mm of that radius."""
    at = (10.0, 0.0, 0.0)
    scan = phantoms.simulate(program, "line", scenes.line_source(at, 0.5, 64, seed=29), ("efficiency spread",))
    settings = {**phantoms.MOUSE_RECON, **phantoms.corrections(program, scan), "voxel": "0.25,0.25,2", "grid": "64,64,36", "centre": "10,0,0",
                "iterations": 2, **PLAIN}
    image = Volume(program.reconstruct(scan, "line", settings))
    near = (image.x[:, None] - at[0])**2 + (image.y[None, :] - at[1])**2 <= 25
    voxels = image.voxels[..., 0][:, :, np.abs(image.z) <= 26] * near[:, :, None]
    total = voxels.sum(axis=(0, 1))
    x = (image.x[:, None, None] * voxels).sum(axis=(0, 1)) / total
    y = (image.y[None, :, None] * voxels).sum(axis=(0, 1)) / total
    result.check("line at radius 10 mm: largest distance of a slice of 2 mm from its place", np.hypot(x - at[0], y - at[1]).max(), 0.1, "mm")
    result.remarks.append(f"The line's slices of 2 mm hold sums that differ by {100 * total.std(ddof=1) / total.mean():.1f} % (standard deviation).")
