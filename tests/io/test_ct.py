# SPDX-License-Identifier: GPL-3.0-or-later
"""CT series made here with pydicom, read by isotrace mu: order, orientation, compression, and everything that must be refused."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import Skip, find, isotrace, run

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
X, Y, Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)


def minus(v):
    return tuple(-x for x in v)


def write_ct(folder, hu, row=X, column=Y, origin=(-7.0, -5.0, 30.0), step=(0, 0, 1.5), spacing=(0.5, 0.8), series="1.2.3.4",
             names=None, change=None):
    """hu: [slice][row][column]; slice k lies at origin + k step; spacing between rows, columns. change(k, dataset)."""
    import numpy
    import pydicom
    os.makedirs(folder, exist_ok=True)
    for k, plane in enumerate(hu):
        d = pydicom.dataset.Dataset()
        d.file_meta = pydicom.dataset.FileMetaDataset()
        d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = CT_CLASS
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = f"{series}.{k + 1}"
        d.SeriesInstanceUID, d.FrameOfReferenceUID, d.StudyInstanceUID = series, "1.2.9", "1.2"
        d.SeriesDescription, d.Modality, d.PatientID, d.PatientName = "Body 1.5", "CT", "M01", "M01"
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.KVP, d.SliceThickness = 120, 1.5
        d.Rows, d.Columns = plane.shape
        d.PixelSpacing = list(spacing)
        d.ImageOrientationPatient = [*row, *column]
        d.ImagePositionPatient = [origin[a] + k * step[a] for a in range(3)]
        d.RescaleSlope, d.RescaleIntercept = 2, -1025
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.PixelData = numpy.rint((plane + 1025) / 2).astype("<u2").tobytes()
        if change:
            change(k, d)
        d.is_little_endian, d.is_implicit_VR = True, False
        # names that sort against the order of the slices
        d.save_as(os.path.join(folder, names(k) if names else f"{999 - k}.dcm"), write_like_original=False)


def block():
    """An object at no centre: 7 slices of 20 x 24, odd HU so that slope 2 and intercept -1025 hold them exactly."""
    import numpy
    hu = numpy.full((7, 20, 24), -999.0)
    hu[2:5, 4:9, 6:18] = 1
    hu[3, 5, 7] = 1353
    return hu


def mu_of(hu):
    """standards.md, 120 kV."""
    import numpy
    return numpy.where(hu <= 50, numpy.maximum(0.096 * (1 + hu / 1000), 0), 0.0982 + 5.11e-5 * hu)


def read(path):
    """Values [k][j][i] with the file's own axes, and the LPS position of a voxel."""
    import nibabel
    import numpy
    image = nibabel.load(path)
    lps = numpy.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    return numpy.asarray(image.dataobj).transpose(2, 1, 0), lps


def refuse(folder, *words, options=(), code=3):
    out, err = isotrace("mu", "--ct", folder, "-o", os.path.dirname(folder) + "/no.nii.gz", *options, code=code)
    for word in words:
        assert word in err, (word, err)
    assert not os.path.exists(os.path.dirname(folder) + "/no.nii.gz")
    return err


def test_values(folder):
    """Hounsfield units, order and places of a series"""
    import numpy
    hu = block()
    write_ct(folder + "/ct", hu)
    out, err = isotrace("mu", "--ct", folder + "/ct", "-o", folder + "/mu.nii.gz", "--json")
    mu, lps = read(folder + "/mu.nii.gz")
    assert numpy.allclose(mu, mu_of(hu), atol=1e-7)  # float32 of 0.1
    assert numpy.allclose(lps @ (7, 5, 3, 1), (-7 + 7 * 0.8, -5 + 5 * 0.5, 30 + 3 * 1.5, 1), atol=1e-4)
    facts = json.load(open(folder + "/mu.json"))
    assert facts["ct"]["series_uid"] == "1.2.3.4" and facts["ct"]["slices"] == 7 and facts["ct"]["kvp"] == 120
    assert facts["curve"]["b_per_cm_per_hu"] == 5.11e-5 and facts["unit"] == "1/cm"
    # a water cylinder is 0.096 per cm: standards.md, xraylib
    assert abs(mu_of(numpy.array(0.0)) - 0.0960) < 1e-12
    # moved, and one file alone
    isotrace("mu", "--ct", folder + "/ct", "--ct-offset", "1,2,-3", "-o", folder + "/moved.nii.gz")
    assert numpy.allclose(read(folder + "/moved.nii.gz")[1] @ (0, 0, 0, 1), (-6, -3, 27, 1), atol=1e-4)
    isotrace("mu", "--ct", folder + "/ct/999.dcm", "-o", folder + "/one.nii.gz")
    assert read(folder + "/one.nii.gz")[0].shape == (1, 20, 24)


