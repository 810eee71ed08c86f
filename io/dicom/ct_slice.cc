// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/ct_slice.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "io/dicom/shim.h"

#include "dcmtk/dcmdata/dcrledrg.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"

namespace
{

// DCMTK keeps its decoders for the whole process.
void register_decoders()
{
	static std::once_flag once;
	std::call_once(once, [] {
		DcmRLEDecoderRegistration::registerCodecs();
		DJDecoderRegistration::registerCodecs();
		DJLSDecoderRegistration::registerCodecs();
	});
}

bool has_dicom_prefix(const char *path)
{
	char start[132];
	std::FILE *file = std::fopen(path, "rb");
	if (!file) return false;
	const bool is =
	    std::fread(start, 1, sizeof start, file) == sizeof start && std::memcmp(start + 128, "DICM", 4) == 0;
	std::fclose(file);
	return is;
}

// Line feeds and control characters of hostile files must not reach a terminal.
void get_text(DcmItem *set, const DcmTagKey &key, char *to, size_t size)
{
	OFString text;
	to[0] = '\0';
	if (set->findAndGetOFString(key, text).bad()) return;
	std::snprintf(to, size, "%s", text.c_str());
	for (char *c = to; *c; c++)
		if (static_cast<unsigned char>(*c) < ' ' || *c == 0x7f) *c = '?';
}

bool get_numbers(DcmItem *set, const DcmTagKey &key, double *to, unsigned long count)
{
	bool good = true;
	for (unsigned long n = 0; n < count; n++) {
		Float64 value = 0;
		good = set->findAndGetFloat64(key, value, n).good() && std::isfinite(value) && good;
		to[n] = good ? value : static_cast<double>(NAN);
	}
	return good;
}

unsigned get_size(DcmItem *set, const DcmTagKey &key)
{
	Uint16 value = 0;
	return set->findAndGetUint16(key, value).good() ? value : 0;
}

bool is_localizer(DcmItem *set)
{
	OFString types;
	return set->findAndGetOFStringArray(DCM_ImageType, types).good() && types.find("LOCALIZER") != OFString_npos;
}

void describe(DcmItem *set, iso_ct_slice &s)
{
	get_text(set, DCM_SOPInstanceUID, s.instance_uid, sizeof s.instance_uid);
	get_text(set, DCM_SeriesInstanceUID, s.series_uid, sizeof s.series_uid);
	get_text(set, DCM_FrameOfReferenceUID, s.frame_of_reference_uid, sizeof s.frame_of_reference_uid);
	get_text(set, DCM_SeriesDescription, s.description, sizeof s.description);
	get_text(set, DCM_Manufacturer, s.manufacturer, sizeof s.manufacturer);
	get_text(set, DCM_ConvolutionKernel, s.kernel, sizeof s.kernel);
	get_text(set, DCM_PatientID, s.patient, sizeof s.patient);
	if (!s.patient[0]) get_text(set, DCM_PatientName, s.patient, sizeof s.patient);
	s.rows = get_size(set, DCM_Rows);
	s.columns = get_size(set, DCM_Columns);
	(void)get_numbers(set, DCM_SliceThickness, &s.thickness_mm, 1);
	(void)get_numbers(set, DCM_KVP, &s.kvp, 1);
	(void)get_numbers(set, DCM_GantryDetectorTilt, &s.tilt_deg, 1);
	double directions[6];
	const char *missing = nullptr;
	const auto need = [&](bool there, const char *name) {
		if (!there && !missing) missing = name;
	};
	need(s.series_uid[0] != '\0', "Series Instance UID (0020,000E)");
	need(s.rows > 0, "Rows (0028,0010)");
	need(s.columns > 0, "Columns (0028,0011)");
	need(get_numbers(set, DCM_ImagePositionPatient, s.position_mm, 3), "Image Position (Patient) (0020,0032)");
	need(get_numbers(set, DCM_ImageOrientationPatient, directions, 6), "Image Orientation (Patient) (0020,0037)");
	need(get_numbers(set, DCM_PixelSpacing, s.spacing_mm, 2) && s.spacing_mm[0] > 0 && s.spacing_mm[1] > 0,
	     "Pixel Spacing (0028,0030)");
	need(get_numbers(set, DCM_RescaleSlope, &s.slope, 1) && s.slope != 0, "Rescale Slope (0028,1053)");
	need(get_numbers(set, DCM_RescaleIntercept, &s.intercept, 1), "Rescale Intercept (0028,1052)");
	std::memcpy(s.direction, directions, sizeof directions);
	s.missing = missing;
}

const char *const DAMAGED = "copy the file again from where it came";

// What keeps the pixels from being numbers, or null.
const char *unreadable(DcmItem *set, const iso_ct_slice &s)
{
	Sint32 frames = 1;
	if (set->findAndGetSint32(DCM_NumberOfFrames, frames).bad()) frames = 1;
	if (get_size(set, DCM_Rows) != s.rows || get_size(set, DCM_Columns) != s.columns) return "it has changed";
	if (get_size(set, DCM_BitsAllocated) != 16) return "its pixels have not 16 bits";
	if (get_size(set, DCM_SamplesPerPixel) != 1) return "it is a picture in colours";
	const unsigned stored = get_size(set, DCM_BitsStored);
	if (stored < 1 || stored > 16 || get_size(set, DCM_HighBit) + 1 != stored ||
	    get_size(set, DCM_PixelRepresentation) > 1)
		return "its bits are described in contradictions";
	return frames == 1 ? nullptr : "it has several frames";
}

iso_status decompress(DcmDataset *set, const char *path, iso_error *err)
{
	const DcmXfer syntax(set->getOriginalXfer());
	if (!syntax.isEncapsulated()) return ISO_OK;
	const OFCondition done = set->chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
	if (done.good()) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, path,
			"decompress it first (gdcmconv --raw), or copy it again if it should be readable",
			"the pixels (%s) cannot be decompressed: %s", syntax.getXferName(), done.text());
}

} // namespace

