# SPDX-License-Identifier: GPL-3.0-or-later
"""PET series of other programs, made here with pydicom: values, places, times and dose, and everything that must be refused."""

import json
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dicom_samples import CU64_S, F18_S, add_private, clock, code, in_frame, phantom, write_nm, write_pet, write_rtstruct, write_seg
from volumes import find, isotrace, run, write_dose, write_volume


def convert(folder, *options, name="x", code=0):
    out, err = isotrace("convert", folder, "-o", f"{folder}.{name}.nii.gz", "--json", *options, code=code)
    if code:
        assert not os.path.exists(f"{folder}.{name}.nii.gz")
        return err
    return json.loads(out)


def voxels(path):
    """Values [frame][k][j][i] and the LPS affine."""
    import nibabel
    import numpy
    image = nibabel.load(path)
    lps = numpy.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    data = numpy.asarray(image.dataobj, float)
    data = data[..., None] if data.ndim == 3 else data
    return data.transpose(3, 2, 1, 0), lps


def sidecar(path):
    return json.load(open(path.replace(".nii.gz", ".json")))["isotrace"]


def check_values(path, expected, scale=1.0):
    """Half a step of 16 bits of the slice's maximum, and the rounding of a float."""
    import numpy
    got, _ = voxels(path)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    step = expected.max(axis=(2, 3), keepdims=True) / 32767
    assert (abs(got - expected) <= 0.5001 * step + 1e-6 * expected).all(), abs((got - expected) / step).max()
    return got


def refuse(folder, *words, options=()):
    err = convert(folder, *options, code=3, name="refused")
    for word in words:
        assert word in err, (word, err)
    assert "Secret" not in err and "M01" not in err.replace(folder, "")
    return err


def test_static(folder):
    """A static series: values, places, times, dose facts, sidecar; quantified with the dose file that it states"""
    import numpy
    image = phantom()
    write_pet(folder + "/pet", image)
    facts = convert(folder + "/pet", "--dose-file", folder + "/dose.yaml")
    path = folder + "/pet.x.nii.gz"
    check_values(path, image)
    assert numpy.allclose(voxels(path)[1] @ (2, 3, 4, 1), (-7 + 2 * 0.8, -5 + 3 * 0.5, 30 + 4 * 1.5, 1), atol=1e-4)
    side = sidecar(path)
    # 36000 s after midnight at +01:00
    assert side["acquisition"]["start_utc"] == "2026-03-14T09:00:00Z" and side["acquisition"]["injection_utc"] == "2026-03-14T08:00:00Z"
    assert side["frames"] == [{"start_s": 0, "duration_s": 600}] and abs(side["decay_reference_s"]) < 1e-2
    assert side["acquisition"]["nuclide"] == "F-18" and side["acquisition"]["subject"] == "M01" and side["unit"] == "Bq/mL"
    assert side["corrections"]["attenuation"] == "CT" and side["corrections"]["randoms"] == "DLYD"
    assert side["reconstruction"]["method"] == "OSEM 4i8s" and facts["injected_activity_bq"] == 7.4e6
    assert facts["body_mass_g"] == 21.3 and facts["warnings"] == [], facts["warnings"]
    # %ID/g of the whole grid by pydicom's tags alone: decay from injection to the series' time is 3600 s
    import nibabel
    grid = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(numpy.ones(grid.shape, numpy.int16), grid.affine), folder + "/organs.nii.gz")
    open(folder + "/organs.csv", "w").write("label,organ,density_g_per_ml\n1,body,1\n")
    isotrace("quant", path, "--organs", folder + "/organs.nii.gz", "--dose", folder + "/dose.yaml", "-o", folder + "/q", "-q")
    import csv
    row = next(csv.DictReader(open(folder + "/q/biodistribution.csv")))
    left = 7.4e6 * 2 ** (-3600 / F18_S)
    suv = image.mean() * 21.3 / left
    # half a step of 16 bits of each voxel, at random: far below 1e-4 of the mean of 594 voxels
    assert abs(float(row["suv_bw"]) / suv - 1) < 1e-4 and abs(float(row["percent_id_per_g"]) / (100 * image.mean() / left) - 1) < 1e-4


