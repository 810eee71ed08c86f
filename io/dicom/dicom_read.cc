// SPDX-License-Identifier: GPL-3.0-or-later
#include "io/dicom/dicom_read.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/number_text.h"
#include "io/dicom/shim.h"

#include "dcmtk/dcmdata/dcrledrg.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"

struct iso_dicom {
	DcmFileFormat file;
	std::string path;
	std::string sop_class;
};

namespace
{

const char *const DAMAGED = "copy the file again from where it came";
// Longer values stay on the disk until they are asked for.
const Uint32 LONG_VALUE = 4096;
// More pixels than this in one file are no scan.
const unsigned long long MOST_PIXELS = 1ULL << 31;

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

// Does it begin as a DICOM file? and_header: with the length of its header, (0002,0000) UL, after that.
bool begins_as_dicom(const char *path, bool and_header)
{
	char start[144];
	std::FILE *file = std::fopen(path, "rb");
	if (!file) return false;
	const size_t read = std::fread(start, 1, sizeof start, file);
	std::fclose(file);
	return read >= 132 && std::memcmp(start + 128, "DICM", 4) == 0 &&
	       (!and_header || (read == sizeof start && std::memcmp(start + 132, "\2\0\0\0UL\4\0", 8) == 0));
}

// In a deflated file no length can be checked against what is there: DCMTK takes gigabytes of memory for one that lies.
bool is_deflated(const char *path)
{
	DcmFileFormat head;
	OFString syntax;
	return iso_load(head, path, LONG_VALUE, ERM_metaOnly).good() &&
	       iso_found(head.getMetaInfo()->findAndGetOFString(DCM_TransferSyntaxUID, syntax)) &&
	       syntax == UID_DeflatedExplicitVRLittleEndianTransferSyntax;
}

DcmTagKey key_of(uint32_t tag)
{
	return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xffff));
}

// DCMTK's look-ups are not const, although they change nothing but which values are in memory.
DcmItem *item_of(const iso_dicom_item *item)
{
	return reinterpret_cast<DcmItem *>(const_cast<iso_dicom_item *>(item));
}

const iso_dicom_item *handle_of(const DcmItem *item)
{
	return reinterpret_cast<const iso_dicom_item *>(item);
}

thread_local bool ran_out = false;

template <typename Value, typename Body> Value guarded(Value nothing, Body body) noexcept
{
	try {
		return body();
	} catch (...) {
		ran_out = true;
		return nothing;
	}
}

bool copy_text(OFString &text, char *to, size_t size)
{
	std::snprintf(to, size, "%s", text.c_str());
	// Line feeds and control characters of hostile files must not reach a terminal.
	for (char *c = to; *c; c++)
		if (static_cast<unsigned char>(*c) < ' ' || *c == 0x7f) *c = '?';
	return to[0] != '\0';
}

unsigned get_size(DcmItem *set, const DcmTagKey &key)
{
	Uint16 value = 0;
	return iso_found(set->findAndGetUint16(key, value)) ? value : 0;
}

struct Layout {
	unsigned rows, columns, allocated, stored;
	Sint32 frames;
	bool is_signed;
	unsigned long long pixels() const
	{
		return 1ULL * rows * columns * static_cast<unsigned>(frames);
	}
};

// What keeps the pixels from being numbers, or null.
const char *describe(DcmItem *set, Layout &l)
{
	if (!iso_found(set->findAndGetSint32(DCM_NumberOfFrames, l.frames))) l.frames = 1;
	l.rows = get_size(set, DCM_Rows);
	l.columns = get_size(set, DCM_Columns);
	l.allocated = get_size(set, DCM_BitsAllocated);
	l.stored = get_size(set, DCM_BitsStored);
	const unsigned sign = get_size(set, DCM_PixelRepresentation);
	l.is_signed = sign == 1;
	if (l.rows < 1 || l.columns < 1) return "it has no rows or no columns";
	if (l.frames < 1) return "it has no frames";
	if (l.pixels() > MOST_PIXELS) return "it promises more pixels than any scan has";
	if (get_size(set, DCM_SamplesPerPixel) != 1) return "it is a picture in colours";
	if (l.allocated != 1 && l.allocated != 8 && l.allocated != 16 && l.allocated != 32)
		return "its pixels have not 1, 8, 16 or 32 bits";
	if (l.stored < 1 || l.stored > l.allocated || get_size(set, DCM_HighBit) + 1 != l.stored || sign > 1 ||
	    (l.is_signed && l.stored == 1))
		return "its bits are described in contradictions";
	if (l.stored == 32 && !l.is_signed) l.stored = 31; // counts; a set 32nd bit is refused below
	return nullptr;
}

