# SPDX-License-Identifier: GPL-3.0-or-later
"""The DICOM series as pydicom and dciodvfy see it."""

import datetime
import glob
import hashlib
import math
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import CU64_HALF_LIFE_S, F18_HALF_LIFE_S, check_valid, isotrace, run, spect, write_dose, write_volume


def series(folder):
    import pydicom
    files = [pydicom.dcmread(f) for f in sorted(glob.glob(folder + "/*.dcm"))]
    return sorted(files, key=lambda d: d.ImageIndex)


def make(folder, voxels, *options, dose=None, **facts):
    write_volume(folder + "/v.nii.gz", voxels, **facts)
    write_dose(folder + "/dose.yaml", **(dose or {}))
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", *options, "-o",
             folder + "/out")
    return series(folder + "/out")


MOUSE = ("--species", "mouse", "--strain", "BALB/c nude", "--sex", "F", "--position", "prone", "--body-part", "WHOLEBODY",
         "--study-description", "Größe \\ µm", "--responsible-organisation", "Lab")


def when(date, time):
    whole, _, fraction = str(time).partition(".")
    return datetime.datetime.strptime(str(date) + whole, "%Y%m%d%H%M%S") + datetime.timedelta(
        seconds=float("0." + (fraction or "0")))


def suv(image):
    """SUVbw as a viewer works it out, from this image's tags alone."""
    isotope = image.RadiopharmaceuticalInformationSequence[0]
    assert image.Units == "BQML" and image.DecayCorrection == "START"
    assert "DECY" in image.CorrectedImage and "ATTN" in image.CorrectedImage
    injected = str(isotope.RadiopharmaceuticalStartDateTime)
    assert injected[8:] == str(isotope.RadiopharmaceuticalStartTime)
    elapsed = (when(image.SeriesDate, image.SeriesTime) - when(injected[:8], injected[8:])).total_seconds()
    left = float(isotope.RadionuclideTotalDose) * 2 ** (-elapsed / float(isotope.RadionuclideHalfLife))
    return ((image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)) *
            float(image.PatientWeight) * 1000 / left)


def test_suv(folder):
    """SUVbw from the tags is C W / A, and the real world value is 100 C / A per gram."""
    import numpy
    concentration = 123456.789
    images = make(folder, numpy.full((1, 3, 5, 4), concentration), *MOUSE)
    # The hour from injection to scan; activity and mass as in write_dose; one stored step is max/32767, half of it the error.
    left = 7.4e6 * math.exp(-math.log(2) * 3600 / CU64_HALF_LIFE_S)
    expected = concentration * 21.3 / left
    for image in images:
        assert numpy.all(abs(suv(image) - expected) <= expected * (0.5 / 32767 + 1e-7)), (suv(image), expected)
        mapping = image.RealWorldValueMappingSequence[0]
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%/g"
        assert "1 g/mL" in mapping.LUTExplanation
        percent = image.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
        assert numpy.all(abs(percent - 100 * concentration / left) <= 100 * concentration / left * (0.5 / 32767 + 1e-7))
        isotope = image.RadiopharmaceuticalInformationSequence[0]
        assert isotope.RadionuclideCodeSequence[0].CodeValue == "3932008"
        assert abs(isotope.RadionuclidePositronFraction - 0.1752) < 1e-9
        assert isotope.AdministrationRouteCodeSequence[0].CodeValue == "47625008"
        assert abs(float(image.PatientWeight) - 0.0213) < 1e-12
        assert image.TimezoneOffsetFromUTC == "+0000"


def test_values(folder):
    """Every voxel comes back within half a step of its slice, which the written slope makes"""
    import numpy
    random = numpy.random.default_rng(1)
    voxels = random.gamma(0.3, 1e5, (1, 6, 7, 9))
    voxels[0, 2] = 0  # an empty slice
    voxels[0, 3] *= 1e-9
    voxels[0, 4] -= 5e4  # analytic reconstructions have negative voxels
    for k, image in enumerate(make(folder, voxels)):
        slope = float(image.RescaleSlope)
        assert len(str(image[0x28, 0x1053].value.original_string)) <= 16
        assert float(image.RescaleIntercept) == 0
        assert abs(image.pixel_array * slope - voxels[0, k].astype(numpy.float32)).max() <= slope * 0.5001
        assert slope <= abs(voxels[0, k]).max() / 32767 * (1 + 1e-6) or not voxels[0, k].any()


