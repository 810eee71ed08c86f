# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmentation, structured report, parametric map and encapsulated PDF as pydicom, dciodvfy, dsrdump and Orthanc see them."""

import csv
import glob
import hashlib
import io
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import (CU64_HALF_LIFE_S, EXPLAINED, Skip, check_valid, find, isotrace, run, spect, write_dose,
                     write_volume)

FRAMES = ((0, 600), (600, 1200))
# label -> name, code, side, as PS3.16 has them; the last has none.
ORGANS = {1: ("liver", "10200004", None), 2: ("left_kidney", "64033007", "7771000"), 7: ("tumour", "108369006", None),
          9: ("quux gland", None, None)}
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def write_labels(path, labels, affine):
    """labels [k][j][i]; affine to NIfTI's RAS+."""
    import nibabel
    import numpy
    nibabel.Nifti1Image(numpy.asarray(labels, "uint8").transpose(2, 1, 0), affine).to_filename(path)


def volume_affine(voxel_mm=(0.5, 0.4, 1.1), origin_mm=(-3.0, 2.0, 40.0)):
    """RAS+ affine of the grid that write_volume makes."""
    import numpy
    affine = numpy.diag([-voxel_mm[0], -voxel_mm[1], voxel_mm[2], 1.0])
    affine[:3, 3] = [-origin_mm[0], -origin_mm[1], origin_mm[2]]
    return affine


def some_labels():
    import numpy
    labels = numpy.zeros((6, 7, 9))
    labels[1:4, 1:4, 1:5] = 1
    labels[2:5, 4:6, 2:8] = 2
    labels[4, 1:3, 6:8] = 7
    labels[5, 5, 5] = 9
    return labels


def make(folder, labels=None, affine=None, options=(), dose=None, voxels=None, nuclide="Cu-64", **facts):
    """A dynamic volume with four organs; the folder that the program wrote."""
    import numpy
    if voxels is None:
        voxels = numpy.random.default_rng(5).gamma(1, 1e4, (2, 6, 7, 9))
    write_volume(folder + "/v.nii.gz", voxels, frames=FRAMES, nuclide=nuclide, **facts)
    write_dose(folder + "/dose.yaml", nuclide, **(dose or {}))
    write_labels(folder + "/organs.nii.gz", some_labels() if labels is None else labels,
                 volume_affine() if affine is None else affine)
    with open(folder + "/organs.csv", "w") as f:
        f.write("label,organ,density_g_per_ml\n")
        f.writelines(f"{label},{name},{'' if code else 1.0}\n" for label, (name, code, _) in ORGANS.items())
    with open(folder + "/report.pdf", "wb") as f:
        f.write(PDF)
    options = options or ("--segmentation", "--structured-report", "--parametric-map", "--pdf", folder + "/report.pdf")
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--patient-name",
             "Mouse^M01", "--species", "mouse", "--sex", "F", "--study-id", "S1", "--body-part", "WHOLEBODY", "--organs",
             folder + "/organs.nii.gz", *options, "-o", folder + "/out")
    return folder + "/out"


def read(path):
    import pydicom
    return pydicom.dcmread(path)


def pydicom_of(content):
    import pydicom
    return pydicom.dcmread(io.BytesIO(content))