def test_orientation(folder):
    """Every orientation by direction cosines puts the same voxel at the same place"""
    import numpy
    hu = block()
    for n, (row, column) in enumerate([(X, Y), (minus(X), Y), (X, minus(Y)), (minus(X), minus(Y)), (X, minus(Z)), (Y, minus(Z)),
                                       (Z, X), ((0.6, 0.8, 0), (-0.8, 0.6, 0))]):
        normal = numpy.cross(row, column)
        for sign in (1, -1):  # slices along the normal, and against it
            ct = f"{folder}/ct{n}{sign}"
            write_ct(ct, hu, row, column, step=tuple(sign * 1.5 * normal))
            isotrace("mu", "--ct", ct, "-o", ct + ".nii.gz")
            mu, lps = read(ct + ".nii.gz")
            k, j, i = numpy.argwhere(abs(mu - mu_of(numpy.array(1353.0))) < 1e-6)[0]
            place = numpy.array((-7.0, -5.0, 30.0)) + 7 * 0.8 * numpy.array(row) + 5 * 0.5 * numpy.array(column) + 3 * sign * 1.5 * normal
            assert numpy.allclose((lps @ (i, j, k, 1))[:3], place, atol=1e-3), (row, column, sign)


def test_bits(folder):
    """Signed pixels, overlays above the stored bits, implicit and big-endian files"""
    import numpy
    hu = block()

    def signed(k, d):
        d.PixelRepresentation, d.RescaleIntercept = 1, 1
        # the four bits above the twelve hold something else
        stored = numpy.rint((hu[k] - 1) / 2).astype(int) & 0xfff | 0x5000
        d.PixelData = stored.astype("<u2").tobytes()
    write_ct(folder + "/signed", hu, change=signed)
    isotrace("mu", "--ct", folder + "/signed", "-o", folder + "/mu.nii.gz")
    assert numpy.allclose(read(folder + "/mu.nii.gz")[0], mu_of(hu), atol=1e-7)
    tool = find("dcmconv")
    if not tool:
        raise Skip("no dcmconv")
    write_ct(folder + "/ct", hu)
    for option in ("+ti", "+tb", "+te"):
        os.makedirs(folder + option)
        for name in os.listdir(folder + "/ct"):
            subprocess.run([tool, option, folder + "/ct/" + name, folder + option + "/" + name], check=True)
        isotrace("mu", "--ct", folder + option, "-o", folder + "/mu.nii.gz")
        assert numpy.allclose(read(folder + "/mu.nii.gz")[0], mu_of(hu), atol=1e-7), option


def test_compressed(folder):
    """RLE, lossless JPEG and JPEG-LS are decoded; JPEG 2000 is named"""
    import numpy
    import pydicom
    hu = block()
    write_ct(folder + "/ct", hu)
    tools = [find(name) for name in ("dcmcrle", "dcmcjpeg", "dcmcjpls")]
    if not all(tools):
        raise Skip("no DCMTK tools")
    for tool in tools:
        to = folder + "/" + os.path.basename(tool)
        os.makedirs(to)
        for name in os.listdir(folder + "/ct"):
            subprocess.run([tool, folder + "/ct/" + name, to + "/" + name], check=True)
        isotrace("mu", "--ct", to, "-o", folder + "/mu.nii.gz")
        assert numpy.allclose(read(folder + "/mu.nii.gz")[0], mu_of(hu), atol=1e-7), tool

    def jpeg2000(k, d):
        d.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        d.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f" + bytes(100)])
        d["PixelData"].is_undefined_length = True
    write_ct(folder + "/j2k", hu, change=jpeg2000)
    refuse(folder + "/j2k", "JPEG 2000", "decompress")


