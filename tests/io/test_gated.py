# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes whose images are gates of a cycle: through the sidecar, the table of uptake, PET and NM."""

import csv
import glob
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gated import GATES, GATING, dicom, write
from volumes import CU64_HALF_LIFE_S, check_valid, isotrace, run, spect


# The limits are required of a GATED series with rejected beats (PS3.3 C.8.9.4); dciodvfy's own condition looks for DYNAMIC (decision 052).
MISTAKEN = ["Error - Attribute present when condition unsatisfied (which may not be present otherwise) Type 1C Conditional "
            f"Element=<{name}> Module=<PETImage>" for name in ("LowRRValue", "HighRRValue")]
# Required where the frames' pointer has the time slots; dciodvfy looks for that pointer in the item of the sequence, where it never is.
MISTAKEN_NM = ["Error - Attribute present when condition unsatisfied (which may not be present otherwise) Type 2C Conditional "
               "Element=<TimeSlotInformationSequence> Module=<NMMultiGatedAcquisition>"]


def test_refused(folder):
    """Gates that contradict the images or each other are refused; info says what the images are"""
    path = write(folder)
    facts = json.loads(isotrace("info", path, "--json")[0])
    assert facts["gates"] == GATES and facts["trigger"] == "cardiac" and facts["cycle_s"] == 0.12 and facts["duration_s"] == 600

    def other(**elements):
        return lambda sidecar: sidecar["isotrace"]["gating"].update(elements)

    def frames(sidecar):
        sidecar["isotrace"]["frames"][2]["start_s"] = 600
    gates = GATING["gates"]
    for change, words in ((other(gates=gates[:3]), "gating.gates"), (frames, "another time"), (other(gates=gates[::-1]), "in the order"),
                          (other(cycle_s=-1), "lengths in s"), (other(trigger=None), "trigger"), (other(cycle_s="x"), "cycle_s")):
        assert words in isotrace("info", write(folder, change), code=3)[1], words


def test_quantified(folder):
    """One row per organ and gate, all decay-corrected over the whole scan: %ID/g goes as the gate's concentration"""
    import nibabel
    import numpy
    path = write(folder)
    grid = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(numpy.ones(grid.shape[:3], numpy.int16), grid.affine), folder + "/organs.nii.gz")
    open(folder + "/organs.csv", "w").write("label,organ,density_g_per_ml\n1,heart,1\n")
    isotrace("quant", path, "--organs", folder + "/organs.nii.gz", "--dose", folder + "/dose.yaml", "-o", folder + "/q", "-q")
    rows = list(csv.DictReader(open(folder + "/q/biodistribution.csv", newline="")))
    assert [row["gate"] for row in rows] == ["1", "2", "3", "4"] and len({row["time_h"] for row in rows}) == 1
    left = 7.4e6 * 2 ** (-3600 / CU64_HALF_LIFE_S)  # at the scan's start, to which the values are corrected
    for g, row in enumerate(rows):
        # 1000 (g + 1) are whole in float32, the table has nine digits
        assert abs(float(row["percent_id_per_g"]) / (100 * 1000 * (g + 1) / left) - 1) < 1e-7
    frames = json.load(open(folder + "/q/biodistribution.json"))["subjects"][0]["frames"]
    assert [f["gate_start_s"] for f in frames] == [g["start_s"] for g in GATING["gates"]]


