# SPDX-License-Identifier: GPL-3.0-or-later
"""Gated PET and NM images read back: voxels, gates, uptake; and everything that must be refused."""

import copy
import csv
import glob
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gated import GATES, GATING, TC99M, dicom, write
from volumes import START, isotrace, run, spect

AT = ("--decay-reference", START)  # which NM cannot say
KINDS = ((None, {}, ()), (spect, TC99M, AT))


def uneven():
    """Every slice of every gate has a maximum of its own; some voxels are below zero."""
    import numpy
    image = numpy.random.default_rng(11).uniform(-1e3, 1e5, (GATES, 3, 4, 5))
    return image * (1 + numpy.arange(3))[None, :, None, None] * (1 + numpy.arange(GATES))[:, None, None, None]


def convert(path, out, *options, code=0):
    out = isotrace("convert", path, "-o", out, "--json", *options, code=code)
    return json.loads(out[0]) if code == 0 else out[1]


def sidecar(path):
    return json.load(open(path.replace(".nii.gz", ".json")))["isotrace"]


def voxels(path):
    import nibabel
    import numpy
    return numpy.asarray(nibabel.load(path).dataobj, float).transpose(3, 2, 1, 0)


def gated_facts(d):
    """All that an object says of its gates and its times."""
    names = ("SeriesType", "ImageType", "NumberOfRRIntervals", "NumberOfTimeSlots", "TriggerTime", "FrameTime", "NominalInterval", "LowRRValue",
             "HighRRValue", "IntervalsAcquired", "IntervalsRejected", "BeatRejectionFlag", "TriggerSourceOrType", "CardiacFramingType",
             "HeartRate", "ActualFrameDuration", "AcquisitionDuration", "AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime",
             "FrameReferenceTime", "DecayFactor", "GatedInformationSequence", "RRIntervalVector", "TimeSlotVector", "SliceVector")
    return {name: str(d[name].value) for name in names if name in d}


def uptake(folder, volume, name):
    isotrace("quant", f"{folder}/{volume}", "--organs", folder + "/organs.nii.gz", "--dose", folder + "/dose.yaml", "-o", f"{folder}/{name}", "-q")
    return list(csv.DictReader(open(f"{folder}/{name}/biodistribution.csv", newline="")))


def test_round_trip(folder):
    """PET and NM: read back are the voxels within half a step, the gates and the uptake; written again, the files say the same"""
    import nibabel
    import numpy
    image = uneven()
    for modality, nuclide, options in KINDS:
        path = write(folder, modality=modality, voxels=image, **nuclide)
        images = dicom(folder)
        facts = convert(folder + "/out", folder + "/back.nii.gz", *options)
        assert facts["gates"] == facts["frames"] == GATES and not [w for w in facts["warnings"] if "not say" not in w], facts
        back = voxels(folder + "/back.nii.gz")
        # half a step of 16 bits: of each slice in PET, of the whole file in NM; and the rounding to float32
        span = image.max() - image.min() if modality else 2 * abs(image).max(axis=(2, 3), keepdims=True)
        assert back.shape == image.shape and (abs(back - image) <= 0.5001 * span / 65534 + 2e-7 * abs(image).max()).all()
        given, got = sidecar(path), sidecar(folder + "/back.nii.gz")
        # PET has no element for the time that each gate was collected
        wanted = copy.deepcopy(GATING)
        for gate in wanted["gates"] if not modality else ():
            gate["collected_s"] = None
        for mine, theirs in zip(wanted["gates"], got["gating"]["gates"]):
            assert mine["collected_s"] == theirs["collected_s"]
            assert abs(mine["start_s"] - theirs["start_s"]) < 1e-12 and abs(mine["duration_s"] - theirs["duration_s"]) < 1e-12
        assert {k: v for k, v in got["gating"].items() if k != "gates"} == {k: v for k, v in wanted.items() if k != "gates"}
        assert got["frames"] == given["frames"] and got["acquisition"]["start_utc"] == START
        assert abs(got["decay_reference_s"]) < 1e-6 and abs(got["half_life_s"] / given["half_life_s"] - 1) < 1e-9
        grid = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(numpy.ones(grid.shape[:3], numpy.int16), grid.affine), folder + "/organs.nii.gz")
        open(folder + "/organs.csv", "w").write("label,organ,density_g_per_ml\n1,heart,1\n")
        ours, theirs = uptake(folder, "v.nii.gz", "q1"), uptake(folder, "back.nii.gz", "q2")
        assert len(ours) == len(theirs) == GATES
        for mine, other, gate in zip(ours, theirs, image):
            assert mine["gate"] == other["gate"] and abs(float(mine["time_h"]) - float(other["time_h"])) < 1e-9
            # each voxel within half a step: so is their mean; nine digits of the table
            bound = 0.5001 * span.max() / 65534 / abs(gate.mean()) + 1e-8
            for name in ("percent_id_per_g", "suv_bw", "activity_bq"):
                assert abs(float(mine[name]) / float(other[name]) - 1) <= bound, (name, mine[name], other[name])
        # AcquisitionDuration of NM and all gates again; PET has no TimeSlotTime to lose
        again = dicom(folder, volume="back.nii.gz", out="again")
        assert len(again) == len(images) and [gated_facts(d) for d in again] == [gated_facts(d) for d in images]