def test_own(folder):
    """What isotrace dicom writes comes back: voxels, frames, dose"""
    import numpy
    image = phantom(2)
    frames = ((0, 120), (120, 600))
    write_volume(folder + "/v.nii.gz", image, frames=frames)
    write_dose(folder + "/dose.yaml")
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--species", "mouse", "-o", folder + "/out")
    facts = convert(folder + "/out", "--dose-file", folder + "/back.yaml")
    path = folder + "/out.x.nii.gz"
    check_values(path, image)
    # NIfTI's float32 affine
    assert numpy.allclose(voxels(path)[1], voxels(folder + "/v.nii.gz")[1], atol=1e-5)
    side, given = sidecar(path), sidecar(folder + "/v.nii.gz")
    assert side["frames"] == given["frames"] and side["acquisition"]["start_utc"] == given["acquisition"]["start_utc"]
    assert abs(side["decay_reference_s"]) < 0.01 and side["acquisition"]["nuclide"] == "Cu-64"
    assert facts["injection"] == "2026-03-14T22:50:00Z" and abs(facts["body_mass_g"] - 21.3) < 1e-9, facts


def test_dynamic(folder):
    """Dynamic frames over midnight, an injection in the day before without a date, whole-body beds"""
    image = phantom(3)
    frames = ((86000, 60), (86060, 600), (86660, 1800))

    def undated(k, f, d):
        del d.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    write_pet(folder + "/dynamic", image, frames, injection_s=85000, change=undated)
    facts = convert(folder + "/dynamic")
    check_values(folder + "/dynamic.x.nii.gz", image)
    assert [f["start_s"] for f in sidecar(folder + "/dynamic.x.nii.gz")["frames"]] == [0, 60, 660]
    # 85000 s after midnight at +01:00
    assert facts["injection"] == "2026-03-14T22:36:40Z" and facts["warnings"] == []
    # the scan begins ten minutes after midnight, the injection was one hour before: its clock time lies after the scan's
    write_pet(folder + "/next", phantom(), ((87000, 600),), injection_s=83400, change=undated)
    facts = convert(folder + "/next")
    assert facts["injection"] == "2026-03-14T22:10:00Z" and "day before" in facts["warnings"][0]
    # three beds of two slices, one reference
    write_pet(folder + "/beds", phantom(), ((36000, 180),), beds=[36000, 36000, 36185, 36185, 36370, 36370])
    facts = convert(folder + "/beds")
    check_values(folder + "/beds.x.nii.gz", phantom())
    assert "several beds" in facts["warnings"][0] and abs(facts["decay_reference_s"]) < 0.01
    refuse(folder + "/dynamic", options=["--series", "1.2.3.99"])

    def static(k, f, d):
        d.SeriesType = ["STATIC", "IMAGE"]
    write_pet(folder + "/two", phantom(2), ((36000, 60), (36060, 60)), change=static)
    refuse(folder + "/two", "not DYNAMIC")
    os.remove(folder + "/dynamic/9993.dcm")
    refuse(folder + "/dynamic", "images at this place")