def test_orientation(folder):
    """A point lies at the same millimetre in pydicom and nibabel"""
    import nibabel
    import numpy
    voxels = numpy.zeros((1, 6, 7, 9))
    voxels[0, 4, 1, 7] = 1000
    images = make(folder, voxels, voxel_mm=(0.31, 0.47, 1.3), origin_mm=(-11.3, 7.7, -123.456))
    hot = [image for image in images if image.pixel_array.any()]
    assert len(hot) == 1
    row, column = numpy.argwhere(hot[0].pixel_array)[0]
    across, down = (numpy.array(hot[0].ImageOrientationPatient[i:i + 3], float) for i in (0, 3))
    spacing = [float(x) for x in hot[0].PixelSpacing]  # between rows first
    point = numpy.array(hot[0].ImagePositionPatient, float) + across * spacing[1] * column + down * spacing[0] * row
    image = nibabel.load(folder + "/v.nii.gz")
    world = image.affine @ [*numpy.argwhere(image.get_fdata())[0], 1]
    assert abs(point - world[:3] * [-1, -1, 1]).max() < 0.01, (point, world)
    assert abs(point - [-11.3 + 7 * 0.31, 7.7 + 0.47, -123.456 + 4 * 1.3]).max() < 1e-6
    heights = [float(i.ImagePositionPatient[2]) for i in images]
    assert heights == sorted(heights) and [i.InstanceNumber for i in images] == list(range(1, 7))
    assert float(hot[0].SliceThickness) == 1.3


def test_dynamic(folder):
    """Frames of a dynamic series keep their times, and each image gives the decay reference back"""
    import numpy
    frames = ((0, 60), (60, 60), (120, 600), (900, 7200))
    voxels = numpy.arange(1, 5)[:, None, None, None] * numpy.ones((4, 3, 4, 5)) * 1000
    images = make(folder, voxels, *MOUSE, dose=dict(nuclide="F-18"), frames=frames, nuclide="F-18",
                  half_life_s=F18_HALF_LIFE_S)
    assert len(images) == 12
    rate = math.log(2) / F18_HALF_LIFE_S
    for index, image in enumerate(images):
        frame, k = divmod(index, 3)
        start, duration = frames[frame]
        assert image.ImageIndex == index + 1
        assert list(image.SeriesType) == ["DYNAMIC", "IMAGE"]
        assert image.NumberOfTimeSlices == 4 and image.NumberOfSlices == 3
        assert image.ActualFrameDuration == duration * 1000
        assert abs(float(image.RescaleSlope) * image.pixel_array.max() - 1000 * (frame + 1)) < 0.1
        series_time = when(image.SeriesDate, image.SeriesTime)
        acquired = (when(image.AcquisitionDate, image.AcquisitionTime) - series_time).total_seconds()
        assert acquired == start
        # The frame's reference is where the activity equals its mean over the frame (integral worked out here).
        reference = float(image.FrameReferenceTime) / 1000
        mean = (math.exp(-rate * start) - math.exp(-rate * (start + duration))) / (rate * duration)
        assert abs(math.exp(-rate * reference) - mean) < 1e-9 * mean
        # C.8.9.1.1.5: reference of the correction = series time + FRT - ln(DecayFactor)/rate. FRT and factor have 10 digits.
        assert abs(reference - math.log(float(image.DecayFactor)) / rate) < 1e-4
        # and the mean over the frame times the factor is the value at the series' time
        assert abs(mean * float(image.DecayFactor) - 1) < 1e-8