def test_series(folder):
    """Several series are listed, and one is chosen by its UID; other objects are passed over"""
    import numpy
    hu = block()
    write_ct(folder + "/ct", hu, names=lambda k: f"a{k}.dcm")
    write_ct(folder + "/ct/below", hu[:4], series="1.2.3.5", change=lambda k, d: setattr(d, "SeriesDescription", "Lung\n2"))
    err = refuse(folder + "/ct", "2 CT series", "1.2.3.4 'Body 1.5' (7 slices)", "1.2.3.5 'Lung?2' (4 slices)", "--ct-series")
    refuse(folder + "/ct", "no CT series 9.9", "1.2.3.5", options=("--ct-series", "9.9"))
    isotrace("mu", "--ct", folder + "/ct", "--ct-series", "1.2.3.5", "-o", folder + "/mu.nii.gz")
    assert read(folder + "/mu.nii.gz")[0].shape == (4, 20, 24)

    def other(k, d):
        if k == 0:
            d.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        else:
            d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    write_ct(folder + "/mixed", hu, names=lambda k: f"a{k}.dcm")
    write_ct(folder + "/mixed", hu[:2], series="1.2.7", change=other, names=lambda k: f"b{k}.dcm")
    with open(folder + "/mixed/notes.txt", "w") as f:
        f.write("no DICOM")
    out, err = isotrace("mu", "--ct", folder + "/mixed", "-o", folder + "/mu.nii.gz")
    assert "3 files" in err and read(folder + "/mu.nii.gz")[0].shape == (7, 20, 24), err
    os.makedirs(folder + "/empty")
    refuse(folder + "/empty", "no CT image")
    refuse(folder + "/nothere", "cannot open")


def test_refusals(folder):
    """Gaps, doubles, tilt, shear, two patients, missing elements: refused with the file and a remedy"""
    hu = block()

    def case(name, change, *words, hu=hu, code=3):
        write_ct(f"{folder}/{name}", hu, change=change)
        return refuse(f"{folder}/{name}", *words, code=code)

    write_ct(folder + "/gap", hu)
    os.remove(folder + "/gap/996.dcm")
    refuse(folder + "/gap", "a gap: 3 mm", "1.5 mm apart", "about 1 slices are missing", "995.dcm")

    def moved(by, at=3):
        def change(k, d):
            if k == at:
                d.ImagePositionPatient = [float(p) + b for p, b in zip(d.ImagePositionPatient, by)]
        return change
    case("uneven", moved((0, 0, 0.1)), "a gap")
    case("double", moved((0, 0, -1.5)), "same place")
    case("shear", moved((0, 0.3, 0)), "sheared", "996.dcm")
    case("tilt", lambda k, d: setattr(d, "GantryDetectorTilt", 5), "tilted by 5 degrees")

    def only(attribute, value, at=3):
        return lambda k, d: setattr(d, attribute, value) if k == at else None
    err = case("patients", only("PatientID", "Secret42"), "another patient", "996.dcm")
    assert "Secret42" not in err
    case("frames of reference", only("FrameOfReferenceUID", "1.2.8"), "frame of reference")
    case("voltages", only("KVP", 80), "two tube voltages")
    case("spacing", only("PixelSpacing", [0.5, 0.9]), "differ")
    case("direction", only("ImageOrientationPatient", [1, 0, 0, 0, -1, 0]), "differ")
    case("bits", only("BitsAllocated", 8), "contradictions", "996.dcm")
    case("colour", only("SamplesPerPixel", 3), "colours")
    for tag, text in (("ImagePositionPatient", "(0020,0032)"), ("ImageOrientationPatient", "(0020,0037)"),
                      ("PixelSpacing", "(0028,0030)"), ("RescaleSlope", "(0028,1053)"), ("RescaleIntercept", "(0028,1052)"),
                      ("Rows", "(0028,0010)")):
        case(tag, lambda k, d, tag=tag: delattr(d, tag) if k == 2 else None, text, "997.dcm")
    case("no voltage", lambda k, d: delattr(d, "KVP"), "--kvp")
    case("30 kV", lambda k, d: setattr(d, "KVP", 30), "no table for a tube voltage of 30 kV", "--ct-effective-kev")
    case("zero", lambda k, d: setattr(d, "PixelSpacing", [0, 0]), "(0028,0030)")
    case("not square", lambda k, d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 0.5, 0.9, 0]), "right angles")


def test_damage(folder):
    """Truncated files and fewer pixels than promised"""
    hu = block()
    write_ct(folder + "/ct", hu)
    path = folder + "/ct/996.dcm"
    whole = open(path, "rb").read()
    for length in (len(whole) - 2, len(whole) - 500, len(whole) - 970, 700, 400, 200, 140):
        with open(path, "wb") as f:
            f.write(whole[:length])
        err = refuse(folder + "/ct", "996.dcm")
        assert "copy the file again" in err or "export the series again" in err, (length, err)
    # below its first 132 bytes it is no DICOM any more: the gap tells
    with open(path, "wb") as f:
        f.write(whole[:100])
    refuse(folder + "/ct", "a gap")

    def short(k, d):
        if k == 1:
            d.PixelData = d.PixelData[:-100]
    write_ct(folder + "/short", hu, change=short)
    refuse(folder + "/short", "430 pixels where 20 x 24 are promised", "998.dcm")


