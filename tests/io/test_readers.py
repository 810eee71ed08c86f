# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs that share no code with isotrace read from its images: dcm2niix, (X)MedCon, GDCM. Values within the 16-bit step
that isotrace states, geometry within 0.01 mm."""

import glob
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import Skip, find, isotrace, run, spect, write_dose, write_volume

FRAMES = ((0, 60), (60, 120), (200, 300))
KINDS = {"static": dict(frames=((0, 600),)), "dynamic": dict(frames=FRAMES),
         "NM": dict(frames=((0, 600),), change=spect, nuclide="Tc-99m", half_life_s=6.0067 * 3600)}


def make(folder, kind, slope="slice"):
    """Writes one kind of series; the volume as nibabel has it, and the largest step."""
    import nibabel
    import numpy
    facts = KINDS[kind]
    voxels = numpy.random.default_rng(4).gamma(0.3, 1e5, (len(facts["frames"]), 6, 7, 9))
    write_volume(folder + "/v.nii.gz", voxels, **facts)
    write_dose(folder + "/dose.yaml", nuclide=facts.get("nuclide", "Cu-64"))
    out, _ = isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--species",
                      "mouse", "--slope", slope, "--json", "-o", folder + "/" + kind)
    return nibabel.load(folder + "/v.nii.gz"), json.loads(out)["largest_step_bq_per_ml"], folder + "/" + kind


def call(*command, cwd=None):
    """Runs a reader; what it says."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, timeout=60)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    return done.stdout.decode(errors="replace")


def reader(name):
    """Full path of a reader; skips where it is not installed."""
    path = find(name)
    if not path:
        raise Skip("no " + name)
    return path


def test_dcm2niix(folder):
    """dcm2niix: every voxel of static, dynamic and NM at its millimetre, with its value and its frame's time"""
    import nibabel
    import numpy
    program = reader("dcm2niix")
    for kind in KINDS:
        wanted, step, series = make(folder, kind, "series" if kind == "dynamic" else "slice")
        out = folder + "/nifti-" + kind
        os.mkdir(out)
        call(program, "-z", "n", "-b", "y", "-f", "x", "-o", out, series)
        image = nibabel.load(out + "/x.nii")
        # It turns rows about: its voxel (i, j, k) is ours (i, last - j, k).
        values, truth = image.get_fdata()[:, ::-1], wanted.get_fdata()
        assert values.shape == truth.shape, (kind, values.shape)
        # Half a step, and the single precision that it computes and writes in: two roundings.
        assert abs(values - truth).max() <= step / 2 + truth.max() * 2 ** -23, (kind, abs(values - truth).max(), step)
        for corner in ((0, 0, 0), (8, 0, 0), (0, 6, 0), (0, 0, 5), (8, 6, 5)):
            here = image.affine @ [corner[0], 6 - corner[1], corner[2], 1]
            assert abs(here - wanted.affine @ [*corner, 1]).max() < 0.01, (kind, corner, here)
        with open(out + "/x.json") as file:
            said = json.load(file)
        if kind == "dynamic":
            assert said["FrameDuration"] == [d for _, d in FRAMES], said
        if kind != "NM":
            assert said["Units"] == "BQML" and said["DecayCorrection"] == "START"
            assert abs(said["RadionuclideTotalDose"] - 7.4e6) < 1
        assert numpy.isfinite(values).all()


def test_medcon(folder):
    """(X)MedCon: values within the step, edges of the voxels"""
    import nibabel
    program = reader("medcon")
    for kind in ("static", "NM"):
        wanted, step, series = make(folder, kind)
        stack = ("-stack3d",) if kind == "static" else ()
        out = folder + "/medcon-" + kind
        os.mkdir(out)
        call(program, "-n", "-qs", "-w", *stack, "-c", "nifti", "-o", "x", "-f", *sorted(glob.glob(series + "/*.dcm")),
             cwd=out)
        image = nibabel.load(out + "/x.nii")
        truth = wanted.get_fdata()
        assert image.shape == truth.shape
        assert abs(image.get_fdata() - truth).max() <= step / 2 + truth.max() * 2 ** -23, kind
        # It knows no origin in NIfTI; the sizes of the voxels it has as single-precision sums.
        assert max(abs(a - b) for a, b in zip(image.header.get_zooms(), (0.5, 0.4, 1.1))) < 1e-5


def test_gdcm(folder):
    """GDCM: origin, spacing, directions, rescaling and the pixels as stored"""
    import numpy
    info, raw = reader("gdcminfo"), reader("gdcmraw")
    for kind in ("static", "NM"):
        wanted, step, series = make(folder, kind, "series")
        truth = wanted.get_fdata().transpose(2, 1, 0)
        for k, file in enumerate(sorted(glob.glob(series + "/*.dcm"))):
            said = dict(re.findall(r"^\s*([A-Z][\w /]+?)\s*: *(.*?) *$", call(info, file), re.MULTILINE))
            numbers = {key: [float(x) for x in re.findall(r"[-+.\deE]+", said[key])]
                       for key in ("Origin", "Spacing", "DirectionCosines", "Rescale Intercept/Slope", "Dimensions")}
            origin = numpy.array([-3.0, 2.0, 40.0 + 1.1 * k])
            assert abs(numpy.array(numbers["Origin"]) - origin).max() < 0.01, numbers
            assert numbers["DirectionCosines"] == [1, 0, 0, 0, 1, 0]
            assert abs(numpy.array(numbers["Spacing"][:2]) - [0.5, 0.4]).max() < 1e-6
            assert numbers["Dimensions"] == [9, 7, 6 if kind == "NM" else 1]
            call(raw, "-i", file, "-o", folder + "/pixels", "-t", "7fe0,0010")
            if kind == "NM":  # it applies no rescaling to NM, as the IOD says: the step is the one that isotrace states
                assert abs(numbers["Spacing"][2] - 1.1) < 1e-6
                values = numpy.fromfile(folder + "/pixels", "<u2").reshape(6, 7, 9) * step
                assert abs(values - truth).max() <= step * 0.5001
            else:
                assert abs(numbers["Rescale Intercept/Slope"][1] / step - 1) < 1e-5  # it prints six digits
                values = numpy.fromfile(folder + "/pixels", "<i2").reshape(7, 9) * step
                assert abs(values - truth[k]).max() <= step * 0.5001


run([test_dcm2niix, test_medcon, test_gdcm], modules=("numpy", "nibabel"))