def test_times(folder):
    """SUV is right whatever lies between injection and scan: midnight, two weeks, twenty seconds, a change of the clocks"""
    import numpy
    concentration = 5000.0
    zones = ("2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00")  # the clocks go forward in between: one hour
    cases = [("Cu-64", CU64_HALF_LIFE_S, "2026-03-14T23:20:00Z", "2026-03-15T00:10:00Z", 3000, 600),
             ("Zr-89", 78.41 * 3600, "2026-02-22T09:00:00Z", "2026-03-08T09:00:00Z", 14 * 86400, 1800),
             ("O-15", 2.041 * 60, "2026-03-14T11:59:50.25Z", "2026-03-14T12:00:10.75Z", 20.5, 5),
             ("F-18", F18_HALF_LIFE_S, *zones, 3600, 600)]
    for case, (nuclide, half_life_s, injected, started, elapsed_s, duration_s) in enumerate(cases):
        place = f"{folder}/{case}"
        os.mkdir(place)

        def start(sidecar, started=started):
            sidecar["isotrace"]["acquisition"]["start_utc"] = started
        image = make(place, numpy.full((1, 1, 2, 2), concentration), dose=dict(nuclide=nuclide, injection=injected),
                     nuclide=nuclide, half_life_s=half_life_s, frames=((0, duration_s),), change=start)[0]
        expected = concentration * 21.3 / (7.4e6 * 2 ** (-elapsed_s / half_life_s))
        # Half a step, and ten digits of DS in the dose, the half-life and the mass: the exponent has at most 4.3 half-lives.
        assert numpy.all(abs(suv(image) - expected) <= expected * (0.5 / 32767 + 1e-8)), (nuclide, suv(image), expected)
        # A frame of five seconds of O-15 has its reference before its middle: D/2 - lambda D^2/24, worked out here.
        rate = math.log(2) / half_life_s
        mean = -math.expm1(-rate * duration_s) / (rate * duration_s)
        assert abs(float(image.FrameReferenceTime) / 1000 + math.log(mean) / rate) < 1e-5 * duration_s


def test_slopes(folder):
    """--slope series writes one slope, and the step that the program states holds for every voxel"""
    import json

    import numpy
    random = numpy.random.default_rng(2)
    voxels = random.gamma(0.3, 1e4, (2, 4, 5, 6))
    voxels[0, 1] *= 0.01
    frames = ((0, 60), (60, 60))
    identities = set()
    for slope in ("slice", "series"):
        images = make(folder, voxels, "--slope", slope, frames=frames)
        out, _ = isotrace("dicom", folder + "/v.nii.gz", "--patient-id", "M01", "--slope", slope, "--json", "-o",
                          folder + "/out", "-q")
        said = json.loads(out)
        slopes = [float(i.RescaleSlope) for i in images]
        assert said["slope"] == slope and abs(said["largest_step_bq_per_ml"] - max(slopes)) < 1e-9 * max(slopes), said
        assert (len(set(slopes)) == 1) == (slope == "series")
        for index, image in enumerate(images):
            plane = voxels.reshape(8, 5, 6)[index].astype(numpy.float32)
            assert abs(image.pixel_array * slopes[index] - plane).max() <= slopes[index] * 0.5001
            mapped = image.RealWorldValueMappingSequence[0].RealWorldValueSlope / slopes[index]
            assert abs(mapped * 7.4e6 * 2 ** (-3600 / CU64_HALF_LIFE_S) / 100 - 1) < 1e-8
        identities.add(images[0].SeriesInstanceUID)
    assert len(identities) == 2  # other stored values, another series
    isotrace("dicom", folder + "/v.nii.gz", "--patient-id", "M", "--slope", "voxel", "-o", folder + "/no", code=2)


