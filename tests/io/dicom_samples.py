# SPDX-License-Identifier: GPL-3.0-or-later
"""DICOM of other programs, made with pydicom for the tests of the readers."""

import math
import os

F18_S, CU64_S = 1.82890 * 3600, 12.7004 * 3600
PET_CLASS, NM_CLASS = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.20"
SEG_CLASS, RT_CLASS = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"
FRAME_OF_REFERENCE = "1.2.9"


def data_set(sop_class, instance, series, modality):
    import pydicom
    d = pydicom.dataset.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = sop_class
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = instance
    d.SeriesInstanceUID, d.FrameOfReferenceUID, d.StudyInstanceUID = series, FRAME_OF_REFERENCE, "1.2"
    d.Modality, d.PatientID, d.PatientName, d.SeriesDescription = modality, "M01", "Secret^Name", "body"
    d.is_little_endian, d.is_implicit_VR = True, False
    return d


def item(**elements):
    import pydicom
    d = pydicom.dataset.Dataset()
    for name, value in elements.items():
        setattr(d, name, value)
    return d


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def clock(seconds):
    """s after midnight of 2026-03-14 as DA and TM."""
    day, seconds = divmod(seconds, 86400)
    return (f"202603{14 + int(day):02d}", "%02d%02d%06.3f" % (seconds // 3600, seconds % 3600 // 60, seconds % 60))


def in_frame(half_life_s, duration_s):
    """Mean over a frame to its start, and s after the start at which the activity equals the mean."""
    x = math.log(2) / half_life_s * duration_s
    factor = x / (1 - math.exp(-x))
    return factor, math.log(factor) * half_life_s / math.log(2)


def pixels(d, stored, bits=16, signed=0):
    import numpy
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = bits, bits, bits - 1, signed
    d.Rows, d.Columns = stored.shape[-2:]
    d.PixelData = stored.astype({8: "u1", 16: "<u2", 32: "<u4"}[bits]).tobytes()


def write_pet(folder, bqml, frames=((36000, 600),), half_life_s=F18_S, series="1.2.3.5", reference_s=None, injection_s=32400,
              spacing=(0.5, 0.8), origin=(-7.0, -5.0, 30.0), step=1.5, change=None, beds=None):
    """bqml: [frame][slice][row][column], decay-corrected to reference_s (default: the first frame's start); times in s after midnight of
    2026-03-14 on a clock of +01:00. beds: each slice's own start. change(k, frame, dataset) before it is written."""
    import numpy
    import pydicom
    os.makedirs(folder, exist_ok=True)
    lam = math.log(2) / half_life_s
    reference_s = frames[0][0] if reference_s is None else reference_s
    for f, (start_s, duration_s) in enumerate(frames):
        for k, plane in enumerate(bqml[f]):
            start = beds[k] if beds else start_s
            n = f * len(bqml[f]) + k
            d = data_set(PET_CLASS, f"{series}.{n + 1}", series, "PT")
            d.TimezoneOffsetFromUTC = "+0100"
            d.Manufacturer, d.ManufacturerModelName, d.SoftwareVersions = "Maker", "Model 7", "v3"
            d.SeriesDate, d.SeriesTime = clock(reference_s)
            d.AcquisitionDate, d.AcquisitionTime = clock(start)
            d.SeriesType = ["DYNAMIC" if len(frames) > 1 else "WHOLE BODY" if beds else "STATIC", "IMAGE"]
            d.Units, d.DecayCorrection, d.CountsSource = "BQML", "START", "EMISSION"
            d.CorrectedImage = ["NORM", "DTIM", "RAN", "ATTN", "SCAT", "DECY"]
            d.AttenuationCorrectionMethod, d.RandomsCorrectionMethod = "CT", "DLYD"
            d.ReconstructionMethod = "OSEM 4i8s"
            factor, mean_s = in_frame(half_life_s, duration_s)
            d.ActualFrameDuration = int(round(duration_s * 1000))
            d.FrameReferenceTime = "%.10g" % ((start - reference_s + mean_s) * 1000)
            d.DecayFactor = "%.8g" % (factor * math.exp(lam * (start - reference_s)))
            d.PatientWeight = "0.0213"
            d.RadiopharmaceuticalInformationSequence = [item(
                Radiopharmaceutical="FDG", RadionuclideTotalDose="7400000", RadionuclideHalfLife="%.8g" % half_life_s,
                RadionuclidePositronFraction="0.9686", RadiopharmaceuticalStartTime=clock(injection_s)[1],
                RadiopharmaceuticalStartDateTime="".join(clock(injection_s)),
                RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine") if half_life_s == F18_S
                                          else code("3932008", "SCT", "^64^Copper")],
                AdministrationRouteCodeSequence=[code("47625008", "SCT", "Intravenous route")])]
            d.PixelSpacing, d.SliceThickness = list(spacing), step
            d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            d.ImagePositionPatient = [origin[0], origin[1], origin[2] + k * step]
            d.NumberOfSlices, d.ImageIndex, d.InstanceNumber = len(bqml[f]), n + 1, n + 1
            slope = "%.9g" % (max(float(plane.max()), 1) / 32767)
            d.RescaleSlope, d.RescaleIntercept = slope, "0"
            pixels(d, numpy.rint(plane / float(slope)), signed=1)
            if change:
                change(k, f, d)
            # names that sort against the order of the slices
            d.save_as(os.path.join(folder, f"{9999 - n}.dcm"), write_like_original=False)


def phantom(frames=1):
    """[frame][slice][row][column] Bq/mL: uneven maxima, so that every slice has a slope of its own."""
    import numpy
    image = numpy.random.default_rng(7).uniform(0, 1e5, (frames, 6, 11, 9))
    return image * (1 + numpy.arange(6)[None, :, None, None]) ** 2


def add_private(d, group, element, creator, vr, value):
    block = d.private_block(group, creator, create=True)
    block.add_new(element, vr, value)


def write_nm(path, bqml, start_s=36000, spacing=(0.5, 0.8), origin=(-7.0, -5.0, 30.0), step=1.5, change=None):
    """A RECON TOMO image: bqml [slice][row][column], slice n at origin + n step along the normal."""
    import numpy
    d = data_set(NM_CLASS, "1.2.3.7.1", "1.2.3.7", "NM")
    d.TimezoneOffsetFromUTC = "+0100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    d.Manufacturer, d.ManufacturerModelName = "Maker", "Gamma 1"
    d.AcquisitionDate, d.AcquisitionTime = clock(start_s)
    d.CorrectedImage = ["ATTN", "DECY"]
    d.NumberOfFrames, d.NumberOfSlices = len(bqml), len(bqml)
    d.FrameIncrementPointer, d.SliceVector = 0x00540080, list(range(1, len(bqml) + 1))
    d.NumberOfEnergyWindows, d.NumberOfDetectors, d.NumberOfRotations = 1, 1, 1
    d.PixelSpacing, d.SpacingBetweenSlices, d.SliceThickness = list(spacing), step, abs(step)
    d.DetectorInformationSequence = [item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=list(origin))]
    d.RotationInformationSequence = [item(ActualFrameDuration=30000, NumberOfFramesInRotation=60)]
    d.PatientWeight = "0.0213"
    d.RadiopharmaceuticalInformationSequence = [item(  # MBq, as NM has it
        RadionuclideTotalDose="37", RadiopharmaceuticalStartTime=clock(32400)[1],
        RadionuclideCodeSequence=[code("72454006", "SCT", "^99m^Technetium")])]
    slope = float(bqml.max()) / 65535
    d.RealWorldValueMappingSequence = [item(
        RealWorldValueFirstValueMapped=0, RealWorldValueLastValueMapped=65535, RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope, MeasurementUnitsCodeSequence=[code("Bq/ml", "UCUM", "Becquerels/milliliter")])]
    pixels(d, numpy.rint(bqml / slope))
    if change:
        change(d)
    d.save_as(path, write_like_original=False)


