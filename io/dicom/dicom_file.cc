// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/dicom_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "io/dicom/deidentify.h"
#include "io/dicom/shim.h"

#include "dcmtk/dcmdata/dcostrmb.h"

struct iso_dcm {
	DcmFileFormat file;
	std::vector<DcmItem *> open; // the items that were begun, innermost last; the first is the dataset
	iso_status status = ISO_OK;
	char message[256] = "";
	const iso_dicom_key *key = nullptr; // to be de-identified with
};

namespace
{

DcmTagKey key_of(uint32_t tag)
{
	return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xffff));
}

// Does one thing to the open item unless something went wrong before; keeps the first failure.
template <typename Action> void act(iso_dcm *dcm, uint32_t tag, Action action) noexcept
{
	if (dcm->status != ISO_OK) return;
	try {
		const OFCondition done = action(dcm->open.back());
		if (done.good()) return;
		dcm->status = iso_ran_out(done) ? ISO_NO_MEMORY : ISO_BAD_INPUT;
		std::snprintf(dcm->message, sizeof dcm->message, "element (%04x,%04x): %s",
			      static_cast<unsigned>(tag >> 16), static_cast<unsigned>(tag & 0xffff), done.text());
	} catch (...) {
		dcm->status = ISO_NO_MEMORY;
	}
}

} // namespace

iso_status iso_dcm_create(iso_dcm **out, iso_error *err)
{
	*out = nullptr;
	return iso_guard(err, [&] {
		iso_quiet();
		if (!dcmDataDict.isDictionaryLoaded())
			return iso_fail(err, ISO_IO, nullptr,
					"install DCMTK's data (Debian: libdcmtk17) or set DCMDICTPATH to its dicom.dic",
					"DCMTK does not find its data dictionary");
		auto dcm = std::make_unique<iso_dcm>();
		dcm->open.push_back(dcm->file.getDataset());
		*out = dcm.release();
		return ISO_OK;
	});
}

void iso_dcm_free(iso_dcm *dcm)
{
	delete dcm;
}

void iso_dcm_text(iso_dcm *dcm, uint32_t tag, const char *text)
{
	act(dcm, tag, [&](DcmItem *item) { return item->putAndInsertString(key_of(tag), text); });
}

void iso_dcm_us(iso_dcm *dcm, uint32_t tag, uint16_t value)
{
	act(dcm, tag, [&](DcmItem *item) { return item->putAndInsertUint16(key_of(tag), value); });
}

void iso_dcm_ss(iso_dcm *dcm, uint32_t tag, int16_t value)
{
	// The dictionary has US for tags that may be either: say which.
	act(dcm, tag, [&](DcmItem *item) { return item->putAndInsertSint16(DcmTag(key_of(tag), EVR_SS), value); });
}

void iso_dcm_fd(iso_dcm *dcm, uint32_t tag, double value)
{
	act(dcm, tag, [&](DcmItem *item) { return item->putAndInsertFloat64(key_of(tag), value); });
}

void iso_dcm_pixels(iso_dcm *dcm, const int16_t *pixels, size_t count)
{
	act(dcm, 0x7fe00010, [&](DcmItem *item) {
		return item->putAndInsertUint16Array(DcmTag(DCM_PixelData, EVR_OW),
						     reinterpret_cast<const Uint16 *>(pixels), count);
	});
}

void iso_dcm_float_pixels(iso_dcm *dcm, const float *pixels, size_t count)
{
	act(dcm, 0x7fe00008,
	    [&](DcmItem *item) { return item->putAndInsertFloat32Array(DCM_FloatPixelData, pixels, count); });
}

void iso_dcm_bytes(iso_dcm *dcm, uint32_t tag, const uint8_t *bytes, size_t count)
{
	act(dcm, tag,
	    [&](DcmItem *item) { return item->putAndInsertUint8Array(DcmTag(key_of(tag), EVR_OB), bytes, count); });
}

void iso_dcm_begin(iso_dcm *dcm, uint32_t tag)
{
	act(dcm, tag, [&](DcmItem *item) {
		DcmItem *fresh = nullptr;
		(void)item->findAndDeleteElement(key_of(tag));
		const OFCondition done = item->findOrCreateSequenceItem(key_of(tag), fresh, 0);
		if (done.good()) dcm->open.push_back(fresh);
		return done;
	});
}

