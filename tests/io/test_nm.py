# SPDX-License-Identifier: GPL-3.0-or-later
"""SPECT volumes as NM images, as pydicom and dciodvfy see them."""

import glob
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import check_valid, isotrace, run, spect, write_dose, write_volume

TC99M_HALF_LIFE_S = 6.0067 * 3600


def make(folder, voxels, *options, change=spect, dose=True, **facts):
    import pydicom
    write_volume(folder + "/v.nii.gz", voxels, change=change, nuclide="Tc-99m", half_life_s=TC99M_HALF_LIFE_S, **facts)
    write_dose(folder + "/dose.yaml", nuclide="Tc-99m")
    with_dose = ("--dose", folder + "/dose.yaml") if dose else ()
    isotrace("dicom", folder + "/v.nii.gz", *with_dose, "--patient-id", "M01", *options, "-o", folder + "/out")
    return [pydicom.dcmread(f) for f in sorted(glob.glob(folder + "/out/*.dcm"))]


def test_values(folder):
    """Every voxel comes back within half a step by RescaleSlope and by the real world values, which also give %ID/g"""
    import numpy
    random = numpy.random.default_rng(3)
    voxels = random.gamma(0.3, 1e5, (1, 6, 7, 9))
    left = 7.4e6 * 2 ** (-3600 / TC99M_HALF_LIFE_S)
    for least in (0, -4e4):  # analytic reconstructions have negative voxels, NM pixels have no sign
        image, = make(folder, voxels + least)
        wanted = (voxels + least).astype(numpy.float32)[0]
        assert image.pixel_array.shape == (6, 7, 9) and image.PixelRepresentation == 0
        step = float(image.RescaleSlope)
        assert step <= (wanted.max() - min(wanted.min(), 0)) / 65535 * (1 + 1e-6)
        # Half a step, the ten digits of the intercept, and a voxel of single precision.
        bound = step * 0.5 + abs(wanted).max() * 2e-7
        assert abs(image.pixel_array * step + float(image.RescaleIntercept) - wanted).max() <= bound
        activity, uptake = image.RealWorldValueMappingSequence
        assert activity.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
        assert activity.RealWorldValueLastValueMapped == 65535 and activity.RealWorldValueFirstValueMapped == 0
        mapped = image.pixel_array * activity.RealWorldValueSlope + activity.RealWorldValueIntercept
        assert abs(mapped - wanted).max() <= bound
        assert "decay-corrected to the SeriesTime" in activity.LUTExplanation  # which NM has no tag for
        assert uptake.MeasurementUnitsCodeSequence[0].CodeValue == "%/g"
        percent = image.pixel_array * uptake.RealWorldValueSlope + uptake.RealWorldValueIntercept
        assert abs(percent - 100 * wanted / left).max() <= 100 / left * bound


def test_tags(folder):
    """What the image says of nuclide, dose, energy window, corrections and times"""
    import numpy
    image, = make(folder, numpy.ones((1, 3, 4, 5)), "--species", "mouse")
    assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.20" and image.Modality == "NM"
    assert list(image.ImageType) == ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    isotope = image.RadiopharmaceuticalInformationSequence[0]
    assert abs(float(isotope.RadionuclideTotalDose) - 7.4) < 1e-9  # MBq here, and Bq in PET
    assert isotope.RadionuclideCodeSequence[0].CodeValue == "72454006"
    assert isotope.RadiopharmaceuticalStartDateTime == "20260314225000.000000"
    assert "RadionuclidePositronFraction" not in isotope
    window = image.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
    assert (window.EnergyWindowLowerLimit, window.EnergyWindowUpperLimit) == (126, 154)
    assert image.NumberOfEnergyWindows == image.NumberOfDetectors == image.NumberOfRotations == 1
    assert "ATTN" in image.CorrectedImage and "DECY" in image.CorrectedImage and "SCAT" not in image.CorrectedImage
    assert image.SeriesDate + str(image.SeriesTime) == "20260314235000.000000"
    assert image.AcquisitionDuration == 600
    assert list(image.SliceVector) == [1, 2, 3] and image.NumberOfFrames == image.NumberOfSlices == 3
    assert image.FrameIncrementPointer == 0x00540080
    assert image[0x10, 0x2201].value == "Mus musculus"

    def unstated(sidecar):
        spect(sidecar)
        sidecar["isotrace"]["acquisition"].update(energy_window_low_kev=None, energy_window_high_kev=None)
    image, = make(folder, numpy.ones((1, 3, 4, 5)), change=unstated, dose=False)
    assert len(image.EnergyWindowInformationSequence) == 0 and len(image.RealWorldValueMappingSequence) == 1
    assert "RadionuclideTotalDose" not in image.RadiopharmaceuticalInformationSequence[0]