def write_seg(path, segments, frames, shape, spacing=(0.5, 0.8), step=1.5, stored=None, change=None):
    """segments: [(number, label, meaning)]; frames: [(segment, position, plane of bool)]. stored: values of a FRACTIONAL one."""
    import numpy
    d = data_set(SEG_CLASS, "1.2.3.8.1", "1.2.3.8", "SEG")
    d.ImageType = ["DERIVED", "PRIMARY"]
    d.SegmentationType = "FRACTIONAL" if stored else "BINARY"
    d.SegmentSequence = [item(SegmentNumber=n, SegmentLabel=label, SegmentAlgorithmType="MANUAL",
                              SegmentedPropertyTypeCodeSequence=[code("1", "SCT", meaning)]) for n, label, meaning in segments]
    d.SharedFunctionalGroupsSequence = [item(
        PixelMeasuresSequence=[item(PixelSpacing=list(spacing), SliceThickness=step, SpacingBetweenSlices=step)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])]
    d.PerFrameFunctionalGroupsSequence = [item(
        PlanePositionSequence=[item(ImagePositionPatient=list(position))],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)]) for segment, position, _ in frames]
    planes = numpy.array([plane for _, _, plane in frames])
    d.NumberOfFrames = len(frames)
    if stored:
        d.MaximumFractionalValue = stored
        pixels(d, planes, bits=8)
    else:
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 1, 1, 0, 0
        d.Rows, d.Columns = shape
        bits = numpy.packbits(planes.astype(bool).ravel(), bitorder="little").tobytes()
        d.PixelData = bits + b"\0" * (len(bits) % 2)
    if change:
        change(d)
    d.save_as(path, write_like_original=False)