def test_truncation(folder):
    """A body at the border of the CT is refused, or counted as air, or filled to its outline"""
    import nibabel
    import numpy
    hu = numpy.full((6, 40, 40), -1000.0)
    hu[:, 15:30, 10:40] = 0  # reaches the last column: 15 of the 156 border pixels
    ct = folder + "/ct.nii.gz"
    affine = numpy.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.Nifti1Image(hu.transpose(2, 1, 0).astype("f4"), affine).to_filename(ct)
    base = ("mu", "--ct", ct, "--kvp", "120")
    out, err = isotrace(*base, "-o", folder + "/no.nii.gz", code=3)
    assert "truncated: tissue on 9.6 %" in err and "--ct-truncation ignore" in err, err
    out, err = isotrace(*base, "-o", folder + "/ignore.nii.gz", "--ct-truncation", "ignore")
    assert "counts as air" in err, err
    # the outline goes on for 10 voxels, on a wider grid of the same voxels
    body = numpy.zeros((6, 40, 60), "f4")
    body[:, 15:30, 10:50] = 1
    nibabel.Nifti1Image(body.transpose(2, 1, 0), affine).to_filename(folder + "/body.nii.gz")
    out, err = isotrace(*base, "-o", folder + "/extend.nii.gz", "--ct-truncation", "extend", "--ct-outline",
                        folder + "/body.nii.gz", "--grid-of", folder + "/body.nii.gz")
    assert "0.9 mL of the outline" in err, err  # 6 x 15 x 10 mm3
    assert numpy.allclose(read(folder + "/extend.nii.gz")[0], 0.096 * body, atol=1e-6)
    # an image that goes on along z beyond a slice with a body
    isotrace(*base, "--ct-truncation", "ignore", "-o", folder + "/long.nii.gz")
    inside = numpy.full((6, 40, 40), -1000.0)
    inside[:, 10:20, 10:20] = 0
    nibabel.Nifti1Image(inside.transpose(2, 1, 0).astype("f4"), affine).to_filename(ct)
    nibabel.Nifti1Image(numpy.zeros((40, 40, 12), "f4"), affine).to_filename(folder + "/pet.nii.gz")
    out, err = isotrace(*base, "-o", folder + "/no.nii.gz", "--grid-of", folder + "/pet.nii.gz", code=3)
    assert "beyond its first and last slice" in err, err
    isotrace(*base, "-o", folder + "/ok.nii.gz")
    isotrace(*base, "-o", folder + "/no.nii.gz", "--ct-truncation", "extend", code=2)
    isotrace("mu", "--kvp", "80", "--mu-labels", ct, "-o", folder + "/no.nii.gz", code=2)