def test_real_world_values(folder):
    """--real-world-values writes an object whose mappings give %ID/g for every image of PET and NM, by its own references"""
    import numpy
    import pydicom
    voxels = numpy.random.default_rng(6).gamma(0.3, 1e4, (2, 3, 5, 6))
    half_life_s = 6.0067 * 3600
    cases = [("slice", 6, {}, CU64_HALF_LIFE_S), ("series", 1, {}, CU64_HALF_LIFE_S),
             ("slice", 2, dict(nuclide="Tc-99m", change=spect, half_life_s=half_life_s), half_life_s)]
    for slope, mappings, facts, half_life_s in cases:
        write_volume(folder + "/v.nii.gz", voxels, frames=((0, 60), (60, 60)), **facts)
        write_dose(folder + "/dose.yaml", nuclide=facts.get("nuclide", "Cu-64"))
        command = ("dicom", folder + "/v.nii.gz", "--patient-id", "M01", "--slope", slope, "--real-world-values", "-o",
                   folder + "/out")
        isotrace(*command, code=2)  # no dose
        isotrace(*command, "--dose", folder + "/dose.yaml", *MOUSE, "-q")
        values = pydicom.dcmread(folder + "/out/real-world-values.dcm")
        images = {i.SOPInstanceUID: i for i in map(pydicom.dcmread, glob.glob(folder + "/out/frame*.dcm"))}
        assert len(values.ReferencedImageRealWorldValueMappingSequence) == mappings
        left = 7.4e6 * 2 ** (-3600 / half_life_s)
        seen = set()
        for item in values.ReferencedImageRealWorldValueMappingSequence:
            mapping = item.RealWorldValueMappingSequence[0]
            assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%/g"
            for reference in item.ReferencedImageSequence:
                image = images[reference.ReferencedSOPInstanceUID]
                assert reference.ReferencedSOPClassUID == image.SOPClassUID
                seen.add(image.SOPInstanceUID)
                place = (image.InstanceNumber - 1,) if image.Modality == "NM" else divmod(image.InstanceNumber - 1, 3)
                percent = image.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
                truth = voxels[place].astype(numpy.float32) * 100 / left
                assert abs(percent - truth).max() <= mapping.RealWorldValueSlope * 0.5001
        assert seen == set(images)
        series = values.ReferencedSeriesSequence[0]
        assert {r.ReferencedSOPInstanceUID for r in series.ReferencedInstanceSequence} == seen
        assert {i.SeriesInstanceUID for i in images.values()} == {series.SeriesInstanceUID}
        assert values.StudyInstanceUID == next(iter(images.values())).StudyInstanceUID
        check_valid([folder + "/out/real-world-values.dcm"], "RealWorldValueMapping")


def test_validator(folder):
    """dciodvfy and dcentvfy find no error and warn of nothing unexplained, whatever is stated about the subject"""
    import numpy
    one = numpy.ones((1, 2, 4, 5)) * 1234
    cases = [(one, MOUSE, {}), (one, (), {}), (one, ("--species", "human", "--patient-name", "Doe^Jane"), {}),
             (numpy.ones((3, 2, 4, 5)), ("--species", "rat"), {"frames": ((0, 10), (10, 20), (40, 5.5))}),
             (one * 0, ("--series-number", "7", "--accession-number", "A1", "--study-key", "k"), {})]
    for case, (voxels, options, facts) in enumerate(cases):
        place = f"{folder}/{case}"
        os.mkdir(place)
        make(place, voxels, *options, **facts)
        if case == 1:  # and without a dose
            isotrace("dicom", place + "/v.nii.gz", "--patient-id", "M01", "-o", place + "/out")
        check_valid(sorted(glob.glob(place + "/out/*.dcm")), "PETImage")


def digest(folder):
    """SHA-256 of every file of a series."""
    digests = {}
    for file in glob.glob(folder + "/*.dcm"):
        with open(file, "rb") as f:
            digests[os.path.basename(file)] = hashlib.sha256(f.read()).hexdigest()
    return digests


def test_identity(folder):
    """The same input gives the same files; other input gives other identities"""
    import numpy
    voxels = numpy.ones((2, 3, 4, 5)) * 1000
    frames = ((0, 60), (60, 60))
    images = make(folder, voxels, "--study-key", "cohort 7", frames=frames)
    first = digest(folder + "/out")
    again = make(folder, voxels, "--study-key", "cohort 7", frames=frames)
    assert len(first) == 6 and first == digest(folder + "/out")
    identities = {str(i.SOPInstanceUID) for i in images}
    assert len(identities) == 6
    for uid in identities | {str(images[0].SeriesInstanceUID), str(images[0].StudyInstanceUID)}:
        number = int(uid[len("2.25."):])
        assert uid.startswith("2.25.") and len(uid) <= 64 and number < 2 ** 128
        assert number >> 76 & 15 == 8 and number >> 62 & 3 == 2  # a UUID of version 8
    voxels[1, 2, 3, 4] += 1
    other = make(folder, voxels, "--study-key", "cohort 7", frames=frames)
    assert other[0].SeriesInstanceUID != images[0].SeriesInstanceUID
    assert other[0].StudyInstanceUID == images[0].StudyInstanceUID
    assert other[0].FrameOfReferenceUID == images[0].FrameOfReferenceUID
    assert identities.isdisjoint(str(i.SOPInstanceUID) for i in other)
    alone = make(folder, voxels, frames=frames)
    assert alone[0].StudyInstanceUID != images[0].StudyInstanceUID
    assert again[0].SpecificCharacterSet == "ISO_IR 192"