def write_rtstruct(path, regions, change=None):
    """regions: [(number, name, [[(x, y, z) in mm, ...], ...])]: closed planar contours."""
    d = data_set(RT_CLASS, "1.2.3.9.1", "1.2.3.9", "RTSTRUCT")
    d.StructureSetROISequence = [item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=FRAME_OF_REFERENCE)
                                 for n, name, _ in regions]
    d.ROIContourSequence = [item(ReferencedROINumber=n, ContourSequence=[
        item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(c), ContourData=["%.8g" % x for p in c for x in p])
        for c in contours]) for n, _, contours in regions]
    if change:
        change(d)
    d.save_as(path, write_like_original=False)


def write_tomo(path, counts, vectors, rotations=1, detectors=1, windows=((126, 154),), start_s=36000, change=None):
    """NM projections: counts [frame][row][column]; vectors: [(window, detector, rotation, view)] from 1."""
    d = data_set(NM_CLASS, "1.2.3.10.1", "1.2.3.10", "NM")
    d.TimezoneOffsetFromUTC = "+0100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]
    d.Manufacturer, d.ManufacturerModelName = "Maker", "Gamma 1"
    d.AcquisitionDate, d.AcquisitionTime = clock(start_s)
    d.NumberOfFrames, d.PixelSpacing = len(counts), [0.5, 0.8]
    d.FrameIncrementPointer = [0x00540010, 0x00540020, 0x00540050, 0x00540090]
    columns = [list(column) for column in zip(*vectors)]
    d.EnergyWindowVector, d.DetectorVector, d.RotationVector, d.AngularViewVector = columns
    d.NumberOfEnergyWindows, d.NumberOfDetectors, d.NumberOfRotations = len(windows), detectors, rotations
    d.EnergyWindowInformationSequence = [item(EnergyWindowRangeSequence=[item(
        EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high)]) for low, high in windows]
    d.DetectorInformationSequence = [item(CollimatorType="PARA", StartAngle=180 * n, RadialPosition=[100 + n]) for n in range(detectors)]
    d.RotationInformationSequence = [item(
        StartAngle=0, AngularStep=3, RotationDirection="CC", ActualFrameDuration=20000,
        NumberOfFramesInRotation=max(columns[3])) for n in range(rotations)]
    d.RadiopharmaceuticalInformationSequence = [item(
        RadionuclideTotalDose="37", RadiopharmaceuticalStartTime=clock(32400)[1],
        RadionuclideCodeSequence=[code("72454006", "SCT", "^99m^Technetium")])]
    pixels(d, counts)
    if change:
        change(d)
    d.save_as(path, write_like_original=False)
