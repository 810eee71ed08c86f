/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/nifti_file.h"

#include <errno.h>
#include <math.h>
#include <nifti2_io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"

#define CHUNK_VOXELS ((size_t)1 << 16)
/* deflate cannot do better than 1032:1, so a header that promises more than that lies. */
#define MOST_COMPRESSION 1040
/* Bytes after the last voxel that are taken for padding and not for another image. */
#define MOST_PADDING 65536

static iso_status bad(const iso_nifti *nifti, iso_error *err, const char *what)
{
	return iso_fail(err, ISO_BAD_INPUT, nifti->path, "export the image again as NIfTI", "%s", what);
}

static size_t bytes_of(int datatype)
{
	switch (datatype) {
	case DT_UINT8:
	case DT_INT8: return 1;
	case DT_INT16:
	case DT_UINT16: return 2;
	case DT_INT32:
	case DT_UINT32:
	case DT_FLOAT32: return 4;
	case DT_INT64:
	case DT_UINT64:
	case DT_FLOAT64: return 8;
	default: return 0;
	}
}

/* Columns of the affine, in RAS+ mm, to a grid in LPS+ mm: the world's x and y change sign, the voxels stay. */
static iso_status grid_from_affine(iso_nifti *nifti, double affine[3][4], double scale_mm, iso_error *err)
{
	iso_grid *grid = &nifti->grid;
	for (int r = 0; r < 3; r++)
		for (int c = 0; c < 4; c++) {
			if (!isfinite(affine[r][c]) || fabs(affine[r][c]) > 1e9)
				return bad(nifti, err, "the affine holds numbers that are no positions");
			affine[r][c] *= r < 2 ? -scale_mm : scale_mm;
		}
	for (int a = 0; a < 3; a++) {
		double square = 0;
		for (int k = 0; k < 3; k++) square += affine[k][a] * affine[k][a];
		grid->voxel_mm[a] = sqrt(square);
		grid->origin_mm[a] = affine[a][3];
		if (!(grid->voxel_mm[a] > 1e-9)) return bad(nifti, err, "the affine gives voxels without size");
		for (int k = 0; k < 3; k++) grid->direction[a][k] = affine[k][a] / grid->voxel_mm[a];
	}
	/* float32 affines miss exact axes by their rounding: an identity within it is an identity. */
	for (int a = 0; a < 3; a++)
		for (int k = 0; k < 3; k++)
			if (fabs(grid->direction[a][k] - rint(grid->direction[a][k])) < 1e-7)
				grid->direction[a][k] = rint(grid->direction[a][k]) + 0.0;
	return iso_grid_check(grid, nifti->path, err);
}

static iso_status affine_of(iso_nifti *nifti, const nifti_2_header *h, iso_error *err)
{
	double affine[3][4], scale_mm;
	switch (XYZT_TO_SPACE(h->xyzt_units)) {
	case NIFTI_UNITS_UNKNOWN: /* many writers leave it out; the standard's own examples are in mm */
	case NIFTI_UNITS_MM: scale_mm = 1; break;
	case NIFTI_UNITS_METER: scale_mm = 1000; break;
	case NIFTI_UNITS_MICRON: scale_mm = 0.001; break;
	default: return bad(nifti, err, "the unit of length is none that NIfTI has");
	}
	if (h->sform_code > 0) {
		for (int c = 0; c < 4; c++) {
			affine[0][c] = h->srow_x[c];
			affine[1][c] = h->srow_y[c];
			affine[2][c] = h->srow_z[c];
		}
	} else if (h->qform_code > 0) {
		const double norm =
		    h->quatern_b * h->quatern_b + h->quatern_c * h->quatern_c + h->quatern_d * h->quatern_d;
		if (!(norm <= 1.001)) return bad(nifti, err, "the qform's quaternion is no rotation");
		for (int a = 1; a <= 3; a++)
			if (!(h->pixdim[a] > 0)) return bad(nifti, err, "the voxel size (pixdim) is not positive");
		const nifti_dmat44 m = nifti_quatern_to_dmat44(h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x,
							       h->qoffset_y, h->qoffset_z, h->pixdim[1], h->pixdim[2],
							       h->pixdim[3], h->pixdim[0] < 0 ? -1 : 1);
		for (int r = 0; r < 3; r++)
			for (int c = 0; c < 4; c++) affine[r][c] = m.m[r][c];
	} else
		return iso_fail(err, ISO_BAD_INPUT, nifti->path,
				"export it again with its position: sform or qform code above 0",
				"the image does not say where it lies");
	return grid_from_affine(nifti, affine, scale_mm, err);
}

