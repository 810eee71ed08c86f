# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmentations and structure sets of other programs, made here with pydicom: voxels, places, holes, areas, and what must be refused."""

import csv
import json
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dicom_samples import phantom, write_pet, write_rtstruct, write_seg
from volumes import isotrace, run

ORIGIN, SPACING, STEP, SHAPE = (-7.0, -5.0, 30.0), (0.5, 0.8), 1.5, (11, 9)


def convert(source, *options, code=0):
    out, err = isotrace("convert", source, "-o", source + ".nii.gz", "--json", *options, code=code)
    if code:
        assert not os.path.exists(source + ".nii.gz")
        assert "Secret" not in err and "M01" not in err
        return err
    return json.loads(out)


def labels(path):
    """Labels [k][j][i], the LPS affine, and the table."""
    import nibabel
    import numpy
    image = nibabel.load(path + ".nii.gz")
    table = {row["organ"]: row for row in csv.DictReader(open(path + ".csv"))}
    return numpy.asarray(image.dataobj).transpose(2, 1, 0), numpy.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine, table


def at(slice_number):
    return (ORIGIN[0], ORIGIN[1], ORIGIN[2] + slice_number * STEP)


def boxes():
    """A liver in slices 1 and 3 (2 is empty: no frame), a spleen in slice 2, planes of 99 bits."""
    import numpy
    liver, spleen = numpy.zeros(SHAPE, bool), numpy.zeros(SHAPE, bool)
    liver[2:7, 1:4] = True
    liver[8, 8] = True
    spleen[0, 0] = spleen[3:5, 5:8] = True
    return liver, spleen


SEGMENTS = [(1, "Liver", "Liver"), (4, "my spleen", "Spleen"), (7, "nothing", "Lesion")]


def test_seg(folder):
    """Binary segments, sparse and unsorted frames: the right voxels at the right places, names and densities"""
    import numpy
    liver, spleen = boxes()
    write_seg(folder + "/seg", SEGMENTS, [(1, at(3), liver), (4, at(2), spleen), (1, at(1), liver)], SHAPE)
    write_pet(folder + "/pet", phantom())
    facts = convert(folder + "/seg", "--like", folder + "/pet")
    got, lps, table = labels(folder + "/seg")
    expected = numpy.zeros((3, *SHAPE))
    expected[0], expected[2] = liver, liver
    expected[1] = 4 * spleen
    assert (got == expected).all()
    assert numpy.allclose(lps @ (2, 3, 1, 1), (ORIGIN[0] + 2 * 0.8, ORIGIN[1] + 3 * 0.5, ORIGIN[2] + 2 * STEP, 1), atol=1e-4)
    assert set(table) == {"Liver", "my spleen"} and table["my spleen"]["label"] == "4"
    # by its code's meaning, as its name says nothing to the table
    assert float(table["my spleen"]["density_g_per_ml"]) == 1.05 and facts["organs"] == {"Liver": 1, "my spleen": 4}
    assert len(facts["warnings"]) == 1 and "'nothing' is empty" in facts["warnings"][0]
    # quantification takes labels and table: the liver has 32 voxels of 0.6 mm3
    isotrace("convert", folder + "/pet", "-o", folder + "/v.nii.gz", "--dose-file", folder + "/dose.yaml", "-q")
    isotrace("quant", folder + "/v.nii.gz", "--organs", folder + "/seg.nii.gz", "--dose", folder + "/dose.yaml", "-o", folder + "/q", "-q")
    row = next(csv.DictReader(open(folder + "/q/biodistribution.csv")))
    truth = phantom()[0][[1, 3]][:, liver].mean()
    assert row["organ"] == "Liver" and abs(float(row["volume_ml"]) - 32 * 0.6e-3) < 1e-9
    # half a step of 16 bits, of the slice's maximum, about ten times the mean of a voxel: 1e-4
    assert abs(float(row["concentration_bq_per_ml"]) / (truth * 2 ** (3600 / 6584.04)) - 1) < 2e-4, row
    facts = convert(folder + "/seg", "--like", folder + "/pet", "--segment", "liver")
    assert facts["organs"] == {"Liver": 1}
    assert "frames of reference" in convert(folder + "/seg")["warnings"][0]