iso_status decompress(iso_dicom *file, const Layout &layout, iso_error *err)
{
	DcmDataset *set = file->file.getDataset();
	const DcmXfer syntax(set->getOriginalXfer());
	if (!syntax.isEncapsulated()) return ISO_OK;
	// A small file that unpacks to gigabytes is an attack and no image.
	const unsigned long long packed = set->calcElementLength(set->getOriginalXfer(), EET_ExplicitLength);
	if (layout.pixels() > (1ULL << 26) + 1000 * packed)
		return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(), DAMAGED,
				"%llu pixels are promised and the file holds %llu bytes", layout.pixels(), packed);
	const OFCondition done = set->chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
	if (iso_found(done)) return ISO_OK;
	return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(),
			"decompress it first (gdcmconv --raw), or copy it again if it should be readable",
			"the pixels (%s) cannot be decompressed: %s", syntax.getXferName(), done.text());
}

// Stored bits of one pixel as a number. Above the stored bits old scanners keep overlays.
int32_t value_of(uint32_t bits, const Layout &l)
{
	const uint64_t sign = 1ULL << (l.stored - 1), kept = bits & (2 * sign - 1);
	return static_cast<int32_t>(l.is_signed && (kept & sign)
					? static_cast<int64_t>(kept) - static_cast<int64_t>(2 * sign)
					: static_cast<int64_t>(kept));
}

iso_status too_short(const iso_dicom *file, const Layout &l, unsigned long long there, iso_error *err)
{
	char frames[32] = "";
	if (l.frames != 1) std::snprintf(frames, sizeof frames, "%d x ", static_cast<int>(l.frames));
	return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(), DAMAGED, "%llu pixels where %s%u x %u are promised",
			there, frames, l.rows, l.columns);
}

iso_status unpack(iso_dicom *file, const Layout &l, iso_dicom_pixels *out, iso_error *err)
{
	DcmItem *set = file->file.getDataset();
	const size_t wanted = static_cast<size_t>(l.pixels());
	const Uint8 *bytes = nullptr;
	const Uint16 *words = nullptr;
	unsigned long count = 0;
	DcmElement *element = nullptr;
	OFCondition done = set->findAndGetElement(DCM_PixelData, element);
	if (!iso_found(done) || !element) return too_short(file, l, 0, err);
	// DCMTK delivers OW as words in the machine's order, whatever the file's; OB as bytes.
	if (element->getVR() == EVR_OB || element->ident() == EVR_OB) {
		done = set->findAndGetUint8Array(DCM_PixelData, bytes, &count);
	} else {
		done = set->findAndGetUint16Array(DCM_PixelData, words, &count);
		bytes = reinterpret_cast<const Uint8 *>(words);
		count *= 2;
	}
	if (!iso_found(done) || !bytes) {
		bytes = nullptr;
		count = 0;
	}
	const unsigned long long there = 8ULL * count / l.allocated;
	if (there < wanted) return too_short(file, l, there, err);
	out->value = static_cast<int32_t *>(std::malloc(wanted * sizeof *out->value));
	if (!out->value) return iso_fail_memory(err, "the pixels", wanted * sizeof *out->value);
	for (size_t n = 0; n < wanted; n++) {
		uint32_t bits;
		if (l.allocated == 1)
			bits = bytes[n / 8] >> (n % 8) & 1U;
		else if (l.allocated == 8)
			bits = bytes[n];
		else if (l.allocated == 16)
			bits = bytes[2 * n] | static_cast<uint32_t>(bytes[2 * n + 1]) << 8;
		else
			bits = bytes[4 * n] | static_cast<uint32_t>(bytes[4 * n + 1]) << 8 |
			       static_cast<uint32_t>(bytes[4 * n + 2]) << 16 |
			       static_cast<uint32_t>(bytes[4 * n + 3]) << 24;
		if (l.allocated == 32 && !l.is_signed && bits >> 31) {
			std::free(out->value);
			out->value = nullptr;
			return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(), "export it with 16 bits per pixel",
					"pixel %zu is larger than 2147483647", n);
		}
		out->value[n] = value_of(bits, l);
	}
	return ISO_OK;
}

} // namespace

OFCondition iso_load(DcmFileFormat &file, const char *path, Uint32 longest, E_FileReadMode mode, const DcmTagKey &until)
{
	const OFCondition done = file.loadFileUntilTag(path, EXS_Unknown, EGL_noChange, longest, mode, until);
	// Without memory for the header's first value DCMTK says that there is no header.
	if (done == EC_MemoryExhausted || (done == EC_FileMetaInfoHeaderMissing && begins_as_dicom(path, true)))
		throw std::bad_alloc();
	return done;
}