def test_facts(folder):
    """Breath, times after the trigger, and what is not known; uneven times; names of files in no order"""
    def breath(s):
        s["isotrace"]["gating"].update(trigger="respiratory", framing="time", cycle_s=1.5, cycles=380, rejected_cycles=0, shortest_cycle_s=None,
                                       longest_cycle_s=None, gates=[{"start_s": 0.05 + g / 3, "duration_s": 1 / 3, "collected_s": None} for g in range(GATES)])

    def unknown(s):
        s["isotrace"]["gating"].update(trigger="unknown", framing="unknown", **dict.fromkeys(("cycle_s", "shortest_cycle_s", "longest_cycle_s", "cycles",
                                                                                            "rejected_cycles")))
    for change in (breath,) if "ISO_SANITIZED" in os.environ else (breath, unknown):
        for modality, nuclide, options in KINDS:
            path = write(folder, change, modality, **nuclide)
            images = dicom(folder)
            for n, file in enumerate(sorted(glob.glob(folder + "/out/*.dcm"))):
                os.rename(file, f"{folder}/out/{(7 * n) % 13}.dcm")
            convert(folder + "/out", folder + "/back.nii.gz", *options)
            # half a step of 4000/65535
            assert (abs(voxels(folder + "/back.nii.gz").mean(axis=(1, 2, 3)) - [1000, 2000, 3000, 4000]) < 0.031).all()
            given, got = sidecar(path)["gating"], sidecar(folder + "/back.nii.gz")["gating"]
            if modality and change == breath:
                given["trigger"] = "unknown"  # NM names no trigger, but a heart rate
            for mine, theirs in zip(given.pop("gates"), got.pop("gates")):
                # decimals of some ten digits
                assert abs(mine["start_s"] - theirs["start_s"]) < 1e-9 and abs(mine["duration_s"] - theirs["duration_s"]) < 1e-9
            assert got == given, (got, given)
            shutil.rmtree(folder + "/out")
            again = dicom(folder, volume="back.nii.gz")
            assert [gated_facts(d) for d in again] == [gated_facts(d) for d in images]


def spoil(folder, images, change, name="bad"):
    """Copies of the objects, changed by change(n, dataset); False: this one is missing."""
    shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
    os.mkdir(f"{folder}/{name}")
    for n, d in enumerate(images):
        d = copy.deepcopy(d)
        if change(n, d) is not False:
            d.save_as(f"{folder}/{name}/{n:02}.dcm")
    return f"{folder}/{name}"


def refuse(folder, images, change, words, options=()):
    err = convert(spoil(folder, images, change), folder + "/none.nii.gz", *options, code=3)
    for word in words:
        assert word in err, (word, err)
    assert "M01" not in err and not os.path.exists(folder + "/none.nii.gz")