def test_fractional(folder):
    """A fractional segmentation from one half on, and frames out of step, unknown segments, overlaps: refused"""
    import numpy
    liver, spleen = boxes()
    write_seg(folder + "/f", SEGMENTS[:1], [(1, at(0), numpy.where(liver, 128, 127))], SHAPE, stored=255)
    assert "fractional" in convert(folder + "/f")["warnings"][1]
    assert (labels(folder + "/f")[0][0] == liver).all()
    two = [(1, at(0), liver), (4, at(1), spleen)]

    def case(name, frames, *words, change=None, options=()):
        write_seg(f"{folder}/{name}", SEGMENTS, frames, SHAPE, change=change)
        err = convert(f"{folder}/{name}", *options, code=3)
        for word in words:
            assert word in err, (word, err)
    case("overlap", [(1, at(0), liver), (4, at(0), liver | spleen)], "16 voxels belong to two organs", "Liver", "my spleen", "--segment")
    write_seg(folder + "/overlap", SEGMENTS, [(1, at(0), liver), (4, at(0), liver)], SHAPE)
    assert convert(folder + "/overlap", "--segment", "Liver")["organs"] == {"Liver": 1}
    case("step", [two[0], (4, at(0.5), spleen)], "no common grid")
    case("aside", [two[0], (4, (ORIGIN[0] + 0.4, ORIGIN[1], ORIGIN[2] + STEP), spleen)], "no common grid")
    case("far", [two[0], (4, at(1e6), spleen)], "span")
    case("unknown", [two[0], (9, at(1), spleen)], "segment 9")
    case("short", two, "pixels where 2 x 11 x 9", change=lambda d: setattr(d, "PixelData", d.PixelData[:20]))
    case("descriptions", two, "descriptions of frames", change=lambda d: d.PerFrameFunctionalGroupsSequence.pop())
    case("no position", two, "(0020,0032)", change=lambda d: delattr(d.PerFrameFunctionalGroupsSequence[1], "PlanePositionSequence"))
    case("type", two, "BINARY", change=lambda d: setattr(d, "SegmentationType", "PERHAPS"))
    case("none", two, "no organ was found", options=["--segment", "heart"])
    write_pet(folder + "/pet", phantom(), change=lambda k, f, d: setattr(d, "FrameOfReferenceUID", "1.2.10"))
    case("frame", two, "another frame of reference", options=["--like", folder + "/pet"])


def circle(radius, z, centre=(-4.0, -2.5), points=200, reverse=False):
    around = [(centre[0] + radius * math.cos(2 * math.pi * n / points), centre[1] + radius * math.sin(2 * math.pi * n / points), z)
              for n in range(points)]
    return around[::-1] if reverse else around


def area(radius, points=200):
    """Of the polygon inscribed in the circle."""
    return points / 2 * radius ** 2 * math.sin(2 * math.pi / points)