def test_reference(folder):
    """The decay's reference: a late SeriesTime is not believed, ADMIN and NONE are understood, contradictions refused"""
    image = phantom()

    def case(name, change, *words, **keywords):
        write_pet(f"{folder}/{name}", image, change=change, **keywords)
        if words:
            return refuse(f"{folder}/{name}", *words)
        facts = convert(f"{folder}/{name}")
        check_values(f"{folder}/{name}.x.nii.gz", image)
        return facts

    def late(k, f, d):  # Siemens: the time of post-processing
        d.SeriesDate, d.SeriesTime = clock(40000)
    facts = case("siemens", late)
    assert "4000 s after" in facts["warnings"][0] and abs(facts["decay_reference_s"]) < 0.01

    def ge(k, f, d):  # neither SeriesTime nor FrameReferenceTime nor a factor: the private scan time confirms the first image's
        late(k, f, d)
        d.FrameReferenceTime = "0"
        del d.DecayFactor
        add_private(d, 0x0009, 0x0d, "GEMS_PETD_01", "DT", "20260314100000.00")
    assert abs(case("ge", ge)["decay_reference_s"]) < 0.01

    def alone(k, f, d):
        late(k, f, d)
        d.FrameReferenceTime = "0"
        del d.DecayFactor
    case("alone", alone, "not certain", "START")

    def earlier(k, f, d):  # corrected to an earlier moment, 900 s before the scan
        d.SeriesDate, d.SeriesTime = clock(35100)
    facts = case("earlier", earlier, reference_s=35100)
    assert abs(facts["decay_reference_s"] + 900) < 0.05, facts
    # SeriesTime alone says 900 s earlier; FrameReferenceTime and DecayFactor agree with the first image
    assert "SeriesTime implies another" in case("series alone", earlier)["warnings"][0]

    def against(k, f, d):  # SeriesTime and FrameReferenceTime against DecayFactor
        earlier(k, f, d)
        d.FrameReferenceTime = "%.10g" % (float(d.FrameReferenceTime) + 900e3)
    case("contradiction", against, "not certain", "DecayFactor")

    def start_only(k, f, d):  # 3 % of 18F's activity is lost in 600 s: not to be ignored
        d.DecayFactor = "1"
    case("half", start_only, "within the frames")

    factor, mean_s = in_frame(F18_S, 600)

    def admin(k, f, d):
        d.DecayCorrection = "ADMIN"
        d.DecayFactor = "%.8g" % (factor * 2 ** (3600 / F18_S))
    assert abs(case("admin", admin)["decay_reference_s"] + 3600) < 0.01

    def admin_false(k, f, d):
        d.DecayCorrection = "ADMIN"
    case("admin false", admin_false, "ADMIN", "3600 s")

    def none(k, f, d):
        d.DecayCorrection = "NONE"
        d.CorrectedImage = ["NORM", "ATTN"]
        del d.DecayFactor
    facts = case("none", none)
    assert facts["decay_reference_s"] is None

    def none_false(k, f, d):
        d.DecayCorrection = "NONE"
    case("none false", none_false, "lists DECY")
    case("not listed", lambda k, f, d: setattr(d, "CorrectedImage", ["ATTN"]), "does not list DECY")
    case("unknown", lambda k, f, d: setattr(d, "DecayCorrection", "SOON"), "'SOON'")


def test_units(folder):
    """Philips' factors and SUV come back to Bq/mL; other units are refused"""
    image = phantom()
    left = 7.4e6 * 2 ** (-3600 / F18_S)

    def case(name, change, *words):
        write_pet(f"{folder}/{name}", image, change=change)
        if words:
            return refuse(f"{folder}/{name}", *words)
        facts = convert(f"{folder}/{name}")
        check_values(f"{folder}/{name}.x.nii.gz", image)
        return facts

    def scaled(d, by):
        d.RescaleSlope = "%.9g" % (float(d.RescaleSlope) * by)

    def philips(k, f, d):
        d.Units = "CNTS"
        scaled(d, 1 / 64)
        add_private(d, 0x7053, 0x09, "Philips PET Private Group", "DS", "64")
    assert "Philips" in case("philips", philips)["calibration"]

    def philips_suv(k, f, d):
        d.Units = "CNTS"
        scaled(d, 21.3 / left / 0.25)
        add_private(d, 0x7053, 0x00, "Philips PET Private Group", "DS", "0.25")
    case("philips suv", philips_suv)

    def gml(k, f, d):
        d.Units = "GML"
        scaled(d, 21.3 / left)
    assert "SUV" in case("gml", gml)["calibration"]

    def gml_without(k, f, d):
        gml(k, f, d)
        d.PatientWeight = "0"
    case("gml without mass", gml_without, "cannot be undone")

    def lean(k, f, d):
        gml(k, f, d)
        d.SUVType = "LBM"
    case("lean", lean, "'GML' by LBM")
    case("counts", lambda k, f, d: setattr(d, "Units", "CNTS"), "'CNTS'", "Bq/mL")
    case("two units", lambda k, f, d: setattr(d, "Units", "BQML" if k else "CNTS"), "units or decay correction")