def put(only=None, **elements):
    """Sets elements of image `only`, or of all; None deletes one."""
    def change(n, d):
        for name, value in elements.items() if only in (None, n) else ():
            if value is None:
                delattr(d, name)
            else:
                setattr(d, name, value)
    return change


def without(*files):
    return lambda n, d: n not in files


def some(*cases):
    """All of them; under the sanitizers, where each call takes long, a few."""
    return cases[::6] if "ISO_SANITIZED" in os.environ else cases


def test_refused_pet(folder):
    """PET: gates that are missing, contradict each other, the cycle or the scan, or have no times are refused, with file and tag"""
    write(folder)
    images = dicom(folder)  # image 3 g + k

    def slot(n, d):  # a whole gate is in the place of another one
        if 6 <= n < 9:
            d.TriggerTime = "30"

    def longer(n, d):  # the trigger times leave a hole in which nothing was acquired
        d.TriggerTime = str(40 * (n // 3))

    def outside(n, d):
        d.TriggerTime = str(float(d.TriggerTime) + 60)

    def gate(n, d):  # an eighth of the scan is no scan
        d.ActualFrameDuration = 75000
        d.FrameReferenceTime, d.DecayFactor = "37492.9", "1.000568"  # as such a maker would have it
    for change, words in some(
            (without(3, 4, 5), ("images of 3 gates", "(0054,0071) is 4")),
            (without(4), ("3 images at this place and 4 at the first",)),
            (without(2, 5, 8, 11), ("2 slices", "promise 3")),
            (put(NumberOfRRIntervals=2), ("2 R-R intervals (0054,0061)", "one R-R interval")),
            (put(NumberOfTimeSlots=1), ("(0054,0071) is 1", "static")),
            (put(NumberOfTimeSlots=None), ("(0054,0071) is missing",)),
            (put(7, NumberOfTimeSlots=5), ("contradicts itself", "(0054,0071)", "07.dcm")),
            (put(only=7, TriggerTime=None), ("07.dcm", "(0018,1060)")),
            (put(only=7, FrameTime=None), ("07.dcm", "(0018,1063)")),
            (put(only=7, TriggerTime="61.5"), ("07.dcm", "61.5 ms", "(0018,1060)", "06.dcm")),
            (put(only=7, FrameTime="32"), ("07.dcm", "32 ms")),
            (put(FrameTime="-30"), ("(0018,1063)", "negative")),
            (put(FrameTime="20"), ("do not follow each other", "(0018,1060)")),
            (slot, ("same place and time",)),
            (longer, ("gate 2 begins 40 ms",)),
            (outside, ("120 ms after the trigger", "cycle of 120 ms (0018,1062)")),
            (gate, ("4800 cycles (0018,1083)", "75 s")),
            (put(only=5, AcquisitionTime="235959"), ("apart (0008,0032)",)),
            (put(only=5, SeriesType=["STATIC", "IMAGE"]), ("05.dcm", "(0054,1000)")),
            (put(only=5, NominalInterval=121), ("05.dcm", "(0018,1062)", "'121'")),
            (put(CardiacFramingType="BACK"), ("(0018,1064)", "forward")),
            (put(LowRRValue=160), ("(0018,1081)", "(0018,1082)")),
            (put(BeatRejectionFlag="N"), ("200 cycles were rejected", "(0018,1080)")),
            (put(IntervalsAcquired=-1), ("(0018,1083)",))):
        refuse(folder, images, change, words)
    # the rules for the moment of decay correction are those of a static series

    def late(n, d):  # not believed
        d.SeriesTime = "235959"
    facts = convert(spoil(folder, images, late), folder + "/late.nii.gz")
    assert "SeriesTime" in facts["warnings"][0] and abs(facts["decay_reference_s"]) < 1e-3
    # half of the 0.9 % of Cu-64 that decay in the scan
    facts = convert(spoil(folder, images, put(DecayFactor="1")), folder + "/warned.nii.gz")
    assert "within the frames: up to 0.45 %" in facts["warnings"][0]
    refuse(folder, images, put(SeriesTime="234000", DecayFactor="1.5"), ("not certain", "DecayFactor"))
    # gates of what is otherwise a static series, and the other way round
    refuse(folder, images, lambda n, d: put(SeriesType=["STATIC", "IMAGE"])(n, d) if n > 2 else None, ("(0054,1000)",))
    refuse(folder, images[:3], lambda n, d: put(SeriesType=["STATIC", "IMAGE"])(n, d) if n < 2 else None, ("(0054,1000)",))


def test_refused_nm(folder):
    """NM: vectors that do not name every slice of every gate once, and gates without times, are refused; in any order they are read"""
    import numpy
    write(folder, modality=spect, **TC99M)
    images = dicom(folder)

    def gated(**elements):
        return lambda n, d: put(**elements)(n, d.GatedInformationSequence[0])

    def data(**elements):
        return lambda n, d: put(**elements)(n, d.GatedInformationSequence[0].DataInformationSequence[0])
    for change, words in some(
            (put(TimeSlotVector=[1] * 6 + [2] * 3 + [4] * 3), ("(0054,0070)",)),
            (put(TimeSlotVector=[0] * 3 + [2] * 3 + [3] * 3 + [4] * 3), ("(0054,0070)",)),
            (put(TimeSlotVector=[1] * 3 + [2] * 3 + [3] * 3), ("(0054,0070)",)),
            (put(TimeSlotVector=None), ("(0054,0070)",)),
            (put(SliceVector=[1, 2, 2] * 4), ("(0054,0080)", "3 slices of each gate")),
            (put(RRIntervalVector=[1] * 11 + [2]), ("(0054,0060)",)),
            (put(NumberOfRRIntervals=2), ("(0054,0061)", "one R-R interval")),
            (put(NumberOfTimeSlots=5), ("(0054,0071) is 5", "(0054,0072)")),
            (put(NumberOfTimeSlots=1), ("(0054,0071)",)),
            (put(NumberOfSlices=4), ("(0054,0081)",)),
            (put(NumberOfFrames=11), ("11 frames (0028,0008)",)),
            (put(GatedInformationSequence=None), ("(0054,0062)",)),
            (gated(DataInformationSequence=None), ("(0054,0063)",)),
            (gated(TriggerTime=None), ("(0018,1060)",)),
            (data(FrameTime=None), ("(0018,1063)",)),
            (data(FrameTime="0"), ("(0018,1063)",)),
            (data(FrameTime="60"), ("cycle of 120 ms",)),
            (data(IntervalsAcquired=48000), ("48000 cycles", "600 s")),
            (lambda n, d: data(TimeSlotInformationSequence=d.GatedInformationSequence[0].DataInformationSequence[0].TimeSlotInformationSequence[:3])(n, d),
             ("(0054,0072)", "3 time slots")),
            (put(ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]), ("several time slots",))):
        refuse(folder, images, change, words, AT)

    def slots(n, d):  # each gate was collected longer than the scan took
        for item in d.GatedInformationSequence[0].DataInformationSequence[0].TimeSlotInformationSequence:
            item.TimeSlotTime = "600000"
    refuse(folder, images, slots, ("(0054,0073)",), AT)

    def shuffled(n, d):  # slices of one place together, from the last gate and the last slice on, against the normal
        order = [3 * g + k for k in (2, 1, 0) for g in (3, 2, 1, 0)]
        frames = numpy.frombuffer(d.PixelData, "<u2").reshape(12, -1).copy()
        frames -= numpy.arange(12, dtype="<u2")[:, None] % 3  # a slice differs from the next one
        d.PixelData = frames[order].tobytes()
        d.TimeSlotVector, d.SliceVector = [f // 3 + 1 for f in order], [f % 3 + 1 for f in order]
    step = float(images[0].RescaleSlope)
    for reverse in (False, True):
        def change(n, d):
            shuffled(n, d)
            if reverse:
                d.SpacingBetweenSlices = -float(d.SpacingBetweenSlices)
        convert(spoil(folder, images, change), folder + "/shuffled.nii.gz", *AT)
        got = voxels(folder + "/shuffled.nii.gz")[:, :, 0, 0]
        stored = numpy.rint(numpy.arange(1, 5) * 1000 / step)[:, None] - numpy.arange(3)[None, ::-1 if reverse else 1]
        assert (abs(got - stored * step) < 1e-3).all(), got
    convert(spoil(folder, images, without()), folder + "/again.nii.gz", *AT)  # as it was, it is read


def test_other_makers(folder):
    """Zeros for what is not known, limits that were not applied, a framing and a trigger of their own; the rest is read"""
    write(folder)
    images = dicom(folder)

    def read(*changes):
        def change(n, d):
            for one in changes:
                one(n, d)
        facts = convert(spoil(folder, images, change), folder + "/x.nii.gz")
        return sidecar(folder + "/x.nii.gz")["gating"], facts["warnings"]
    got, warnings = read(put(NominalInterval=0, LowRRValue=0, HighRRValue=0, IntervalsAcquired=0))
    assert [got[k] for k in ("cycle_s", "shortest_cycle_s", "longest_cycle_s", "cycles", "rejected_cycles")] == [None] * 4 + [200]
    got, warnings = read(put(BeatRejectionFlag="N", IntervalsRejected=None))
    assert got["shortest_cycle_s"] is None and got["rejected_cycles"] == 0 and not warnings
    got, warnings = read(put(CardiacFramingType="VENDOR"))
    assert got["framing"] == "unknown" and "'VENDOR'" in warnings[0]
    assert read(put(TriggerSourceOrType=None))[0]["trigger"] == "cardiac"  # by its heart rate
    assert read(put(TriggerSourceOrType=None, HeartRate=None))[0]["trigger"] == "unknown"
    assert read(put(TriggerSourceOrType="ECG"))[0]["trigger"] == "cardiac"

    def rounded(n, d):  # to whole ms: gates of 30.4 ms
        d.TriggerTime, d.FrameTime = str(round(30.4 * (n // 3))), "30"
        d.NominalInterval = 122
    assert [g["start_s"] for g in read(rounded)[0]["gates"]] == [0, 0.03, 0.061, 0.091]


def test_folder(folder):
    """info says how many gates each series has; de-identified gates are the same gates"""
    write(folder)
    os.mkdir(folder + "/d")
    os.mkdir(folder + "/public")
    dicom(folder, out="d/pet")
    write(folder, modality=spect, **TC99M)
    dicom(folder, out="d/nm")
    series = json.loads(isotrace("info", folder + "/d", "--json")[0])["series"]
    assert {(s["is"], s["files"], s["gates"], s["usable"]) for s in series} == {("PET series", 12, 4, True), ("reconstructed NM image", 1, 4, True)}
    text = isotrace("info", folder + "/d/pet")[0]
    assert "gates               4\n" in text and "convert -o X.nii.gz" in text
    open(folder + "/key", "w").write("correct horse battery staple\n")
    for name, options in (("pet", ()), ("nm", AT)):
        isotrace("deidentify", f"{folder}/d/{name}", "--key", folder + "/key", "-q", "-o", f"{folder}/public/{name}")
        for file in glob.glob(f"{folder}/public/{name}/*"):
            assert b"M01" not in open(file, "rb").read() and b"20260314" not in open(file, "rb").read()
        real, hidden = f"{folder}/{name}-real.nii.gz", f"{folder}/{name}-hidden.nii.gz"
        convert(f"{folder}/d/{name}", real, *options)
        if options:  # the day is another one: corrected to the start of the scan, as before
            import pydicom
            day = pydicom.dcmread(f"{folder}/public/nm/000001.dcm").AcquisitionDate
            options = ("--decay-reference", f"{day[:4]}-{day[4:6]}-{day[6:]}{START[10:]}")
        convert(f"{folder}/public/{name}", hidden, *options)
        assert (voxels(real) == voxels(hidden)).all()
        for key in ("gating", "frames", "half_life_s", "decay_reference_s"):
            assert sidecar(real)[key] == sidecar(hidden)[key], key


run([test_round_trip, test_facts, test_refused_pet, test_refused_nm, test_other_makers, test_folder], modules=("numpy", "nibabel", "pydicom"))
