/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A DICOM file being built: the C side of the shim over DCMTK. Tags are 0xggggeeee. The first thing that DCMTK refuses
 * is remembered and reported by iso_dcm_save; until then every call may follow every other. */
#ifndef ISOTRACE_IO_DICOM_FILE_H
#define ISOTRACE_IO_DICOM_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/dicom.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_dcm iso_dcm;

/* An empty dataset. ISO_IO when DCMTK does not find its dictionary. */
iso_status iso_dcm_create(iso_dcm **out, iso_error *err);
void iso_dcm_free(iso_dcm *dcm);

/* Each puts one element into the dataset or the item that is open, replacing what was there. Text goes by the VR that
 * the dictionary has for the tag; "" makes an empty element. */
void iso_dcm_text(iso_dcm *dcm, uint32_t tag, const char *text);
void iso_dcm_us(iso_dcm *dcm, uint32_t tag, uint16_t value);
void iso_dcm_ss(iso_dcm *dcm, uint32_t tag, int16_t value);
void iso_dcm_fd(iso_dcm *dcm, uint32_t tag, double value);
void iso_dcm_pixels(iso_dcm *dcm, const int16_t *pixels, size_t count);
/* FloatPixelData. */
void iso_dcm_float_pixels(iso_dcm *dcm, const float *pixels, size_t count);
/* With VR OB; DICOM wants an even number, and one of 0 is added where it must. */
void iso_dcm_bytes(iso_dcm *dcm, uint32_t tag, const uint8_t *bytes, size_t count);

/* A sequence with one item, which stays open until iso_dcm_end; or with none. */
void iso_dcm_begin(iso_dcm *dcm, uint32_t tag);
/* One more item of that sequence, which stays open likewise. */
void iso_dcm_begin_next(iso_dcm *dcm, uint32_t tag);
void iso_dcm_end(iso_dcm *dcm);
void iso_dcm_empty_sequence(iso_dcm *dcm, uint32_t tag);

/* What is saved from now on is de-identified on its way out. The key is not copied. */
void iso_dcm_deidentify(iso_dcm *dcm, const iso_dicom_key *key);

/* Writes it as Explicit VR Little Endian. Can be called again after changes. Errors name `shown`. */
iso_status iso_dcm_save(iso_dcm *dcm, const char *path, const char *shown, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