void iso_dcm_begin_next(iso_dcm *dcm, uint32_t tag)
{
	act(dcm, tag, [&](DcmItem *item) {
		DcmItem *fresh = nullptr;
		const OFCondition done = item->findOrCreateSequenceItem(key_of(tag), fresh, -2 /* appended */);
		if (done.good()) dcm->open.push_back(fresh);
		return done;
	});
}

void iso_dcm_end(iso_dcm *dcm)
{
	if (dcm->status == ISO_OK && dcm->open.size() > 1) dcm->open.pop_back();
}

void iso_dcm_empty_sequence(iso_dcm *dcm, uint32_t tag)
{
	act(dcm, tag, [&](DcmItem *item) { return item->insertEmptyElement(key_of(tag), OFTrue); });
}

void iso_dcm_deidentify(iso_dcm *dcm, const iso_dicom_key *key)
{
	dcm->key = key;
}

// DCMTK makes the header anew while it writes, and an element that it has no memory for is empty then.
static bool has_whole_header(DcmItem &header)
{
	static const DcmTagKey tags[] = {
	    DCM_FileMetaInformationGroupLength, DCM_FileMetaInformationVersion, DCM_MediaStorageSOPClassUID,
	    DCM_MediaStorageSOPInstanceUID,     DCM_TransferSyntaxUID,          DCM_ImplementationClassUID,
	    DCM_ImplementationVersionName};
	for (const DcmTagKey &tag : tags) {
		DcmElement *element = nullptr;
		if (header.findAndGetElement(tag, element).bad() || !element->getLength() || !element->valueLoaded())
			return false;
	}
	return true;
}

// Into memory and from there to the disk: DCMTK's own file stream does not notice a disk that is full at the end.
iso_status iso_write_dicom(DcmFileFormat &file, E_TransferSyntax syntax, const char *path, const char *shown,
			   iso_error *err)
{
	OFCondition done = file.validateMetaInfo(syntax);
	if (done.good()) done = file.loadAllDataIntoMemory();
	std::vector<char> bytes;
	if (done.good()) {
		bytes.resize(file.calcElementLength(syntax, EET_ExplicitLength) + size_t{8192});
		DcmOutputBufferStream stream(bytes.data(), static_cast<offile_off_t>(bytes.size()));
		file.transferInit();
		done = file.write(stream, syntax, EET_ExplicitLength, nullptr);
		file.transferEnd();
		void *start = nullptr;
		offile_off_t length = 0;
		stream.flushBuffer(start, length);
		bytes.resize(static_cast<size_t>(length));
	}
	if (iso_ran_out(done) || (done.good() && !has_whole_header(*file.getMetaInfo())))
		return iso_fail_memory(err, "DICOM", bytes.size());
	if (done.bad()) return iso_fail(err, ISO_IO, shown, "report this", "cannot encode as DICOM: %s", done.text());
	std::FILE *out = std::fopen(path, "wb");
	if (!out) return iso_fail_errno(err, shown, "cannot create");
	bool good = std::fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size() && std::fflush(out) == 0;
	int saved = errno;
	if (std::fclose(out) != 0) {
		if (good) saved = errno;
		good = false;
	}
	errno = saved;
	return good ? ISO_OK : iso_fail_errno(err, shown, "cannot write");
}

iso_status iso_dcm_save(iso_dcm *dcm, const char *path, const char *shown, iso_error *err)
{
	if (dcm->status == ISO_NO_MEMORY) return iso_fail_memory(err, "DICOM", 0);
	if (dcm->status != ISO_OK) return iso_fail(err, dcm->status, shown, "correct the value", "%s", dcm->message);
	return iso_guard(err, [&] {
		if (!dcm->key) return iso_write_dicom(dcm->file, EXS_LittleEndianExplicit, path, shown, err);
		DcmFileFormat copy(dcm->file.getDataset());
		if (copy.loadAllDataIntoMemory().bad()) return iso_fail_memory(err, "DICOM", 0);
		const iso_status status = iso_deidentify_dataset(*copy.getDataset(), *dcm->key, shown, err);
		return status == ISO_OK ? iso_write_dicom(copy, EXS_LittleEndianExplicit, path, shown, err) : status;
	});
}
