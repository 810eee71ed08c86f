# SPDX-License-Identifier: GPL-3.0-or-later
"""De-identified DICOM: what must be gone is gone, what must stay stays, and what belongs together still does."""

import datetime
import glob
import hashlib
import hmac
import os
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volumes import Skip, check_valid, find, isotrace, run, spect, write_dose, write_volume

SECRET = "correct horse battery staple"
NAMES = ("--patient-name", "Secretname^Sam", "--responsible-person", "Secretowner^O", "--responsible-organisation",
         "Secretlab", "--institution", "Secrethospital", "--study-description", "Secretstudy", "--series-description",
         "Secretseries", "--accession-number", "SecretA1", "--study-id", "SecretID", "--birth-date", "20251224")
MOUSE = ("--species", "mouse", "--strain", "BALB/c", "--sex", "F", "--body-part", "WHOLEBODY")


def keyed(kind, text, secret=SECRET):
    """The specification of docs/dicom.md, with Python's own HMAC."""
    return hmac.new(secret.encode(), f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()


def new_uid(uid):
    number = bytearray.fromhex(keyed("uid", uid)[:32])
    number[6], number[8] = number[6] & 15 | 0x80, number[8] & 63 | 0x80
    return "2.25." + str(uuid.UUID(bytes=bytes(number)).int)


def moved(date, patient):
    days = 1 + int(keyed("days", patient)[:7], 16) % 3652
    return (datetime.datetime.strptime(date[:8], "%Y%m%d") - datetime.timedelta(days=days)).strftime("%Y%m%d") + date[8:]


def write_key(folder, secret=SECRET):
    with open(folder + "/key", "w") as file:
        file.write(secret + "\n")
    return folder + "/key"


def write(folder, name, *options, change=None, nuclide="Cu-64", half_life_s=12.7004 * 3600):
    import numpy
    import pydicom
    voxels = numpy.random.default_rng(5).gamma(0.3, 1e5, (1, 3, 4, 5))
    write_volume(folder + "/v.nii.gz", voxels, change=change, nuclide=nuclide, half_life_s=half_life_s)
    write_dose(folder + "/dose.yaml", nuclide=nuclide)
    isotrace("dicom", folder + "/v.nii.gz", "--dose", folder + "/dose.yaml", "--patient-id", "SecretM01", *MOUSE, *NAMES,
             *options, "-o", f"{folder}/{name}")
    return [pydicom.dcmread(f) for f in sorted(glob.glob(f"{folder}/{name}/*.dcm"))]


def nothing_left(folder, *words):
    """No word in any byte of any file, nor in its name."""
    for file in glob.glob(folder + "/*"):
        with open(file, "rb") as f:
            content = f.read() + os.path.basename(file).encode()
        for word in words:
            assert word.lower().encode() not in content.lower(), (file, word)


def check_statement(image):
    """What an image says of its de-identification."""
    assert image.PatientIdentityRemoved == "YES" and image.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in image.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]


def test_images(folder):
    """PET and NM written de-identified: no name, new UIDs, moved dates, the same SUV; dciodvfy finds no error"""
    from pydicom.sr import codedict
    key = write_key(folder)
    kinds = (("PETImage", {}), ("NMImage", dict(change=spect, nuclide="Tc-99m", half_life_s=6.0067 * 3600)))
    for iod, facts in kinds:
        real, hidden = write(folder, "real" + iod, **facts), write(folder, iod, "--deidentify", key, **facts)
        nothing_left(f"{folder}/{iod}", "secret", "20260314", "20251224", "horse", *(str(r.SOPInstanceUID) for r in real))
        check_valid(sorted(glob.glob(f"{folder}/{iod}/*.dcm")), iod)
        for before, after in zip(real, hidden):
            check_statement(after)
            for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
                assert after[name].value == new_uid(before[name].value), name
            assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
            assert after.PatientID == after.PatientName == "ANON-" + keyed("patient", "SecretM01")[:12]
            assert after.PatientBirthDate == after.AccessionNumber == after.StudyID == after.ResponsiblePerson == ""
            for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
                assert after[name].value == moved(before[name].value, "SecretM01"), name
            isotopes = [i.RadiopharmaceuticalInformationSequence[0] for i in (before, after)]
            assert isotopes[1].RadiopharmaceuticalStartDateTime == moved(isotopes[0].RadiopharmaceuticalStartDateTime, "SecretM01")
            # what SUV and %ID/g need, and the characteristics of the animal, are as they were
            for name in ("SeriesTime", "AcquisitionTime", "PatientWeight", "PatientSex", "PatientSpeciesDescription",
                         "PatientBreedDescription", "RescaleSlope", "PixelData", "RealWorldValueMappingSequence"):
                assert before[name].value == after[name].value, name
            for name in ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime"):
                assert isotopes[0][name].value == isotopes[1][name].value, name
    known = {c.value for c in (getattr(codedict.codes.cid7050, n) for n in codedict.codes.cid7050.dir())}
    assert {"113100", "113107", "113108"} <= known