/* A NIfTI-1 header in the wider fields of NIfTI-2, so that only one kind is checked. */
static void widen(const nifti_1_header *h, nifti_2_header *wide)
{
	memset(wide, 0, sizeof *wide);
	memcpy(wide->magic, h->magic, 4);
	wide->datatype = h->datatype;
	wide->bitpix = h->bitpix;
	for (int i = 0; i < 8; i++) {
		wide->dim[i] = h->dim[i];
		wide->pixdim[i] = (double)h->pixdim[i];
	}
	wide->vox_offset = h->vox_offset >= 0 && h->vox_offset < 1e9f ? (int64_t)h->vox_offset : -1;
	wide->scl_slope = (double)h->scl_slope;
	wide->scl_inter = (double)h->scl_inter;
	wide->qform_code = h->qform_code;
	wide->sform_code = h->sform_code;
	wide->quatern_b = (double)h->quatern_b;
	wide->quatern_c = (double)h->quatern_c;
	wide->quatern_d = (double)h->quatern_d;
	wide->qoffset_x = (double)h->qoffset_x;
	wide->qoffset_y = (double)h->qoffset_y;
	wide->qoffset_z = (double)h->qoffset_z;
	for (int c = 0; c < 4; c++) {
		wide->srow_x[c] = (double)h->srow_x[c];
		wide->srow_y[c] = (double)h->srow_y[c];
		wide->srow_z[c] = (double)h->srow_z[c];
	}
	wide->xyzt_units = h->xyzt_units;
}

/* Reads whichever header it is into NIfTI-2's fields, in this machine's byte order. *size: bytes read. */
static iso_status read_header(iso_nifti *nifti, nifti_2_header *h, size_t *size, iso_error *err)
{
	union {
		nifti_1_header one;
		nifti_2_header two;
		int32_t size;
	} raw;
	memset(&raw, 0, sizeof raw);
	if (znzread(&raw, 1, sizeof raw.one, nifti->stream) != sizeof raw.one)
		return bad(nifti, err, "the file ends within the NIfTI header, or its compression is damaged");
	int32_t stated = raw.size;
	if (stated != (int32_t)sizeof raw.one && stated != (int32_t)sizeof raw.two) {
		nifti->swapped = true;
		nifti_swap_4bytes(1, &stated);
	}
	if (stated == (int32_t)sizeof raw.one) {
		*size = sizeof raw.one;
		if (memcmp(raw.one.magic, "n+1", 4) != 0)
			return bad(nifti, err, "not a single-file NIfTI-1 (magic is not n+1)");
		if (nifti->swapped) swap_nifti_header(&raw.one, 1);
		widen(&raw.one, h);
		return ISO_OK;
	}
	if (stated != (int32_t)sizeof raw.two) return bad(nifti, err, "not a NIfTI file");
	*size = sizeof raw.two;
	const size_t rest = sizeof raw.two - sizeof raw.one;
	if (znzread((char *)&raw + sizeof raw.one, 1, rest, nifti->stream) != rest)
		return bad(nifti, err, "the file ends within the NIfTI header");
	if (memcmp(raw.two.magic, "n+2\0\r\n\032\n", 8) != 0)
		return bad(nifti, err, "not a single-file NIfTI-2 (magic is not n+2)");
	if (nifti->swapped) swap_nifti_header(&raw.two, 2);
	*h = raw.two;
	return ISO_OK;
}

