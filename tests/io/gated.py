# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes whose images are gates of a cycle, and their DICOM, for the tests."""

import glob
import json

from volumes import isotrace, write_dose, write_volume

GATES = 4
# a mouse's heart at 500 beats per minute
GATING = {"trigger": "cardiac", "framing": "share", "cycle_s": 0.12, "shortest_cycle_s": 0.1, "longest_cycle_s": 0.15, "cycles": 4800,
          "rejected_cycles": 200, "gates": [{"start_s": 0.03 * g, "duration_s": 0.03, "collected_s": 144.0} for g in range(GATES)]}
SCAN = ((0, 600),) * GATES  # the decay's time is the scan's, whatever the gate
TC99M = dict(nuclide="Tc-99m", half_life_s=6.0067 * 3600)


def write(folder, change=None, modality=None, voxels=None, **facts):
    """Gate g holds (g + 1) kBq/mL, or voxels [gate][k][j][i]."""
    import numpy
    if voxels is None:
        voxels = numpy.arange(1, GATES + 1)[:, None, None, None] * numpy.full((GATES, 3, 4, 5), 1000.0)

    def gated(sidecar):
        sidecar["isotrace"]["gating"] = json.loads(json.dumps(GATING))
        for more in (modality, change):
            if more:
                more(sidecar)
    write_volume(folder + "/v.nii.gz", voxels, frames=SCAN, change=gated, **facts)
    write_dose(folder + "/dose.yaml", nuclide=facts.get("nuclide", "Cu-64"))
    return folder + "/v.nii.gz"


def dicom(folder, *options, volume="v.nii.gz", out="out"):
    import pydicom
    isotrace("dicom", f"{folder}/{volume}", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--species", "mouse", *options,
             "-o", f"{folder}/{out}")
    return [pydicom.dcmread(f) for f in sorted(glob.glob(f"{folder}/{out}/*.dcm"))]