def test_folder(folder):
    """A written folder becomes what writing it de-identified gives; another key makes others; twice is refused"""
    key = write_key(folder)
    real, direct = write(folder, "real"), write(folder, "direct", "--deidentify", key)
    import pydicom
    out, _ = isotrace("deidentify", folder + "/real", "--key", key, "--json", "-o", folder + "/public")
    assert out == '{"files": 3}\n'
    assert sorted(os.listdir(folder + "/public")) == ["000001.dcm", "000002.dcm", "000003.dcm"]
    later = [pydicom.dcmread(f) for f in sorted(glob.glob(folder + "/public/*.dcm"))]
    assert later == direct and len(real) == 3
    isotrace("deidentify", folder + "/real", "--key", key, "-q", "-o", folder + "/public")  # replaces its own
    assert [pydicom.dcmread(f) for f in sorted(glob.glob(folder + "/public/*.dcm"))] == direct
    _, err = isotrace("deidentify", folder + "/public", "--key", key, "-o", folder + "/again", code=3)
    assert "already" in err and not os.path.exists(folder + "/again")
    isotrace("deidentify", folder + "/real/frame001-slice0001.dcm", "--key", write_key(folder, "another secret of mine"), "-o",
             folder + "/other")
    other = pydicom.dcmread(folder + "/other/000001.dcm")
    assert other.SOPInstanceUID != direct[0].SOPInstanceUID and other.PatientID != direct[0].PatientID
    # a folder with something else in it is not replaced
    with open(folder + "/other/thesis.tex", "w") as file:
        file.write("years of work")
    isotrace("deidentify", folder + "/real", "--key", key, "-o", folder + "/other", code=2)
    assert os.path.exists(folder + "/other/thesis.tex")


# Of Table E.1-1, with what nobody may find again; nested ones below. Keyword, value.
FOREIGN = dict(
    ReferringPhysicianName="Secret^1", ReferringPhysicianAddress="secret 2", InstitutionAddress="secret 3",
    StationName="secret4", PhysiciansOfRecord="Secret^5", PerformingPhysicianName="Secret^6", OperatorsName="Secret^7",
    AdmittingDiagnosesDescription="secret 8", PatientBirthName="Secret^9", OtherPatientIDs="secret10",
    OtherPatientNames="Secret^11", PatientAddress="secret 12", PatientMotherBirthName="Secret^13", MilitaryRank="secret 14",
    MedicalRecordLocator="secret15", CountryOfResidence="secret 16", PatientTelephoneNumbers="secret17",
    Occupation="secret 18", AdditionalPatientHistory="secret 19", PatientReligiousPreference="secret 20",
    PatientComments="secret 21", DeviceSerialNumber="secret22", ProtocolName="secret 23", ImageComments="secret 24",
    RequestingPhysician="Secret^25", RequestedProcedureDescription="secret 26", AdmissionID="secret27",
    CurrentPatientLocation="secret 28", PerformedStationAETitle="secret29", PerformedProcedureStepDescription="secret 30",
    RequestAttributesSequence=None, IssuerOfPatientID="secret31", DerivationDescription="secret 32",
    ClinicalTrialSubjectID="secret33", ClinicalTrialSponsorName="secret 34", FrameComments="secret 35",
    InstitutionalDepartmentName="secret 36", ContentCreatorName="Secret^37", TextValue="secret 38", PersonName="Secret^39",
    AcquisitionComments="secret 40", VisitComments="secret 41", ResponsiblePerson="Secret^42", NameOfPhysiciansReadingStudy="Secret^43",
    PatientInsurancePlanCodeSequence=None, StudyComments="secret 44", DetectorID="secret45", GantryID="secret46")