def test_geometry(folder):
    """A point lies at the millimetre where the volume has it; slices follow along the normal"""
    import numpy
    voxels = numpy.zeros((1, 6, 7, 9))
    voxels[0, 4, 1, 7] = 1000
    image, = make(folder, voxels, voxel_mm=(0.31, 0.47, 1.3), origin_mm=(-11.3, 7.7, -123.456))
    (k, row, column), = numpy.argwhere(image.pixel_array)
    detector = image.DetectorInformationSequence[0]
    across, down = (numpy.array(detector.ImageOrientationPatient[i:i + 3], float) for i in (0, 3))
    spacing = [float(x) for x in image.PixelSpacing]
    point = (numpy.array(detector.ImagePositionPatient, float) + across * spacing[1] * column + down * spacing[0] * row +
             numpy.cross(across, down) * float(image.SpacingBetweenSlices) * k)
    assert abs(point - [-11.3 + 7 * 0.31, 7.7 + 0.47, -123.456 + 4 * 1.3]).max() < 1e-6, point


def test_dynamic(folder):
    """Each frame of a dynamic volume is a file with its time; one slope for all by choice"""
    import numpy
    frames = ((0, 60), (60, 120))
    voxels = numpy.arange(1, 3)[:, None, None, None] * numpy.ones((2, 3, 4, 5)) * 1000
    for slope in ("slice", "series"):
        images = make(folder, voxels, "--slope", slope, frames=frames)
        assert [str(i.AcquisitionTime) for i in images] == ["235000.000000", "235100.000000"]
        assert [i.AcquisitionDuration for i in images] == [60, 120]
        assert [i.InstanceNumber for i in images] == [1, 2]
        assert len({i.SOPInstanceUID for i in images}) == 2 and len({i.SeriesInstanceUID for i in images}) == 1
        assert (images[0].RescaleSlope == images[1].RescaleSlope) == (slope == "series")
        for f, image in enumerate(images):
            step = float(image.RescaleSlope)
            assert abs(image.pixel_array * step - 1000 * (f + 1)).max() <= step * 0.5001


def test_validator(folder):
    """dciodvfy and dcentvfy find no error, and warn of nothing that docs/dicom.md does not explain"""
    import numpy
    one = numpy.ones((1, 3, 4, 5)) * 99
    many = numpy.ones((2, 3, 4, 5))
    cases = [(one, ("--species", "mouse", "--position", "prone", "--body-part", "WHOLEBODY"), {}), (one, (), {"dose": False}),
             (many, ("--patient-name", "Doe^Jane"), {"frames": ((0, 60), (60, 120))}), (one * 0 - 5, (), {})]
    for voxels, options, facts in cases:
        make(folder, voxels, *options, **facts)
        check_valid(sorted(glob.glob(folder + "/out/*.dcm")), "NMImage")


def test_identity(folder):
    """The same input gives the same file; a SPECT volume of another value another one"""
    import numpy
    voxels = numpy.ones((1, 3, 4, 5)) * 1000
    first, = make(folder, voxels)
    again, = make(folder, voxels)
    assert first == again and first.SOPInstanceUID == again.SOPInstanceUID
    voxels[0, 0, 0, 0] += 1
    other, = make(folder, voxels)
    assert first.SeriesInstanceUID != other.SeriesInstanceUID and first.SOPInstanceUID != other.SOPInstanceUID
    assert first.StudyInstanceUID == other.StudyInstanceUID
    assert math.isclose(float(first.PatientWeight), 0.0213)


run([test_values, test_tags, test_geometry, test_dynamic, test_validator, test_identity],
    modules=("numpy", "nibabel", "pydicom"))