def planes(image):
    """Of each frame of a multi-frame image: segment (or None) and the mm (LPS+) of its pixels, [rows][columns][3]."""
    import numpy
    shared = image.SharedFunctionalGroupsSequence[0]
    spacing = [float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing]
    turned = [float(x) for x in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    across, down = numpy.array(turned[:3]) * spacing[1], numpy.array(turned[3:]) * spacing[0]
    rows, columns = numpy.mgrid[0:image.Rows, 0:image.Columns]
    for frame in image.PerFrameFunctionalGroupsSequence:
        corner = numpy.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        points = corner + columns[..., None] * across + rows[..., None] * down
        segment = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber if "SegmentIdentificationSequence" in frame \
            else None
        yield segment, points


def check_dimensions(image):
    """Frames are told apart by their dimension indices, which count from 1 without a gap, in the order of the positions."""
    indices = [tuple(f.FrameContentSequence[0].DimensionIndexValues) for f in image.PerFrameFunctionalGroupsSequence]
    assert len(set(indices)) == len(indices) == image.NumberOfFrames
    for dimension in range(2):
        seen = sorted({i[dimension] for i in indices})
        assert seen == list(range(1, len(seen) + 1)), seen
    heights = {}
    for (_, place), (_, points) in zip(indices, planes(image)):
        heights.setdefault(place, set()).add(round(float(points[0, 0, 2]), 6))
    ordered = [heights[place] for place in sorted(heights)]
    assert all(len(h) == 1 for h in ordered)
    ordered = [h.pop() for h in ordered]
    turned = image.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    normal_z = float(turned[0]) * float(turned[4]) - float(turned[1]) * float(turned[3])
    assert ordered == sorted(ordered, reverse=normal_z < 0), ordered
    for item in image.DimensionIndexSequence:
        assert item.DimensionOrganizationUID == image.DimensionOrganizationSequence[0].DimensionOrganizationUID


def test_binary(folder):
    """Every labelled voxel, and no other, comes back at its millimetre: labels on a mirrored grid of their own"""
    import numpy
    # Voxels of half the size, the first and the last axis running the other way: a left-handed grid.
    affine = volume_affine((0.25, 0.2, 1.1))
    affine[0] *= -1
    affine[0, 3] = 3.0 - 17 * 0.25
    labels = numpy.kron(some_labels(), numpy.ones((1, 2, 2)))
    image = read(make(folder, labels, affine, ("--segmentation",)) + "/segmentation.dcm")
    assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4" and image.SegmentationType == "BINARY"
    assert (image.Rows, image.Columns) == (14, 18) and image.BitsAllocated == 1
    assert [(s.SegmentNumber, s.SegmentLabel) for s in image.SegmentSequence] == \
        [(n, name) for n, (name, _, _) in enumerate(ORGANS.values(), 1)]
    pixels = image.pixel_array
    found = numpy.zeros_like(labels)
    for (segment, points), plane in zip(planes(image), pixels):
        assert plane.any(), "an empty frame"
        world = points[plane != 0] * [-1, -1, 1]
        index = (numpy.linalg.inv(affine) @ numpy.c_[world, numpy.ones(len(world))].T)[:3]
        nearest = numpy.rint(index).astype(int)
        # 0.01 mm is asked for; positions have ten digits and NIfTI's affine is float32 (40 mm: 4e-6).
        assert abs((affine[:3, :3] @ (index - nearest))).max() < 1e-4
        at = tuple(nearest[::-1])
        assert not found[at].any()
        found[at] = list(ORGANS)[segment - 1]
    assert (found == labels).all()
    assert image.NumberOfFrames == sum((labels == label).any((1, 2)).sum() for label in ORGANS)
    check_dimensions(image)


def test_fractional(folder):
    """Fractional: the part of each voxel of the images inside the organ, worked out by counting finer voxels"""
    import numpy
    # Eight label voxels in each voxel of the images.
    fine = numpy.random.default_rng(2).integers(0, 4, (12, 14, 18))
    labels = numpy.choose(fine, [0, 1, 2, 7])
    labels[0, 0, 0] = 9
    affine = volume_affine((0.25, 0.2, 0.55), (-3.0 - 0.125, 2.0 - 0.1, 40.0 - 0.275))
    out = make(folder, labels, affine, ("--segmentation=fractional",))
    image = read(out + "/segmentation.dcm")
    assert image.SegmentationType == "FRACTIONAL" and image.SegmentationFractionalType == "OCCUPANCY"
    assert image.MaximumFractionalValue == 255 and image.BitsAllocated == 8
    slices = {float(d.ImagePositionPatient[2]): d for d in map(read, glob.glob(out + "/frame001-*.dcm"))}
    got = {n: numpy.zeros((6, 7, 9)) for n in range(1, 5)}
    for (segment, points), plane in zip(planes(image), image.pixel_array):
        assert abs(points[0, 0, :2] - [-3, 2]).max() < 1e-4
        got[segment][round((points[0, 0, 2] - 40) / 1.1)] = plane / 255
        assert min(abs(points[0, 0, 2] - z) for z in slices) < 1e-4
    for number, label in enumerate(ORGANS, 1):
        truth = (labels == label).reshape(6, 2, 7, 2, 9, 2).mean((1, 3, 5))
        # Half a step of 1/255, and the rounding of a float32 fraction and affine.
        assert abs(got[number] - truth).max() <= 0.5 / 255 + 1e-5, label
    check_dimensions(image)


def test_references(folder):
    """Every UID that one object names is that of another of the study, and each segment's slices are where it is"""
    out = make(folder)
    objects = {d.SOPInstanceUID: d for d in map(read, glob.glob(out + "/*.dcm"))}
    assert len(objects) == 12 + 4
    assert len({d.StudyInstanceUID for d in objects.values()}) == 1
    assert len({d.SeriesInstanceUID for d in objects.values()}) == 5
    assert len({d.SeriesNumber for d in objects.values()}) == 5
    for tag in ("PatientID", "PatientName", "PatientSex", "PatientSpeciesDescription", "StudyDate", "StudyTime", "StudyID"):
        assert len({str(d[tag].value) for d in objects.values()}) == 1, tag
    pet = {u: d for u, d in objects.items() if d.SOPClassUID.endswith(".1.1.128")}
    # What every item in every sequence refers to exists, and is of the class that is said.
    named = {}

    def look(dataset, inside):
        if "ReferencedSOPInstanceUID" in dataset:
            uid = dataset.ReferencedSOPInstanceUID
            assert objects[uid].SOPClassUID == dataset.ReferencedSOPClassUID
            named.setdefault(inside, set()).add(uid)
        for element in dataset:
            for item in element.value if element.VR == "SQ" else ():
                look(item, inside)

    for d in objects.values():
        look(d, d.Modality + d.SOPClassUID)
    segmentation, report, pixel_map = (read(f"{out}/{n}.dcm") for n in ("segmentation", "report", "parametric-map"))
    assert named["SEG" + segmentation.SOPClassUID] == set(pet) == named["PT" + pixel_map.SOPClassUID]
    assert named["SR" + report.SOPClassUID] == set(pet) | {segmentation.SOPInstanceUID}
    for image in (segmentation, pixel_map):
        assert image.FrameOfReferenceUID == next(iter(pet.values())).FrameOfReferenceUID
        for frame in image.PerFrameFunctionalGroupsSequence:
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            at = pet[source.ReferencedSOPInstanceUID]
            for a, b in zip(frame.PlanePositionSequence[0].ImagePositionPatient, at.ImagePositionPatient):
                assert abs(float(a) - float(b)) < 1e-4
    # The series' own evidence and the references of the content are the same.
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == report.StudyInstanceUID
    for series in study.ReferencedSeriesSequence:
        for item in series.ReferencedSOPSequence:
            assert objects[item.ReferencedSOPInstanceUID].SeriesInstanceUID == series.SeriesInstanceUID


def code(sequence):
    (item,) = sequence
    return item.CodeValue, item.CodingSchemeDesignator


def test_codes(folder):
    """Organs carry their SNOMED CT codes, sides and colours; what has no code is named aloud and gets isotrace's own"""
    import pydicom.sr._concepts_dict as dictionary
    known = {value for terms in dictionary.concepts["SCT"].values() for value in terms}
    out = make(folder)
    segmentation = read(out + "/segmentation.dcm")
    colours = set()
    for segment, (name, expected, side) in zip(segmentation.SegmentSequence, ORGANS.values()):
        value, scheme = code(segment.SegmentedPropertyTypeCodeSequence)
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        assert (scheme, value) == ("SCT", expected) if expected else scheme == "99ISOTRACE" and value.startswith("ORGAN-")
        assert not expected or value in known
        assert code(segment.SegmentedPropertyCategoryCodeSequence)[0] == ("49755003" if name == "tumour" else "123037004")
        modifier = kind.get("SegmentedPropertyTypeModifierCodeSequence")
        assert (code(modifier)[0] if modifier else None) == side
        colours.add(tuple(segment.RecommendedDisplayCIELabValue))
        assert segment.RecommendedDisplayCIELabValue[0] > 65535 * 0.35  # to be seen on a dark image
    assert len(colours) == len(ORGANS)
    assert segmentation.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99ISOTRACE"
    _, err = isotrace("dicom", folder + "/v.nii.gz", "--patient-id", "M01", "--organs", folder + "/organs.nii.gz",
                      "--segmentation", "-o", folder + "/other")
    assert "quux gland" in err and "no public code" in err and "liver" not in err, err


def children(item, relation=None):
    return [c for c in item.get("ContentSequence", []) if relation in (None, c.RelationshipType)]


def concept(item):
    return item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else None


def child(item, value):
    found = [c for c in children(item) if concept(c) == value]
    assert len(found) <= 1, value
    return found[0] if found else None


def number(item, value, unit):
    """The NUM with this concept: as its decimal text says; NAN when it is not there."""
    found = child(item, value)
    if found is None:
        return math.nan
    (measured,) = found.MeasuredValueSequence
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == unit, (value, measured)
    # The double beside the text says the same, to the nine digits of the text.
    assert abs(measured.FloatingPointValue - float(measured.NumericValue)) <= 6e-9 * abs(float(measured.NumericValue))
    return float(measured.NumericValue)


# Column of biodistribution.csv -> concept and unit in the report.
COLUMNS = {"time_h": ("IT005", "h"), "volume_ml": ("118565006", "ml"), "mass_g": ("118538004", "g"),
           "activity_bq": ("IT006", "Bq"), "concentration_bq_per_ml": ("IT003", "Bq/ml"), "percent_id": ("IT002", "%"),
           "percent_id_per_g": ("IT001", "%/g"), "percent_id_per_g_low": ("IT011", "%/g"),
           "percent_id_per_g_high": ("IT012", "%/g"), "suv_bw": ("126401", "g/ml{SUVbw}"), "u_total": ("IT013", "1"),
           "u_total_percent_id": ("IT014", "1"), "degrees_of_freedom": ("IT015", "1"), "u_total_volume": ("IT018", "1"),
           "u_total_mass": ("IT019", "1"), "u_total_activity": ("IT020", "1"), "u_total_concentration": ("IT021", "1"),
           "u_total_suv_bw": ("IT022", "1")}


def test_report(folder):
    """The report holds the numbers of biodistribution.csv, digit for digit, each at its organ, time and segment"""
    out = make(folder)
    isotrace("quant", folder + "/v.nii.gz", "--organs", folder + "/organs.nii.gz", "--dose", folder + "/dose.yaml", "-o",
             folder + "/results", "--quiet")
    with open(folder + "/results/biodistribution.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    report, segmentation = read(out + "/report.dcm"), read(out + "/segmentation.dcm")
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.22" and report.Modality == "SR"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500" and concept(report) == "126000"
    assert child(report, "121034").ConceptCodeSequence[0].CodeValue == "447612001"  # subject: a mouse
    assert child(report, "121005").ConceptCodeSequence[0].CodeValue == "121007"  # observer: a device
    groups = children(child(report, "126010"))
    assert len(rows) == 8 and len(groups) == len(rows) + len(FRAMES)
    organs = [g for g in groups if child(g, "121191")]
    segments = {s.SegmentNumber: s for s in segmentation.SegmentSequence}
    for row, group in zip(rows, organs, strict=True):
        assert child(group, "112039").TextValue == row["organ"]
        reference = child(group, "121191").ReferencedSOPSequence[0]
        segment = segments[reference.ReferencedSegmentNumber]
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert segment.SegmentLabel == row["organ"] and segment.TrackingUID == child(group, "112040").UID
        assert code(child(group, "363698007").ConceptCodeSequence) == code(segment.SegmentedPropertyTypeCodeSequence)
        for column, (value, unit) in COLUMNS.items():
            expected = float(row[column]) if row[column] else math.nan
            got = number(group, value, unit)
            # What is not known, and an endless number of degrees of freedom, is not there.
            assert got == expected or (math.isnan(got) and not math.isfinite(expected)), (column, got, expected)
        known = [c for c in COLUMNS if row[c] and math.isfinite(float(row[c]))]
        # Everything but the endless degrees of freedom, and the mass where the density's uncertainty is not stated.
        assert set(COLUMNS) - set(known) == {"degrees_of_freedom"} | ({"u_total_mass"} if row["organ"] == "quux gland" else set())
        uptake = child(group, "IT001")
        plus, minus = (float(child(uptake, v).MeasuredValueSequence[0].NumericValue) for v in ("371886008", "371885007"))
        value, low, high = (float(row["percent_id_per_g" + c]) for c in ("", "_low", "_high"))
        assert abs(value + plus - high) <= 2e-8 * high and abs(value - minus - low) <= 2e-8 * high
    for frame, group in enumerate(g for g in groups if not child(g, "121191")):
        expected = rows[frame * 4]
        assert number(group, "IT010", "%") == float(expected["recovered_percent_id"])
        assert number(group, "IT017", "%") == float(expected["expected_percent_id"])
    # What the table warns of stands in the report, too.
    with open(folder + "/results/biodistribution.json") as f:
        warnings = json.load(f)["subjects"][0]["warnings"]
    assert len(warnings) == 2 and [c.TextValue for c in children(report) if concept(c) == "121106"] == warnings
    # Without a segmentation the numbers are the same, and nothing points to one.
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "M01", "--organs",
             folder + "/organs.nii.gz", "--structured-report", "-o", folder + "/alone")
    alone = [g for g in children(child(read(folder + "/alone/report.dcm"), "126010")) if child(g, "121071")]
    assert [number(g, "IT001", "%/g") for g in alone] == [float(r["percent_id_per_g"]) for r in rows]
    assert not any(child(g, "121191") for g in alone)


def test_map(folder):
    """The parametric map holds 100 C / A per gram and C W / A in floats, at the places of the images"""
    import numpy
    voxels = numpy.random.default_rng(5).gamma(1, 1e4, (2, 6, 7, 9))
    # The volume is decay-corrected to its start, an hour after the injection.
    left = 7.4e6 * 2 ** (-3600 / CU64_HALF_LIFE_S)
    for kind, factor, unit in (("", 100 / left, "%/g"), ("=suv", 21.3 / left, "g/ml{SUVbw}")):
        out = make(folder, options=("--parametric-map" + kind, "--segmentation"), voxels=voxels)
        image = read(out + "/parametric-map.dcm")
        assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.30"
        values = numpy.frombuffer(image.FloatPixelData, "<f4").reshape(12, 7, 9)
        truth = (voxels.astype(numpy.float32).astype(float) * factor).reshape(12, 7, 9)
        # The rounding of one float32; the factor is that of the nuclide's table, here to six digits of the half-life.
        assert abs(values / truth - 1).max() < 6e-8 + 1e-9
        mapping = image.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
        for n, (_, points) in enumerate(planes(image)):
            assert abs(points[0, 0] - [-3.0, 2.0, 40.0 + 1.1 * (n % 6)]).max() < 1e-4
            content = image.PerFrameFunctionalGroupsSequence[n].FrameContentSequence[0]
            assert content.TemporalPositionIndex == n // 6 + 1
            assert content.FrameAcquisitionDuration == FRAMES[n // 6][1] * 1000
        check_dimensions(image)


def test_pdf(folder):
    """The encapsulated PDF is the file, byte for byte; what is no whole PDF is refused"""
    image = read(make(folder, options=("--segmentation", "--pdf", folder + "/report.pdf")) + "/document.dcm")
    assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1" and image.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert image.EncapsulatedDocumentLength == len(PDF) and image.EncapsulatedDocument[:len(PDF)] == PDF
    assert len(image.EncapsulatedDocument) - len(PDF) in (0, 1) and image.BurnedInAnnotation == "YES"
    for content, word in ((b"", "no PDF"), (b"<html></html>", "no PDF"), (PDF[:-7], "no end")):
        with open(folder + "/bad.pdf", "wb") as f:
            f.write(content)
        _, err = isotrace("dicom", folder + "/v.nii.gz", "-p", "M01", "--pdf", folder + "/bad.pdf", "-o", folder + "/bad", code=3)
        assert word in err and "bad.pdf" in err, err
        assert not os.path.exists(folder + "/bad")


def test_validators(folder):
    """dciodvfy and dcentvfy find no error, and no warning beyond those that are explained; dsrdump reads the report"""
    out = make(folder)
    kinds = {"segmentation": "Segmentation", "report": "EnhancedSR", "parametric-map": "ParametricMap",
             "document": "EncapsulatedPDF"}
    for name, kind in kinds.items():
        check_valid([f"{out}/{name}.dcm"], kind)
    done = subprocess.run([find("dcentvfy"), *glob.glob(out + "/*.dcm")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    lines = [line for line in done.stdout.decode().splitlines() if not any(e in line for e in EXPLAINED)]
    assert not lines, lines
    if find("dsrdump"):
        done = subprocess.run([find("dsrdump"), "-Ee", "+Pc", out + "/report.dcm"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        text = done.stdout.decode()
        assert done.returncode == 0 and "E:" not in done.stderr.decode(), done.stderr
        assert text.count("Measurement Group") == 10 and '(IT001,99ISOTRACE,"Percent injected activity per gram")' in text
    make(folder, options=("--segmentation=fractional", "--parametric-map=suv"))
    check_valid([out + "/segmentation.dcm"], "Segmentation")
    check_valid([out + "/parametric-map.dcm"], "ParametricMap")


def test_spect(folder):
    """Beside NM images: references name the slice within the image, the report says SPECT, and all is valid"""
    out = make(folder, nuclide="Tc-99m", half_life_s=6.0067 * 3600, change=spect)
    images = {d.SOPInstanceUID: d for d in map(read, glob.glob(out + "/frame*.dcm"))}
    assert len(images) == 2 and {d.Modality for d in images.values()} == {"NM"}
    for name, kind in (("segmentation", "Segmentation"), ("report", "EnhancedSR"), ("parametric-map", "ParametricMap")):
        check_valid([f"{out}/{name}.dcm"], kind)
    for name in ("segmentation", "parametric-map"):
        image = read(f"{out}/{name}.dcm")
        assert {i.ReferencedSOPInstanceUID for i in image.ReferencedSeriesSequence[0].ReferencedInstanceSequence} == set(images)
        for frame in image.PerFrameFunctionalGroupsSequence:
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
            assert source.ReferencedFrameNumber == round((height - 40) / 1.1) + 1
            time = frame.FrameContentSequence[0].get("TemporalPositionIndex", 1)
            assert images[source.ReferencedSOPInstanceUID].InstanceNumber == time
    report = read(out + "/report.dcm")
    assert child(report, "121058").ConceptCodeSequence[0].CodeValue == "105371005"
    library = children(child(report, "111028"))[0]
    assert child(library, "121139").ConceptCodeSequence[0].CodeValue == "NM"
    assert len([c for c in children(library) if c.ValueType == "IMAGE"]) == 2


def digests(folder):
    found = {}
    for file in glob.glob(folder + "/*.dcm"):
        with open(file, "rb") as f:
            found[os.path.basename(file)] = hashlib.sha256(f.read()).hexdigest()
    return found


def test_identity(folder):
    """The same input gives the same bytes; other labels give another segmentation and report, and leave the rest"""
    out = make(folder)
    first, uid = digests(out), read(out + "/segmentation.dcm").SOPInstanceUID
    assert digests(make(folder)) == first
    labels = some_labels()
    labels[1, 1, 1] = 0
    other = digests(make(folder, labels))
    assert {n for n in first if other[n] != first[n]} == {"segmentation.dcm", "report.dcm"}
    assert read(out + "/segmentation.dcm").SOPInstanceUID != uid
    # A dose that changes is another series of images: all that belongs to it is new.
    assert set(digests(make(folder, dose={"activity_bq": 7e6})).items()).isdisjoint(first.items())


def test_refusals(folder):
    """What an object needs and is not there is named, and no folder appears"""
    make(folder, options=("--segmentation",))
    os.rename(folder + "/out", folder + "/kept")
    base = ("dicom", folder + "/v.nii.gz", "-p", "M01", "-o", folder + "/out")
    organs, dose = ("--organs", folder + "/organs.nii.gz"), ("--dose", folder + "/dose.yaml")
    with open(folder + "/short.csv", "w") as f:
        f.write("label,organ\n1,liver\n")
    with open(folder + "/dose.yaml") as f, open(folder + "/no-mass.yaml", "w") as g:
        g.writelines(line for line in f if "body_mass" not in line)
    for options, exit_code, word in (
            (("--segmentation",), 2, "--organs"), (("--structured-report", *dose), 2, "--organs"), (organs, 2, "--segmentation"),
            ((*organs, "--structured-report"), 2, "--dose"), ((*organs, "--segmentation=soft"), 2, "soft"),
            (("--parametric-map=kg",), 2, "kg"), (("--parametric-map",), 3, "--dose"),
            (("--parametric-map=suv", "--dose", folder + "/no-mass.yaml"), 3, "body"),
            ((*organs, "--organ-table", folder + "/short.csv", "--segmentation"), 3, "organ table"),
            (("--pdf", folder + "/none.pdf"), 3, "none.pdf")):
        _, err = isotrace(*base, *options, code=exit_code)
        assert word in err, (options, err)
        assert not os.path.exists(folder + "/out"), options


def test_deidentified(folder):
    """De-identified with the images: nothing names the subject, references still meet, numbers stay; a PDF is refused"""
    plain = read(make(folder) + "/report.dcm")
    with open(folder + "/key", "w") as f:
        f.write("a key of more than sixteen bytes")
    hidden = ("--deidentify", folder + "/key")
    out = make(folder, options=("--segmentation", "--structured-report", "--parametric-map", *hidden))
    for file in glob.glob(out + "/*.dcm"):
        with open(file, "rb") as f:
            content = f.read()
        assert b"M01" not in content and b"Mouse^" not in content and plain.StudyInstanceUID.encode() not in content, file
    for name, kind in (("segmentation", "Segmentation"), ("report", "EnhancedSR"), ("parametric-map", "ParametricMap")):
        check_valid([f"{out}/{name}.dcm"], kind)
    uids = {d.SOPInstanceUID for d in map(read, glob.glob(out + "/*.dcm"))}
    report = read(out + "/report.dcm")
    series, = report.CurrentRequestedProcedureEvidenceSequence
    assert {i.ReferencedSOPInstanceUID for s in series.ReferencedSeriesSequence for i in s.ReferencedSOPSequence} < uids
    groups, before = ([g for g in children(child(r, "126010")) if child(g, "121191")] for r in (report, plain))
    for group, same in zip(groups, before, strict=True):
        assert child(group, "121191").ReferencedSOPSequence[0].ReferencedSOPInstanceUID in uids
        assert number(group, "IT001", "%/g") == number(same, "IT001", "%/g")
    _, err = isotrace("dicom", folder + "/v.nii.gz", "-p", "M01", "--pdf", folder + "/report.pdf", *hidden, "-o", folder + "/no",
                      code=2)
    assert "PDF" in err and not os.path.exists(folder + "/no"), err
    make(folder)
    _, err = isotrace("deidentify", folder + "/out", "--key", folder + "/key", "-o", folder + "/no", code=3)
    assert "document.dcm" in err and not os.path.exists(folder + "/no"), err


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_orthanc(folder):
    """Orthanc stores all of them, and gives them back as they were"""
    if not find("Orthanc"):
        raise Skip("no Orthanc")
    out = make(folder)
    sent = {d.SOPInstanceUID: d for d in map(read, glob.glob(out + "/*.dcm"))}
    web, port = free_port(), free_port()
    with open(folder + "/orthanc.json", "w") as f:
        json.dump({"StorageDirectory": folder + "/db", "IndexDirectory": folder + "/db", "HttpPort": web, "DicomPort": port,
                   "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
                   "DicomAlwaysAllowStore": True, "DicomCheckModalityHost": False}, f)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path):
        with direct.open(f"http://127.0.0.1:{web}{path}", timeout=10) as answer:
            return answer.read()

    with open(folder + "/orthanc.log", "wb") as log:
        orthanc = subprocess.Popen([find("Orthanc"), folder + "/orthanc.json"], stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                get("/system")
                break
            except OSError:
                time.sleep(0.1)
        isotrace("send", out, "--pacs", f"ORTHANC@127.0.0.1:{port}")
        instances = json.loads(get("/instances"))
        assert len(instances) == len(sent) == 16
        for instance in instances:
            back = pydicom_of(get(f"/instances/{instance}/file"))
            assert back == sent[back.SOPInstanceUID]
    finally:
        orthanc.kill()  # nothing of it is needed any more; an orderly end takes it seconds
        orthanc.wait()


run([test_binary, test_fractional, test_references, test_codes, test_report, test_map, test_pdf, test_validators,
     test_spect, test_identity, test_refusals, test_deidentified,
     test_orthanc], modules=("numpy", "nibabel", "pydicom"))