/* Shape, type and scale; file_bytes bounds what the header may promise. */
static iso_status check_header(iso_nifti *nifti, const nifti_2_header *h, size_t header_bytes, double file_bytes,
			       iso_error *err)
{
	if (h->dim[0] < 3 || h->dim[0] > 7)
		return iso_fail(err, ISO_BAD_INPUT, nifti->path, "give a 3-D or 4-D image",
				"the image says that it has %lld dimensions", (long long)h->dim[0]);
	double voxels = 1;
	nifti->volumes = 1;
	for (int d = 1; d <= 7; d++) {
		const int64_t extent = d <= h->dim[0] ? h->dim[d] : 1;
		if (extent < 1 || extent > (d <= 3 ? 65535 : 10000000) || voxels * (double)extent > 1e15)
			return iso_fail(err, ISO_BAD_INPUT, nifti->path, "export the image again as NIfTI",
					"%lld voxels along dimension %d are impossible", (long long)extent, d);
		voxels *= (double)extent;
		if (d <= 3)
			nifti->grid.size[d - 1] = (size_t)extent;
		else
			nifti->volumes *= (size_t)extent;
	}
	nifti->datatype = h->datatype;
	nifti->voxel_bytes = bytes_of(h->datatype);
	if (!nifti->voxel_bytes)
		return iso_fail(err, ISO_BAD_INPUT, nifti->path, "export it as int16 or float32",
				"voxels of NIfTI type %d are no plain numbers", (int)h->datatype);
	if (h->bitpix != (int)(8 * nifti->voxel_bytes)) return bad(nifti, err, "bitpix contradicts the data type");
	if (h->vox_offset < (int64_t)header_bytes || h->vox_offset > 1000000000)
		return bad(nifti, err, "the voxels are said to begin at an impossible place (vox_offset)");
	if (voxels * (double)nifti->voxel_bytes + (double)h->vox_offset > file_bytes)
		return iso_fail(err, ISO_BAD_INPUT, nifti->path, "copy or export it again: it was probably cut short",
				"the header promises %.0f voxels of %zu bytes, which the file cannot hold", voxels,
				nifti->voxel_bytes);
	/* Slope 0 means no scaling by the standard; NaN is what nibabel writes for the same. */
	nifti->slope = 1;
	nifti->intercept = 0;
	if (h->scl_slope != 0 && !isnan(h->scl_slope)) {
		if (!isfinite(h->scl_slope) || !isfinite(h->scl_inter))
			return bad(nifti, err, "scl_slope or scl_inter is no number");
		nifti->slope = h->scl_slope;
		nifti->intercept = h->scl_inter;
	}
	return ISO_OK;
}

/* Header extensions lie between header and voxels; they are read over, because a gzip stream only goes forwards. */
static iso_status skip(iso_nifti *nifti, size_t bytes, iso_error *err)
{
	char buffer[4096];
	while (bytes) {
		const size_t part = bytes < sizeof buffer ? bytes : sizeof buffer;
		if (znzread(buffer, 1, part, nifti->stream) != part)
			return bad(nifti, err, "the file ends before the first voxel");
		bytes -= part;
	}
	return ISO_OK;
}