def test_pet(folder):
    """PET: a GATED series with the gate's time in each image, the scan's time for the decay, images in the order of the gates"""
    import numpy
    write(folder)
    images = sorted(dicom(folder), key=lambda d: d.ImageIndex)
    assert len(images) == GATES * 3 and len({d.SOPInstanceUID for d in images}) == GATES * 3
    for n, d in enumerate(images):
        gate, k = divmod(n, 3)
        assert list(d.SeriesType) == ["GATED", "IMAGE"] and d.ImageIndex == n + 1 and d.NumberOfSlices == 3
        assert d.NumberOfRRIntervals == 1 and d.NumberOfTimeSlots == GATES and "NumberOfTimeSlices" not in d
        assert abs(float(d.TriggerTime) - 30 * gate) < 1e-9 and float(d.FrameTime) == 30
        assert (d.NominalInterval, d.LowRRValue, d.HighRRValue, d.IntervalsAcquired, d.IntervalsRejected) == (120, 100, 150, 4800, 200)
        assert d.BeatRejectionFlag == "Y" and d.TriggerSourceOrType == "EKG" and d.CardiacFramingType == "PCNT" and d.HeartRate == 500
        assert d.ActualFrameDuration == 600000 and str(d.AcquisitionTime) == str(d.SeriesTime)
        assert abs(float(d.DecayFactor) - 1.004555) < 1e-6  # 600 s of Cu-64
        assert abs(float(d.ImagePositionPatient[2]) - 40 - 1.1 * k) < 1e-9
        step = float(d.RescaleSlope)
        assert numpy.all(abs(d.pixel_array * step - 1000 * (gate + 1)) <= 0.5001 * step)
    first = images[0].SeriesInstanceUID
    write(folder, lambda sidecar: sidecar["isotrace"]["gating"].update(cycles=4801))
    assert dicom(folder)[0].SeriesInstanceUID != first


def test_nm(folder):
    """NM: one RECON GATED TOMO image whose frames are the slices of all gates"""
    import numpy
    write(folder, modality=spect, nuclide="Tc-99m", half_life_s=6.0067 * 3600)
    d, = dicom(folder)
    assert list(d.ImageType) == ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"]
    assert list(d.FrameIncrementPointer) == [0x00540060, 0x00540070, 0x00540080]
    assert list(d.SliceVector) == [1, 2, 3] * GATES and list(d.RRIntervalVector) == [1] * 12
    assert list(d.TimeSlotVector) == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    assert d.NumberOfFrames == 12 and d.NumberOfSlices == 3 and d.NumberOfTimeSlots == GATES and d.NumberOfRRIntervals == 1
    gated, = d.GatedInformationSequence
    data, = gated.DataInformationSequence
    assert float(gated.TriggerTime) == 0 and gated.CardiacFramingType == "PCNT" and float(data.FrameTime) == 30
    assert (data.NominalInterval, data.LowRRValue, data.HighRRValue, data.IntervalsAcquired, data.IntervalsRejected) == (120, 100, 150, 4800, 200)
    assert [float(slot.TimeSlotTime) for slot in data.TimeSlotInformationSequence] == [144000] * GATES
    step = float(d.RescaleSlope)
    wanted = numpy.repeat(numpy.arange(1, GATES + 1), 3)[:, None, None] * 1000
    assert numpy.all(abs(d.pixel_array * step - wanted) <= 0.5001 * step)


def test_valid(folder):
    """dciodvfy and dcentvfy find no error but the mistaken ones; unequal gates, reports and maps of gates are not written"""
    def unknown(sidecar):
        sidecar["isotrace"]["gating"].update(trigger="respiratory", framing="unknown", cycle_s=None, shortest_cycle_s=None,
                                             longest_cycle_s=None, cycles=None, rejected_cycles=None)
    for modality, iod, nuclide in ((None, "PETImage", {}), (spect, "NMImage", dict(nuclide="Tc-99m", half_life_s=6.0067 * 3600))):
        for change in (None, unknown):
            write(folder, change, modality, **nuclide)
            dicom(folder)
            check_valid(sorted(glob.glob(folder + "/out/*.dcm")), iod, MISTAKEN_NM if modality else MISTAKEN if not change else ())

    def unequal(sidecar):
        sidecar["isotrace"]["gating"]["gates"][3]["duration_s"] = 0.02
    common = ("--dose", folder + "/dose.yaml", "--patient-id", "M01", "-o", folder + "/none")
    assert "unequal" in isotrace("dicom", write(folder, unequal), *common, code=3)[1]
    assert "without gates" in isotrace("dicom", write(folder), *common, "--parametric-map=percent", code=3)[1]
    assert not os.path.exists(folder + "/none")


run([test_refused, test_quantified, test_pet, test_nm, test_valid], modules=("numpy", "nibabel", "pydicom"))