iso_status iso_dicom_open(const char *path, iso_dicom **out, iso_error *err)
{
	*out = nullptr;
	return iso_guard(err, [&]() -> iso_status {
		iso_quiet();
		if (!begins_as_dicom(path, false)) return ISO_OK;
		if (is_deflated(path))
			return iso_fail(err, ISO_BAD_INPUT, path, "inflate it first: dcmconv +te IN OUT",
					"the whole DICOM file is deflated (transfer syntax 1.2.840.10008.1.2.1.99)");
		auto made = std::make_unique<iso_dicom>();
		made->path = path;
		const OFCondition done = iso_load(made->file, path, LONG_VALUE, ERM_fileOnly);
		OFString sop_class;
		if (done.bad() ||
		    !iso_found(made->file.getMetaInfo()->findAndGetOFString(DCM_MediaStorageSOPClassUID, sop_class)))
			return iso_fail(err, ISO_BAD_INPUT, path, DAMAGED, "a damaged or truncated DICOM file: %s",
					done.bad() ? done.text() : "it does not say what it is");
		made->sop_class = sop_class.c_str();
		*out = made.release();
		return ISO_OK;
	});
}

void iso_dicom_close(iso_dicom *file)
{
	delete file;
}

iso_status iso_dicom_check(iso_status status, const char *path, iso_error *err)
{
	const bool unfounded = ran_out && (status == ISO_OK || status == ISO_BAD_INPUT);
	ran_out = false;
	return unfounded ? iso_fail_memory(err, path, 0) : status;
}

const char *iso_dicom_class(const iso_dicom *file)
{
	return file->sop_class.c_str();
}

const iso_dicom_item *iso_dicom_root(const iso_dicom *file)
{
	return handle_of(const_cast<iso_dicom *>(file)->file.getDataset());
}

size_t iso_dicom_items(const iso_dicom_item *item, uint32_t sequence)
{
	return guarded<size_t>(0, [&]() -> size_t {
		DcmSequenceOfItems *found = nullptr;
		if (!item || !iso_found(item_of(item)->findAndGetSequence(key_of(sequence), found)) || !found) return 0;
		return found->card();
	});
}

const iso_dicom_item *iso_dicom_at(const iso_dicom_item *item, uint32_t sequence, size_t n)
{
	return guarded<const iso_dicom_item *>(nullptr, [&]() -> const iso_dicom_item * {
		DcmSequenceOfItems *found = nullptr;
		if (!item || !iso_found(item_of(item)->findAndGetSequence(key_of(sequence), found)) || !found ||
		    n >= found->card())
			return nullptr;
		return handle_of(found->getItem(static_cast<unsigned long>(n)));
	});
}

bool iso_dicom_text(const iso_dicom_item *item, uint32_t tag, char *to, size_t size)
{
	to[0] = '\0';
	return guarded(false, [&] {
		OFString text;
		return item && iso_found(item_of(item)->findAndGetOFStringArray(key_of(tag), text)) &&
		       copy_text(text, to, size);
	});
}

double iso_dicom_number(const iso_dicom_item *item, uint32_t tag, size_t n)
{
	return guarded(static_cast<double>(NAN), [&] {
		DcmElement *element = nullptr;
		Float64 value = 0;
		if (!item || !iso_found(item_of(item)->findAndGetElement(key_of(tag), element)) || !element ||
		    !iso_found(element->getFloat64(value, static_cast<unsigned long>(n)))) {
			// DCMTK has no floating-point view of IS and of the integers.
			Sint32 whole = 0;
			Uint32 positive = 0;
			Uint16 small = 0;
			Sint16 signed_small = 0;
			if (!element) return static_cast<double>(NAN);
			if (iso_found(element->getUint16(small, static_cast<unsigned long>(n))))
				value = small;
			else if (iso_found(element->getSint16(signed_small, static_cast<unsigned long>(n))))
				value = signed_small;
			else if (iso_found(element->getUint32(positive, static_cast<unsigned long>(n))))
				value = positive;
			else if (iso_found(element->getSint32(whole, static_cast<unsigned long>(n))))
				value = whole;
			else
				return static_cast<double>(NAN);
		}
		return std::isfinite(value) ? value : static_cast<double>(NAN);
	});
}

bool iso_dicom_numbers(const iso_dicom_item *item, uint32_t tag, double *to, size_t count)
{
	bool good = true;
	for (size_t n = 0; n < count; n++) {
		to[n] = good ? iso_dicom_number(item, tag, n) : static_cast<double>(NAN);
		good = good && !std::isnan(to[n]);
	}
	return good;
}