def test_options(folder):
    """Metal, own table, effective energy, averaging onto a PET's grid"""
    import nibabel
    import numpy
    hu = block()
    hu[3, 5, 7] = 3071
    hu[0, 0, 0] = -1025
    write_ct(folder + "/ct", hu, change=lambda k, d: setattr(d, "BitsStored", 16) or setattr(d, "HighBit", 15))
    base = ("mu", "--ct", folder + "/ct", "-o", folder + "/mu.nii.gz")
    out, err = isotrace(*base)
    assert "1 voxels above 3000 HU (up to 3071 HU" in err, err
    assert abs(read(folder + "/mu.nii.gz")[0].max() - (0.0982 + 5.11e-5 * 3000)) < 1e-7
    assert read(folder + "/mu.nii.gz")[0].min() == 0  # -1025 HU is air, not less
    isotrace(*base, "--ct-most-hu", "1000")
    assert abs(read(folder + "/mu.nii.gz")[0].max() - (0.0982 + 5.11e-5 * 1000)) < 1e-7
    with open(folder + "/t.csv", "w") as f:
        f.write("kvp,break_hu,a_per_cm,b_per_cm_per_hu\n100,0,0.096,4e-5\n130,0,0.096,7e-5\n")
    isotrace(*base, "--ct-table", folder + "/t.csv", "--ct-most-hu", "3000")
    assert abs(read(folder + "/mu.nii.gz")[0].max() - (0.096 + 6e-5 * 3000)) < 1e-6  # 120 kV: two thirds of the way
    out, err = isotrace(*base, "--ct-table", folder + "/t.csv", "--kvp", "140", code=3)
    assert "does not reach" in err, err
    with open(folder + "/t.csv", "w") as f:
        f.write("kvp,break_hu,a_per_cm,b_per_cm_per_hu\n120,50,0.12,5e-5\n")
    out, err = isotrace(*base, "--ct-table", folder + "/t.csv", code=3)
    assert "do not meet" in err and "line 2" in err, err
    isotrace(*base, "--ct-effective-kev", "70")
    # standards.md: cortical bone has 1445 HU at 70 keV, and 0.1674 per cm at 511; three digits of each are given
    slope = json.load(open(folder + "/mu.json"))["curve"]["b_per_cm_per_hu"]
    assert abs(slope / ((0.1674 - 0.1008) / (1445 - 50)) - 1) < 2e-3, slope
    # PET voxels of 4 x 4 x 4.5 mm hold 5 x 8 x 3 of the CT's: what is in it stays, and no more
    isotrace(*base)
    fine = read(folder + "/mu.nii.gz")[0]
    pet = numpy.diag([-4.0, -4.0, 4.5, 1.0])
    pet[:3, 3] = (12, 8, 25)
    nibabel.Nifti1Image(numpy.zeros((10, 9, 5), "f4"), pet).to_filename(folder + "/pet.nii.gz")
    isotrace(*base, "--grid-of", folder + "/pet.nii.gz", "--ct-truncation", "ignore")
    coarse = read(folder + "/mu.nii.gz")[0]
    assert abs(coarse.sum(dtype=float) * 4 * 4 * 4.5 / (fine.sum(dtype=float) * 0.5 * 0.8 * 1.5) - 1) < 1e-5
    isotrace(*base, "--grid-of", folder + "/pet.nii.gz", "--ct-truncation", "ignore", "--ct-blur", "5")
    blurred = read(folder + "/mu.nii.gz")[0]
    assert abs(blurred.sum(dtype=float) / coarse.sum(dtype=float) - 1) < 1e-5 and blurred.max() < 0.8 * coarse.max()


def test_labels(folder):
    """Labels by mu, material and density; a label that is not in the table is refused"""
    import nibabel
    import numpy
    labels = numpy.zeros((4, 4, 4), "i2")
    labels[0], labels[1], labels[2] = 1, 2, 5
    nibabel.Nifti1Image(labels, numpy.eye(4)).to_filename(folder + "/l.nii.gz")

    def table(text):
        with open(folder + "/t.csv", "w") as f:
            f.write(text)
    base = ("mu", "--mu-labels", folder + "/l.nii.gz", "--mu-table", folder + "/t.csv", "-o", folder + "/mu.nii.gz")
    table('label,mu_per_cm,material,density_g_per_ml\n1,0.05,,\n2,,"Water, Liquid",\n5,,"Bone, Cortical (ICRP)",1.85\n')
    isotrace(*base)
    mu = read(folder + "/mu.nii.gz")[0][0, 0, :]
    assert numpy.allclose(mu, (0.05, 0.0960, 0.1674, 0), atol=5e-5), mu  # standards.md's digits
    assert json.load(open(folder + "/mu.json"))["labels"] == "l.nii.gz"
    for text, word in (("label,mu_per_cm\n1,0.05\n2,0.1\n", "no label 5"), ("label,mu_per_cm\n1,0.05\n1,0.1\n", "line 2 already"),
                       ("label,mu_per_cm,material\n1,0.05,H2O\n", "both"), ("label,material\n1,unobtainium\n", "unobtainium"),
                       ("label,material\n1,H2O\n", "density"), ("label,mu_per_cm\n1,99\n2,0\n5,0\n", "99 per cm"), ("a,b\n1,2\n", "label")):
        table(text)
        out, err = isotrace(*base, code=3)
        assert word in err, (text, err)
    os.remove(folder + "/t.csv")
    isotrace(*base, code=3)
    isotrace("mu", "--mu-labels", folder + "/l.nii.gz", "-o", folder + "/mu.nii.gz", code=2)
    # a map in 1/cm is no CT
    out, err = isotrace("mu", "--ct", folder + "/mu.nii.gz", "--kvp", "120", "-o", folder + "/no.nii.gz", code=3)
    assert "no Hounsfield units" in err, err


run([test_values, test_orientation, test_bits, test_compressed, test_series, test_refusals, test_damage, test_truncation,
     test_options, test_labels], modules=("numpy", "nibabel", "pydicom"))