def test_foreign(folder):
    """Another maker's file: listed attributes, private ones, overlays and what is nested in sequences go; other facts stay"""
    import pydicom
    from pydicom.dataset import Dataset
    key = write_key(folder)
    image = write(folder, "real")[0]
    for name, value in FOREIGN.items():
        setattr(image, name, [Dataset()] if value is None else value)
    image.RequestAttributesSequence[0].RequestedProcedureDescription = "secret 50"
    image.PatientInsurancePlanCodeSequence[0].CodeMeaning = "secret 51"
    image.private_block(0x0009, "secretmaker", create=True).add_new(1, "LO", "secret 52")
    image.add_new(0x60004000, "LT", "secret 53")
    image.add_new(0x60003000, "OW", b"secret54")
    nested = Dataset()
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    nested.InstitutionName, nested.AcquisitionDateTime = "secret 55", "20260314235000.5+0100"
    image.ReferencedImageSequence = [nested]
    image.AcquisitionDateTime, image.DateOfLastCalibration = "202603", ["20260310", "20260311"]
    image.PatientAge, image.ManufacturerModelName, image.VerificationFlag = "003M", "keeper", "VERIFIED"
    os.mkdir(folder + "/foreign")
    image.save_as(folder + "/foreign/SecretM01.dcm")
    isotrace("deidentify", folder + "/foreign", "--key", key, "-o", folder + "/out")
    nothing_left(folder + "/out", "secret", "202603")
    after = pydicom.dcmread(folder + "/out/000001.dcm")
    check_statement(after)
    item = after.ReferencedImageSequence[0]
    assert item.ReferencedSOPInstanceUID == after.SOPInstanceUID and item.ReferencedSOPClassUID == image.SOPClassUID
    assert item.AcquisitionDateTime == moved("20260314235000.5+0100", "SecretM01")
    assert list(after.DateOfLastCalibration) == [moved(d, "SecretM01") for d in ("20260310", "20260311")]
    assert after.AcquisitionDateTime == ""  # a month is no date that could be moved
    assert after.PatientAge == "003M" and after.ManufacturerModelName == "keeper" and after.VerificationFlag == "UNVERIFIED"
    assert after.DeviceSerialNumber == "REMOVED" and after.PixelData == image.PixelData


def test_reference_objects(folder):
    """Valid objects of other makers (images, projections, segmentation, report, contours) are valid afterwards"""
    import pydicom
    shared = os.environ.get("ISOTRACE_SHARED") or os.path.join(os.environ.get("ISOTRACE_SOURCE_ROOT", "."), "../shared")
    place, key = os.path.join(shared, "data/dicom_reference"), write_key(folder)
    if not os.path.isdir(place) or not find("dciodvfy"):
        raise Skip("no shared data, or no dciodvfy")

    def errors(file):
        done = subprocess.run([find("dciodvfy"), file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return {x for x in done.stdout.decode(errors="replace").splitlines() if x.startswith("Error")}
    for name in ("nm", "nmtomo", "pet_clean", "rt", "seg", "sr"):
        before, after = f"{place}/{name}.dcm", f"{folder}/{name}/000001.dcm"
        isotrace("deidentify", before, "--key", key, "-q", "-o", f"{folder}/{name}")
        assert errors(after) <= errors(before), (name, errors(after) - errors(before))
        real, hidden = pydicom.dcmread(before), pydicom.dcmread(after)
        check_statement(hidden)
        assert real.get("PixelData") == hidden.get("PixelData")
        with open(after, "rb") as file:
            content = file.read()
        for word in (real.SOPInstanceUID, real.SeriesInstanceUID, real.StudyInstanceUID, str(real.PatientName)):
            assert len(word) < 4 or word.encode() not in content, (name, word)


def test_refusals(folder):
    """What cannot be de-identified is refused, by name of the file and not of the patient, and no folder appears"""
    import pydicom
    key = write_key(folder)
    image = write(folder, "real")[0]
    os.mkdir(folder + "/in")

    def document(d):
        d.EncapsulatedDocument = b"%PDF-1.4"

    def burned(d):
        d.BurnedInAnnotation = "YES"

    def nobody(d):
        d.PatientID = ""
    for change, word in ((document, "document"), (burned, "burned"), (nobody, "patient ID")):
        changed = pydicom.dcmread(image.filename)
        change(changed)
        changed.save_as(folder + "/in/x.dcm")
        _, err = isotrace("deidentify", folder + "/in", "--key", key, "-o", folder + "/out", code=3)
        assert word in err and "x.dcm" in err and "ecretname" not in err and not os.path.exists(folder + "/out"), err
    with open(folder + "/in/x.dcm", "w") as file:
        file.write("no DICOM")
    _, err = isotrace("deidentify", folder + "/in", "--key", key, "-o", folder + "/out", code=3)
    assert "x.dcm" in err and not os.path.exists(folder + "/out")
    for secret in ("", "short", "fifteen letters"):
        _, err = isotrace("deidentify", folder + "/real", "--key", write_key(folder, secret), "-o", folder + "/out", code=3)
        assert "guessed" in err and (not secret or secret not in err), err
    isotrace("deidentify", folder + "/real", "-o", folder + "/out", code=2)
    isotrace("deidentify", folder + "/none", "--key", write_key(folder), "-o", folder + "/out", code=3)
    isotrace("dicom", folder + "/v.nii.gz", "--patient-id", "M", "--deidentify", folder + "/none", "-o", folder + "/out", code=3)
    assert not os.path.exists(folder + "/out")


run([test_images, test_folder, test_foreign, test_reference_objects, test_refusals], modules=("numpy", "nibabel", "pydicom"))