iso_status iso_dicom_decimals(const iso_dicom_item *item, uint32_t tag, const char *file, double **value, size_t *count,
			      iso_error *err)
{
	*value = nullptr;
	*count = 0;
	return iso_guard(err, [&]() -> iso_status {
		OFString text;
		if (!item || !iso_found(item_of(item)->findAndGetOFStringArray(key_of(tag), text)) || text.empty())
			return ISO_OK;
		// One pass: DCMTK looks for each single value from the start.
		std::vector<double> numbers;
		for (const char *at = text.c_str(); *at;) {
			char *end;
			const double number = iso_strtod(at, &end);
			if (end == at || !std::isfinite(number) || (*end && *end != '\\' && *end != ' '))
				return iso_fail(err, ISO_BAD_INPUT, file, DAMAGED,
						"(%04x,%04x): value %zu is no number", static_cast<unsigned>(tag >> 16),
						static_cast<unsigned>(tag & 0xffff), numbers.size() + 1);
			numbers.push_back(number);
			at = end;
			while (*at == ' ') at++;
			if (*at == '\\') at++;
		}
		*value = static_cast<double *>(std::malloc((numbers.size() + 1) * sizeof **value));
		if (!*value) return iso_fail_memory(err, "a list of numbers", numbers.size() * sizeof **value);
		std::copy(numbers.begin(), numbers.end(), *value);
		*count = numbers.size();
		return ISO_OK;
	});
}

size_t iso_dicom_count(const iso_dicom_item *item, uint32_t tag)
{
	return guarded<size_t>(0, [&]() -> size_t {
		DcmElement *element = nullptr;
		if (!item || !iso_found(item_of(item)->findAndGetElement(key_of(tag), element)) || !element) return 0;
		return element->getVM();
	});
}

namespace
{

// The tag in the block that the creator reserved: gggg,00bb names it for gggg,bb00 to gggg,bbff. 0: there is none.
uint32_t private_tag(const iso_dicom_item *item, uint32_t tag, const char *creator)
{
	char name[65];
	const uint32_t group = tag & 0xffff0000;
	for (uint32_t block = 0x10; block <= 0xff; block++)
		if (iso_dicom_text(item, group | block, name, sizeof name) && std::strcmp(name, creator) == 0)
			return group | block << 8 | (tag & 0xff);
	return 0;
}

} // namespace

bool iso_dicom_private_text(const iso_dicom_item *item, uint32_t tag, const char *creator, char *text, size_t size)
{
	const uint32_t there = private_tag(item, tag, creator);
	text[0] = '\0';
	return there && iso_dicom_text(item, there, text, size);
}

double iso_dicom_private_number(const iso_dicom_item *item, uint32_t tag, const char *creator)
{
	char text[65], *end;
	const uint32_t there = private_tag(item, tag, creator);
	if (!there) return static_cast<double>(NAN);
	// In implicit VR without the maker's dictionary it is of unknown type: then its bytes are the text that it was.
	const double number = iso_dicom_number(item, there, 0);
	if (!std::isnan(number)) return number;
	return guarded(static_cast<double>(NAN), [&] {
		const Uint8 *bytes = nullptr;
		unsigned long count = 0;
		if (!iso_found(item_of(item)->findAndGetUint8Array(key_of(there), bytes, &count)) || !bytes ||
		    count < 1 || count >= sizeof text)
			return static_cast<double>(NAN);
		std::memcpy(text, bytes, count);
		text[count] = '\0';
		const double value = iso_strtod(text, &end);
		while (*end == ' ') end++;
		return end != text && !*end && std::isfinite(value) ? value : static_cast<double>(NAN);
	});
}

iso_status iso_dicom_read_pixels(iso_dicom *file, iso_dicom_pixels *out, iso_error *err)
{
	std::memset(out, 0, sizeof *out);
	const iso_status status = iso_guard(err, [&]() -> iso_status {
		register_decoders();
		Layout layout;
		DcmDataset *set = file->file.getDataset();
		const char *problem = describe(set, layout);
		if (problem)
			return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(),
					"export it again as plain images of whole numbers",
					"the pixels cannot be read: %s", problem);
		// What was left on the disk is read now; a file that ends before it is told here.
		const OFCondition done = file->file.loadAllDataIntoMemory();
		if (!iso_found(done))
			return iso_fail(err, ISO_BAD_INPUT, file->path.c_str(), DAMAGED,
					"a damaged or truncated DICOM file: %s", done.text());
		const iso_status unpacked = decompress(file, layout, err);
		if (unpacked != ISO_OK) return unpacked;
		out->frames = static_cast<size_t>(layout.frames);
		out->rows = layout.rows;
		out->columns = layout.columns;
		return unpack(file, layout, out, err);
	});
	if (status != ISO_OK) {
		std::free(out->value);
		out->value = nullptr;
	}
	return status;
}