def test_rtstruct(folder):
    """Contours with a hole drawn apart, and by a keyhole: areas as by formula, places, slices without a contour"""
    import numpy
    write_pet(folder + "/pet", phantom())
    outer, inner = 2.0, 1.1
    z = [ORIGIN[2] + k * STEP for k in range(6)]
    # a keyhole: around the outer circle, in to the inner one, around it backwards, and out again
    keyhole = circle(outer, z[3]) + [circle(outer, z[3])[0]] + [circle(inner, z[3])[0]] + circle(inner, z[3], reverse=True) + [circle(outer, z[3])[0]]
    regions = [(3, "ring", [circle(outer, z[1]), circle(inner, z[1]), keyhole]),
               (5, "Tumor", [circle(0.5, z[1]), circle(0.5, z[2])]),
               (6, "square", [[(-5.4, -4.25, z[5]), (-4.6, -4.25, z[5]), (-4.6, -3.75, z[5]), (-5.4, -3.75, z[5])]])]
    write_rtstruct(folder + "/rt", regions)
    facts = convert(folder + "/rt", "--like", folder + "/pet", "--finer", "8")
    got, lps, table = labels(folder + "/rt")
    assert "no contour in the slices between 2 and 4" in " ".join(facts["warnings"])
    assert {name: int(row["label"]) for name, row in table.items()} == {"ring": 1, "Tumor": 2, "square": 3}
    fine = 0.1 * 0.0625  # mm2 of a label voxel: 0.8 / 8 x 0.5 / 8
    # Of the voxels that an edge crosses each is in by its centre: n of them give an error of sqrt(n / 12) voxels (taken as independent),
    # here n < (4 / 0.1 + 4 / 0.0625) x 2 sides x 2 circles < 420: 6 voxels; four times that.
    ring = area(outer) - area(inner)
    for k in (0, 2):
        assert abs((got[k] == 1).sum() * fine - ring) < 24 * fine, ((got[k] == 1).sum() * fine, ring)
    assert abs((got[0] == 2).sum() * fine - area(0.5)) < 24 * fine and abs((got[1] == 2).sum() * fine - area(0.5)) < 24 * fine
    # in the ring's hole there is the tumour, and around it nothing
    centre = numpy.linalg.inv(lps) @ (-4.0, -2.5, z[1], 1)
    i, j, k = (int(round(x)) for x in centre[:3])
    assert got[k, j, i] == 2 and got[k, j, i + 8] == 0 and got[k, j, i + 15] == 1, got[k, j, i:i + 20]
    # exactly one voxel of the image, (2, 2): its borders are the label voxels' borders
    where = numpy.argwhere(got == 3)
    middle = lps @ (*where.mean(axis=0)[::-1], 1)
    assert len(where) == 64 and numpy.allclose(middle[:3], (-5.4 + 0.4, -4.0, z[5]), atol=1e-4), (len(where), middle)


def test_rtstruct_refused(folder):
    """Contours between the slices, far away, overlapping, of another frame of reference, with lost coordinates: refused"""
    write_pet(folder + "/pet", phantom())
    z = ORIGIN[2] + STEP

    def case(name, regions, *words, change=None, options=("--like", folder + "/pet")):
        write_rtstruct(f"{folder}/{name}", regions, change)
        err = convert(f"{folder}/{name}", *options, code=3)
        for word in words:
            assert word in err, (word, err)
    one = [(1, "ring", [circle(2, z)])]
    case("between", [(1, "ring", [circle(2, z + 0.7)])], "beside slice", "--like")
    case("slanted", [(1, "ring", [circle(2, z)[:-1] + [(-4, -2.5, z + 1)]])], "beside slice")
    case("far", [(1, "ring", [circle(2, z, centre=(1e5, 0))])], "far outside")
    case("overlap", one + [(2, "Tumor", [circle(1, z)])], "belong to two organs")
    case("frame", one, "another frame of reference",
         change=lambda d: setattr(d.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.2.10"))
    case("lost", one, "coordinates", change=lambda d: setattr(d.ROIContourSequence[0].ContourSequence[0], "NumberOfContourPoints", 7))
    case("points", one, "no closed contour", change=lambda d: setattr(d.ROIContourSequence[0].ContourSequence[0], "ContourGeometricType", "POINT"))
    case("no image", one, "--like", options=())
    case("no names", one, "no closed contour", options=("--like", folder + "/pet", "--segment", "heart"))
    isotrace("convert", folder + "/lost", "-o", folder + "/x.nii.gz", "--like", folder + "/pet", "--finer", "17", code=2)
    isotrace("convert", folder + "/lost", "-o", folder + "/x.lm.h5", "--like", folder + "/pet", code=2)


run([test_seg, test_fractional, test_rtstruct, test_rtstruct_refused], modules=["pydicom", "nibabel"])