iso_status iso_ct_slice_look(const char *path, iso_ct_kind *kind, iso_ct_slice *out, iso_error *err)
{
	*kind = ISO_CT_NO_DICOM;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		if (!has_dicom_prefix(path)) return ISO_OK;
		DcmFileFormat file;
		const OFCondition done = file.loadFile(path, EXS_Unknown, EGL_noChange, 256, ERM_fileOnly);
		OFString sop_class;
		if (done.bad() || file.getMetaInfo()->findAndGetOFString(DCM_MediaStorageSOPClassUID, sop_class).bad())
			return iso_fail(err, ISO_BAD_INPUT, path, DAMAGED, "a damaged or truncated DICOM file: %s",
					done.bad() ? done.text() : "it does not say what it is");
		*kind = ISO_CT_OTHER;
		if (sop_class == UID_EnhancedCTImageStorage) *kind = ISO_CT_ENHANCED;
		if (sop_class != UID_CTImageStorage || is_localizer(file.getDataset())) return ISO_OK;
		*kind = ISO_CT_SLICE;
		std::memset(out, 0, sizeof *out);
		describe(file.getDataset(), *out);
		return ISO_OK;
	});
}

iso_status iso_ct_slice_read(const char *path, const iso_ct_slice *slice, float *hu, iso_error *err)
{
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		register_decoders();
		DcmFileFormat file;
		OFCondition done = file.loadFile(path, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_fileOnly);
		if (done.good()) done = file.loadAllDataIntoMemory();
		if (done.bad())
			return iso_fail(err, ISO_BAD_INPUT, path, DAMAGED, "a damaged or truncated DICOM file: %s",
					done.text());
		DcmDataset *set = file.getDataset();
		const char *problem = unreadable(set, *slice);
		if (problem)
			return iso_fail(err, ISO_BAD_INPUT, path, "export the series again as plain CT images",
					"this CT image cannot be read: %s", problem);
		const iso_status status = decompress(set, path, err);
		if (status != ISO_OK) return status;
		const Uint16 *pixels = nullptr;
		unsigned long count = 0;
		const unsigned long wanted = static_cast<unsigned long>(slice->rows) * slice->columns;
		done = set->findAndGetUint16Array(DCM_PixelData, pixels, &count);
		if (done.bad() || !pixels || count < wanted)
			return iso_fail(err, ISO_BAD_INPUT, path, DAMAGED, "%lu pixels where %u x %u are promised",
					done.bad() || !pixels ? 0UL : count, slice->rows, slice->columns);
		const unsigned stored = get_size(set, DCM_BitsStored), sign = 1U << (stored - 1);
		const bool is_signed = get_size(set, DCM_PixelRepresentation) == 1;
		for (unsigned long n = 0; n < wanted; n++) {
			// Above the stored bits old scanners keep overlays.
			int value = static_cast<int>(pixels[n] & (2 * sign - 1));
			if (is_signed && (static_cast<unsigned>(value) & sign)) value -= static_cast<int>(2 * sign);
			hu[n] = static_cast<float>(slice->slope * value + slice->intercept);
		}
		return ISO_OK;
	});
}