iso_status iso_nifti_open(const char *path, iso_nifti *nifti, iso_error *err)
{
	memset(nifti, 0, sizeof *nifti);
	snprintf(nifti->path, sizeof nifti->path, "%s", path);
	struct stat info;
	if (stat(path, &info) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	if (!S_ISREG(info.st_mode)) return iso_fail(err, ISO_BAD_INPUT, path, "name a file", "this is no plain file");
	FILE *probe = fopen(path, "rb");
	if (!probe) {
		const iso_status kind = errno == EACCES ? ISO_BAD_INPUT : ISO_IO;
		return iso_fail(err, kind, path, "check the name and that it may be read", "cannot open: %s",
				strerror(errno));
	}
	const bool compressed = getc(probe) == 0x1f && getc(probe) == 0x8b;
	fclose(probe);
	nifti->stream = znzopen(path, "rb", compressed);
	if (znz_isnull(nifti->stream)) return iso_fail_errno(err, path, "cannot open");
	nifti_2_header header;
	size_t header_bytes = 0;
	iso_status status = read_header(nifti, &header, &header_bytes, err);
	if (status == ISO_OK)
		status = check_header(nifti, &header, header_bytes,
				      (double)info.st_size * (compressed ? MOST_COMPRESSION : 1), err);
	if (status == ISO_OK) status = affine_of(nifti, &header, err);
	if (status == ISO_OK) status = skip(nifti, (size_t)header.vox_offset - header_bytes, err);
	if (status != ISO_OK) iso_nifti_close(nifti);
	return status;
}

void iso_nifti_close(iso_nifti *nifti)
{
	if (!znz_isnull(nifti->stream)) (void)znzclose(nifti->stream);
}

/* bytes: aligned for the type (it comes from malloc). */
static double voxel_at(const void *bytes, int datatype, size_t i)
{
	switch (datatype) {
	case DT_UINT8: return ((const uint8_t *)bytes)[i];
	case DT_INT8: return ((const int8_t *)bytes)[i];
	case DT_INT16: return ((const int16_t *)bytes)[i];
	case DT_UINT16: return ((const uint16_t *)bytes)[i];
	case DT_INT32: return ((const int32_t *)bytes)[i];
	case DT_UINT32: return ((const uint32_t *)bytes)[i];
	case DT_INT64: return (double)((const int64_t *)bytes)[i];
	case DT_UINT64: return (double)((const uint64_t *)bytes)[i];
	case DT_FLOAT64: return ((const double *)bytes)[i];
	default: return (double)((const float *)bytes)[i];
	}
}

iso_status iso_nifti_read(iso_nifti *nifti, float *values, size_t voxels, iso_error *err)
{
	void *chunk = malloc(CHUNK_VOXELS * nifti->voxel_bytes);
	if (!chunk) return iso_fail_memory(err, "reading an image", CHUNK_VOXELS * nifti->voxel_bytes);
	iso_status status = ISO_OK;
	for (size_t done = 0; done < voxels && status == ISO_OK;) {
		const size_t part = voxels - done < CHUNK_VOXELS ? voxels - done : CHUNK_VOXELS;
		if (znzread(chunk, 1, part * nifti->voxel_bytes, nifti->stream) != part * nifti->voxel_bytes) {
			status = iso_fail(err, ISO_BAD_INPUT, nifti->path, "copy or export it again",
					  "the file ends, or its compression is damaged, after less than %zu voxels",
					  done + part);
			break;
		}
		if (nifti->swapped && nifti->voxel_bytes > 1)
			nifti_swap_Nbytes((int64_t)part, (int)nifti->voxel_bytes, chunk);
		for (size_t i = 0; i < part; i++) {
			const double value = voxel_at(chunk, nifti->datatype, i) * nifti->slope + nifti->intercept;
			values[done + i] = (float)value;
			if (!isfinite(values[done + i])) {
				status = iso_fail(err, ISO_BAD_INPUT, nifti->path,
						  "replace NaN and infinity in the image by numbers", "voxel %zu is %g",
						  done + i, value);
				break;
			}
		}
		done += part;
	}
	free(chunk);
	return status;
}

iso_status iso_nifti_finish(iso_nifti *nifti, iso_error *err)
{
	char rest[4096];
	size_t padding = 0, got;
	/* Reading on to the end is what makes zlib compare the checksum. */
	while ((got = znzread(rest, 1, sizeof rest, nifti->stream)) > 0 && got <= sizeof rest)
		if ((padding += got) > MOST_PADDING) return bad(nifti, err, "more voxels than the header says");
	const bool damaged = got > sizeof rest || znzclose(nifti->stream) != 0;
	if (damaged)
		return iso_fail(err, ISO_BAD_INPUT, nifti->path, "copy or export it again",
				"the compressed data are cut short or damaged");
	return ISO_OK;
}

/* Header of what is to be written; sform and qform both say the same, in RAS+ mm. */
static nifti_1_header header_of(const iso_nifti_content *content, int datatype)
{
	const iso_grid *grid = content->grid;
	nifti_1_header h;
	memset(&h, 0, sizeof h);
	h.sizeof_hdr = (int)sizeof h;
	h.regular = 'r';
	const bool four = content->four_dimensional || content->volumes > 1;
	h.dim[0] = four ? 4 : 3;
	for (int d = 1; d < 8; d++) h.dim[d] = 1;
	h.dim[4] = (short)content->volumes;
	nifti_dmat44 m;
	memset(&m, 0, sizeof m);
	m.m[3][3] = 1;
	for (int r = 0; r < 3; r++) {
		const double sign = r < 2 ? -1 : 1;
		for (int a = 0; a < 3; a++) m.m[r][a] = sign * grid->direction[a][r] * grid->voxel_mm[a] + 0.0;
		m.m[r][3] = sign * grid->origin_mm[r] + 0.0;
		h.dim[r + 1] = (short)grid->size[r];
	}
	double b, c, d, x, y, z, dx, dy, dz, handed;
	nifti_dmat44_to_quatern(m, &b, &c, &d, &x, &y, &z, &dx, &dy, &dz, &handed);
	h.quatern_b = (float)b, h.quatern_c = (float)c, h.quatern_d = (float)d;
	h.qoffset_x = (float)x, h.qoffset_y = (float)y, h.qoffset_z = (float)z;
	h.pixdim[0] = (float)handed;
	for (int a = 0; a < 3; a++) h.pixdim[a + 1] = (float)grid->voxel_mm[a];
	h.pixdim[4] = (float)content->time_step_s;
	for (int k = 0; k < 4; k++) {
		h.srow_x[k] = (float)m.m[0][k];
		h.srow_y[k] = (float)m.m[1][k];
		h.srow_z[k] = (float)m.m[2][k];
	}
	h.qform_code = h.sform_code = NIFTI_XFORM_SCANNER_ANAT;
	h.xyzt_units = (char)SPACE_TIME_TO_XYZT(NIFTI_UNITS_MM, NIFTI_UNITS_SEC);
	h.datatype = (short)datatype;
	h.bitpix = (short)(8 * bytes_of(datatype));
	h.vox_offset = 352;
	h.scl_slope = 1;
	snprintf(h.descrip, sizeof h.descrip, "%s", content->description ? content->description : "");
	memcpy(h.magic, "n+1", 4);
	return h;
}

/* One run of voxels in the file's type; nothing is lost because label types were chosen to fit. */
static void convert(const float *values, size_t count, int datatype, void *bytes)
{
	for (size_t i = 0; i < count; i++)
		if (datatype == DT_INT16)
			((int16_t *)bytes)[i] = (int16_t)values[i];
		else if (datatype == DT_INT32)
			((int32_t *)bytes)[i] = (int32_t)values[i];
		else
			((float *)bytes)[i] = values[i];
}

static iso_status choose_type(const iso_nifti_content *content, const char *shown, int *datatype, iso_error *err)
{
	const size_t voxels = iso_grid_voxels(content->grid) * content->volumes;
	*datatype = content->labels ? DT_INT16 : DT_FLOAT32;
	for (size_t i = 0; i < voxels; i++) {
		const double value = (double)content->values[i];
		if (!isfinite(value))
			return iso_fail(err, ISO_BAD_INPUT, shown, "find where the calculation failed",
					"voxel %zu is %g and not a number to be written", i, value);
		if (!content->labels) continue;
		if (value != rint(value) || fabs(value) > 16777216)
			return iso_fail(err, ISO_BAD_INPUT, shown, "labels are whole numbers up to 16777216",
					"voxel %zu has the label %g", i, value);
		if (value < -32768 || value > 32767) *datatype = DT_INT32;
	}
	return ISO_OK;
}

iso_status iso_nifti_write(const char *path, const char *shown, const iso_nifti_content *content, iso_error *err)
{
	iso_status status = iso_grid_check(content->grid, shown, err);
	if (status != ISO_OK) return status;
	for (int a = 0; a < 3; a++)
		if (content->grid->size[a] > 32767 || content->volumes > 32767)
			return iso_fail(err, ISO_BAD_INPUT, shown, "write fewer voxels or frames",
					"NIfTI-1 holds at most 32767 along one dimension");
	int datatype;
	if ((status = choose_type(content, shown, &datatype, err)) != ISO_OK) return status;
	const size_t bytes = bytes_of(datatype);
	void *chunk = malloc(CHUNK_VOXELS * bytes);
	if (!chunk) return iso_fail_memory(err, "writing an image", CHUNK_VOXELS * bytes);
	const size_t length = strlen(path);
	const bool compress = length > 3 && strcmp(path + length - 3, ".gz") == 0;
	/* Level 3: noise does not compress better at 6, only twice as slowly. */
	errno = 0;
	znzFile stream = znzopen(path, compress ? "wb3" : "wb", compress);
	if (znz_isnull(stream)) {
		free(chunk);
		return iso_fail_errno(err, shown, "cannot create");
	}
	const nifti_1_header header = header_of(content, datatype);
	const char no_extension[4] = {0, 0, 0, 0};
	bool good = znzwrite(&header, 1, sizeof header, stream) == sizeof header &&
		    znzwrite(no_extension, 1, sizeof no_extension, stream) == sizeof no_extension;
	const size_t voxels = iso_grid_voxels(content->grid) * content->volumes;
	for (size_t done = 0; done < voxels && good;) {
		const size_t part = voxels - done < CHUNK_VOXELS ? voxels - done : CHUNK_VOXELS;
		convert(content->values + done, part, datatype, chunk);
		good = znzwrite(chunk, 1, part * bytes, stream) == part * bytes;
		done += part;
	}
	int saved = errno;
	if (znzclose(stream) != 0) {
		if (good) saved = errno;
		good = false;
	}
	free(chunk);
	errno = saved ? saved : EIO;
	return good ? ISO_OK : iso_fail_errno(err, shown, "cannot write");
}

iso_status iso_nifti_check_name(const char *path, size_t *stem_length, iso_error *err)
{
	static const char *const endings[] = {".nii.gz", ".nii"};
	const size_t length = strlen(path);
	for (size_t e = 0; e < 2; e++) {
		const size_t tail = strlen(endings[e]);
		if (length <= tail || strcmp(path + length - tail, endings[e]) != 0) continue;
		if (stem_length) *stem_length = length - tail;
		return ISO_OK;
	}
	return iso_fail(err, ISO_BAD_USAGE, path, "give a name that ends in .nii.gz", "not a name of a NIfTI file");
}