def test_dose(folder):
    """Dose facts that cannot be trusted are left out with a warning, and the images stay"""
    def case(name, change, *words, options=()):
        write_pet(f"{folder}/{name}", phantom(), change=change)
        facts = convert(f"{folder}/{name}", *options)
        text = " ".join(facts["warnings"])
        for word in words:
            assert word in text, (word, text)
        return facts

    def dose(**elements):
        def change(k, f, d):
            for name, value in elements.items():
                setattr(d.RadiopharmaceuticalInformationSequence[0], name, value)
        return change
    assert case("mbq", dose(RadionuclideTotalDose="7.4"), "it may be MBq")["injected_activity_bq"] is None
    assert case("after", dose(RadiopharmaceuticalStartDateTime="20260315090000"), "after the scan's start")["injection"] is None
    assert case("twice", dose(RadiopharmaceuticalStartTime="080000"), "stated twice, 3600 s apart")["injection"] is None
    assert case("long ago", dose(RadiopharmaceuticalStartDateTime="20260101090000"), "half-lives before")["injection"] is None
    assert case("zone", dose(RadiopharmaceuticalStartDateTime="20260314090000+0100"))["injection"] == "2026-03-14T08:00:00Z"
    assert case("no mass", lambda k, f, d: delattr(d, "PatientWeight"), "body mass")["body_mass_g"] is None
    err = isotrace("convert", folder + "/mbq", "-o", folder + "/y.nii.gz", "--dose-file", folder + "/y.yaml", code=3)[1]
    assert "dose file by hand" in err and not os.path.exists(folder + "/y.yaml") and not os.path.exists(folder + "/y.nii.gz")

    def case_refused(name, change, *words, options=()):
        write_pet(f"{folder}/{name}", phantom(), change=change)
        refuse(f"{folder}/{name}", *words, options=options)
    case_refused("half-life", dose(RadionuclideHalfLife="45723"), "F-18 has 6584")
    case_refused("other nuclide", None, "F-18 and not Cu-64", options=["--nuclide", "Cu-64"])

    def unnamed(k, f, d):
        del d.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence
    case_refused("unnamed", unnamed, "--nuclide")
    assert case("named", unnamed, options=["--nuclide", "F-18"])["nuclide"] == "F-18"
    assert case("old code", dose(RadionuclideCodeSequence=[code("C-111A1", "SRT", "^18^Fluorine")]))["nuclide"] == "F-18"


