/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A DICOM file being read: the C side of the shim over DCMTK. Tags are 0xggggeeee. Nothing here knows what an object
 * means. */
#ifndef ISOTRACE_IO_DICOM_READ_H
#define ISOTRACE_IO_DICOM_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct iso_dicom iso_dicom;
typedef struct iso_dicom_item iso_dicom_item; /* the data set, or an item of a sequence; lives as long as its file */

/* Reads the file but for its long values, which follow when they are asked for. *out NULL with ISO_OK: it has not the first
 * 132 bytes of a DICOM file. A DICOM file that cannot be read: ISO_BAD_INPUT. */
iso_status iso_dicom_open(const char *path, iso_dicom **out, iso_error *err);
void iso_dicom_close(iso_dicom *file);
/* The look-ups below say of what they had no memory for that it is not there, and a reader then complains of the file. Every reader passes what it
 * came to through this before it returns, whatever it is: ISO_OK and ISO_BAD_INPUT become ISO_NO_MEMORY when a look-up of this thread
 * ran out of memory since the last time. */
iso_status iso_dicom_check(iso_status status, const char *path, iso_error *err);

/* Its SOP class as the file's meta header states it, "1.2.840..."; never NULL. */
const char *iso_dicom_class(const iso_dicom *file);
const iso_dicom_item *iso_dicom_root(const iso_dicom *file);

/* Number of items of a sequence; 0 when there is none. */
size_t iso_dicom_items(const iso_dicom_item *item, uint32_t sequence);
/* One of them, from 0; NULL when there is none, or item is NULL. */
const iso_dicom_item *iso_dicom_at(const iso_dicom_item *item, uint32_t sequence, size_t n);

/* The whole text, values separated by backslashes, control characters replaced by '?', cut where `to` ends. False and "" when it
 * is not there or empty. item may be NULL; so below. */
bool iso_dicom_text(const iso_dicom_item *item, uint32_t tag, char *to, size_t size);
/* Number `n` of a value's numbers, from 0: NAN when it is not there or not finite. */
double iso_dicom_number(const iso_dicom_item *item, uint32_t tag, size_t n);
/* The first `count` numbers; false when one is not there: it and those after it are NAN. */
bool iso_dicom_numbers(const iso_dicom_item *item, uint32_t tag, double *to, size_t count);
/* All numbers of a decimal string (DS), however many: to be freed. ISO_BAD_INPUT, naming file, when one is none. */
iso_status iso_dicom_decimals(const iso_dicom_item *item, uint32_t tag, const char *file, double **value, size_t *count,
			      iso_error *err);
/* How many values the element has; 0 when it is not there. */
size_t iso_dicom_count(const iso_dicom_item *item, uint32_t tag);
/* A private element gggg,00ee by its creator, in whatever block it was put; a text as its name in *text or a number. */
bool iso_dicom_private_text(const iso_dicom_item *item, uint32_t tag, const char *creator, char *text, size_t size);
double iso_dicom_private_number(const iso_dicom_item *item, uint32_t tag, const char *creator);

/* Pixels of one sample of 1, 8, 16 or 32 bits, decompressed when need be: value[frame][row][column], to be freed. */
typedef struct iso_dicom_pixels {
	size_t frames, rows, columns;
	int32_t *value;
} iso_dicom_pixels;
/* ISO_BAD_INPUT: fewer pixels than promised, contradictory bits, a compression that DCMTK does not decode, colours. */
iso_status iso_dicom_read_pixels(iso_dicom *file, iso_dicom_pixels *out, iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