def test_refusals(folder):
    """What a PET series needs and the volume lacks is named, and no folder appears"""
    import numpy
    voxels = numpy.ones((1, 2, 4, 5))
    dose = folder + "/dose.yaml"
    write_dose(dose)

    def put(*keys):
        def change(sidecar):
            *path, last, value = keys
            place = sidecar
            for key in path:
                place = place[key]
            place[last] = value
        return change

    def uncalibrated(sidecar):
        sidecar["Units"] = sidecar["isotrace"]["unit"] = "counts/s/mm (uncalibrated)"

    own = "isotrace"
    for change, word in ((uncalibrated, "Bq/mL"), (put(own, "acquisition", "start_utc", None), "start"),
                         (put(own, "decay_reference_s", None), "decay-corrected"),
                         (put(own, "decay_reference_s", -3600), "decay-corrected"),
                         (put(own, "acquisition", "nuclide", ""), "nuclide"),
                         (put(own, "acquisition", "nuclide", "Xx-99"), "Xx-99"),
                         (put(own, "acquisition", "nuclide", "Tc-99m"), "Tc-99m"),
                         (put(own, "half_life_s", 6584), "half-life"),
                         (put(own, "acquisition", "nuclide", "F-18"), "F-18"),
                         (put(own, "frames", 0, "duration_s", 0), "lasts")):
        write_volume(folder + "/v.nii.gz", voxels, change=change)
        _, err = isotrace("dicom", folder + "/v.nii.gz", "--dose", dose, "--patient-id", "M01", "-o", folder + "/out",
                          code=3)
        assert word in err and "; " in err, err
        assert sorted(os.listdir(folder)) == ["dose.yaml", "v.json", "v.nii.gz"], os.listdir(folder)
    write_volume(folder + "/v.nii.gz", voxels)
    base = ("dicom", folder + "/v.nii.gz", "-o", folder + "/out")
    for options, code in ((("--patient-id", "M", "--species", "unicorn"), 3), (("--patient-id", "M", "--sex", "X"), 3),
                          (("--patient-id", "M", "--position", "left"), 3),
                          (("--patient-id", "M", "--body-part", "leg"), 3), ((), 2),
                          (("--patient-id", "M", "--birth-date", "1.1.99"), 3),
                          (("--patient-id", "M", "--birth-date", "1 January 1999"), 2),
                          (("--patient-id", "M", "--birth-date", "2026-1-1"), 3),
                          (("--patient-id", "M", "--dose", folder + "/none.yaml"), 3)):
        isotrace(*base, *options, code=code)
        assert not os.path.exists(folder + "/out")
    write_dose(folder + "/other.yaml", nuclide="F-18")
    _, err = isotrace(*base, "--patient-id", "M", "--dose", folder + "/other.yaml", code=3)
    assert "F-18" in err and "Cu-64" in err, err
    os.remove(folder + "/v.json")
    _, err = isotrace(*base, "--patient-id", "M", code=3)
    assert "sidecar" in err
    # a folder that holds anything but a series is never replaced
    write_volume(folder + "/v.nii.gz", voxels)
    os.mkdir(folder + "/out")
    with open(folder + "/out/thesis.tex", "w") as f:
        f.write("years of work")
    isotrace(*base, "--patient-id", "M", code=2)
    assert os.listdir(folder + "/out") == ["thesis.tex"]


def test_full_disk(folder):
    """A full disk leaves nothing behind and exits with 5"""
    import resource

    import numpy
    write_volume(folder + "/v.nii.gz", numpy.ones((1, 2, 60, 60)))
    done = subprocess.run([os.environ["ISOTRACE"], "dicom", folder + "/v.nii.gz", "--patient-id", "M", "-o",
                           folder + "/out"], stderr=subprocess.PIPE, timeout=60,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    assert done.returncode == 5 and b"disk" in done.stderr, done
    assert sorted(os.listdir(folder)) == ["v.json", "v.nii.gz"], os.listdir(folder)


run([test_suv, test_values, test_orientation, test_dynamic, test_times, test_slopes,
     test_real_world_values, test_validator, test_identity, test_refusals, test_full_disk],
    modules=("numpy", "nibabel", "pydicom"))