def test_nm(folder):
    """A reconstructed NM image: mapping to Bq/mL, slices in either direction, dose in MBq; counts and unknown decay refused"""
    import numpy
    image = phantom()[0]
    at = ["--decay-reference", "2026-03-14T09:00:00Z"]

    def convert_nm(name, *options, code=0, **keywords):
        path = f"{folder}/{name}.dcm"
        write_nm(path, image, **keywords)
        return (refuse(path, *options[:-1], options=options[-1]) if code else convert(path, *options)), path + ".x.nii.gz"
    facts, path = convert_nm("nm", *at)
    got, lps = voxels(path)
    assert (abs(got[0] - image) <= 0.5001 * image.max() / 65535 + 1e-6 * image).all()
    assert numpy.allclose(lps @ (2, 3, 4, 1), (-7 + 2 * 0.8, -5 + 3 * 0.5, 30 + 4 * 1.5, 1), atol=1e-4)
    assert facts["modality"] == "SPECT" and facts["nuclide"] == "Tc-99m" and facts["injected_activity_bq"] == 37e6
    assert facts["start"] == "2026-03-14T09:00:00Z" and facts["injection"] == "2026-03-14T08:00:00Z" and facts["decay_reference_s"] == 0
    assert sidecar(path)["frames"] == [{"start_s": 0, "duration_s": 1800}]
    # stacked against the normal: the first slice is the highest one
    facts, path = convert_nm("down", *at, step=-1.5)
    got, lps = voxels(path)
    assert (abs(got[0][::-1] - image) <= 0.5001 * image.max() / 65535 + 1e-6 * image).all()
    assert numpy.allclose(lps @ (0, 0, 5, 1), (-7, -5, 30, 1), atol=1e-4)

    def shuffled(d):
        d.SliceVector = [6, 5, 4, 3, 2, 1]
    assert (abs(voxels(convert_nm("shuffled", *at, change=shuffled)[1])[0][0][::-1] - image) <= 0.5001 * image.max() / 65535 + 1e-6 * image).all()

    def signed(d):  # the mapping's ends are of the pixels' type, SS and not US, here by a half of the slope
        d.PixelRepresentation = 1
        d.PixelData = (numpy.frombuffer(d.PixelData, "<u2") // 2).astype("<i2").tobytes()
        mapping = d.RealWorldValueMappingSequence[0]
        mapping.RealWorldValueLastValueMapped, mapping.RealWorldValueSlope = 32767, 2 * mapping.RealWorldValueSlope
        for name in ("RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"):
            mapping[name].VR = "SS"
    # two steps of 16 bits lie between neighbours, and the half was rounded down
    assert (abs(voxels(convert_nm("signed", *at, change=signed)[1])[0][0] - image) <= 2.001 * image.max() / 65535).all()

    def uncorrected(d):
        d.CorrectedImage = ["ATTN"]
    assert convert_nm("none", "--decay-reference", "none", change=uncorrected)[0]["decay_reference_s"] is None
    convert_nm("unstated", "--decay-reference TIME", [], code=3)
    convert_nm("contradiction", "contradicts", ["--decay-reference", "none"], code=3)
    convert_nm("counts", "values are counts", at, code=3, change=lambda d: delattr(d, "RealWorldValueMappingSequence"))
    convert_nm("windows", "several energy windows", at, code=3, change=lambda d: setattr(d, "NumberOfEnergyWindows", 2))
    convert_nm("twice", "Slice Vector", at, code=3, change=lambda d: setattr(d, "SliceVector", [1, 1, 3, 4, 5, 6]))
    convert_nm("short", "pixels where 6 x 11 x 9", at, code=3, change=lambda d: setattr(d, "PixelData", d.PixelData[:-10]))
    convert_nm("frames", "pixels where", at, code=3, change=lambda d: setattr(d, "NumberOfFrames", 2000000))
    convert_nm("place", "(0020,0032)", at, code=3, change=lambda d: delattr(d.DetectorInformationSequence[0], "ImagePositionPatient"))


def test_folder(folder):
    """A mixed folder of two patients: what is there, without their names; convert finds what it needs; damaged files are counted"""
    import numpy
    write_pet(folder + "/d/pet", phantom())
    write_nm(folder + "/d/nm.dcm", phantom()[0])
    plane = numpy.ones((11, 9), bool)
    write_seg(folder + "/d/seg", [(1, "Liver", "Liver")], [(1, (-7.0, -5.0, 30.0), plane)], (11, 9))
    write_rtstruct(folder + "/d/rt", [(1, "tumour", [[(-5, -3, 30), (-3, -3, 30), (-4, -1, 30)]])])
    write_pet(folder + "/d/other", phantom(), series="1.2.3.55", change=lambda k, f, d: setattr(d, "PatientID", "Secret42"))
    open(folder + "/d/notes.txt", "w").write("Secret notes")
    out, err = isotrace("info", folder + "/d", "--json")
    facts = json.loads(out)
    assert "Secret" not in out + err and "M01" not in out.replace(folder, "")
    assert facts["patients"] == 2 and facts["other_files"] == 1 and "2 patients" in facts["warnings"][0]
    found = {(s["is"], s["files"], s["patient"], s["series_uid"]) for s in facts["series"]}
    assert found == {("PET series", 6, 1, "1.2.3.5"), ("reconstructed NM image", 1, 1, "1.2.3.7"), ("segmentation", 1, 1, "1.2.3.8"),
                     ("RT structure set", 1, 1, "1.2.3.9"), ("PET series", 6, 2, "1.2.3.55")}, found
    text = isotrace("info", folder + "/d")[0]
    assert "organs: convert --like IMAGE" in text and "Secret" not in text
    assert "2 patients" in convert(folder + "/d", "--series", "1.2.3.5")["warnings"][0]
    refuse(folder + "/d", "choose one with --series", "1.2.3.55", "1.2.3.7")
    os.remove(folder + "/d/rt")
    isotrace("convert", folder + "/d", "--like", folder + "/d/pet", "-o", folder + "/organs.nii.gz", "-q")
    assert open(folder + "/organs.csv").read().splitlines()[1].startswith('1,"Liver",1.05')
    open(folder + "/d/cut.dcm", "wb").write(open(folder + "/d/nm.dcm", "rb").read()[:300])
    assert "1 files are damaged" in json.loads(isotrace("info", folder + "/d", "--json")[0])["warnings"][1]
    refuse(folder + "/d", "cut.dcm", "damaged", options=["--series", "1.2.3.5"])
    isotrace("info", folder + "/d/cut.dcm", code=3)
    isotrace("info", "/dev/null/none", code=3)


def test_refused(folder):
    """No zone, no dates, gated, gaps, two patients, truncated, too few pixels: refused with file and remedy"""
    def case(name, change, *words, options=()):
        write_pet(f"{folder}/{name}", phantom(), change=change)
        return refuse(f"{folder}/{name}", *words, options=options)

    def no_zone(k, f, d):
        del d.TimezoneOffsetFromUTC
    case("zone", no_zone, "--time-zone")
    assert convert(folder + "/zone", "--time-zone", "+02:00")["start"] == "2026-03-14T08:00:00Z"
    case("zones", None, "another time zone", options=["--time-zone", "+02:00"])
    assert "is no zone" in convert(folder + "/zone", "--time-zone", "CET", name="z", code=2)
    case("date", lambda k, f, d: delattr(d, "AcquisitionDate"), "Acquisition Date")
    case("time", lambda k, f, d: setattr(d, "AcquisitionTime", "noon"), "Acquisition Date")
    case("duration", lambda k, f, d: delattr(d, "ActualFrameDuration"), "Actual Frame Duration")
    case("gated", lambda k, f, d: setattr(d, "SeriesType", ["GATED", "IMAGE"]), "gated")
    case("slope", lambda k, f, d: delattr(d, "RescaleSlope") if k == 2 else None, "(0028,1053)", "9997.dcm")
    case("patients", lambda k, f, d: setattr(d, "PatientID", "Secret42") if k == 2 else None, "")
    case("short", lambda k, f, d: setattr(d, "PixelData", d.PixelData[:100]) if k == 1 else None, "50 pixels where 11 x 9", "9998.dcm")
    write_pet(folder + "/gap", phantom())
    os.remove(folder + "/gap/9996.dcm")
    refuse(folder + "/gap", "a gap")
    write_pet(folder + "/end", phantom())
    os.remove(folder + "/end/9994.dcm")
    refuse(folder + "/end", "promise 6")
    write_pet(folder + "/cut", phantom())
    whole = open(folder + "/cut/9995.dcm", "rb").read()
    for length in (140, 700, len(whole) - 20):
        open(folder + "/cut/9995.dcm", "wb").write(whole[:length])
        refuse(folder + "/cut", "9995.dcm")
    write_pet(folder + "/double", phantom())
    write_pet(folder + "/double/again", phantom())
    refuse(folder + "/double", "same place and time")
    write_pet(folder + "/many/a", phantom())
    write_pet(folder + "/many/b", phantom(), series="1.2.3.6")
    refuse(folder + "/many", "choose one with --series", "1.2.3.6")
    assert convert(folder + "/many", "--series", "1.2.3.6")["series_uid"] == "1.2.3.6"
    isotrace("convert", folder + "/many", "-o", folder + "/x.nii.gz", "--start", "2026-03-14T09:26:53Z", code=2)
    os.makedirs(folder + "/empty")
    refuse(folder + "/empty", "no PET")


run([test_static, test_own, test_dynamic, test_reference, test_units, test_dose, test_nm, test_folder, test_refused], modules=["pydicom", "nibabel"])
