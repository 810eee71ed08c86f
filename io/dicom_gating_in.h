/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What DICOM files say of a cycle and its gates, the inverse of io/dicom_gating.h. */
#ifndef ISOTRACE_IO_DICOM_GATING_IN_H
#define ISOTRACE_IO_DICOM_GATING_IN_H

#include "io/dicom/dicom_read.h"
#include "isotrace/dicom_in.h"
#include "isotrace/gating.h"

/* Is the PET image of a gated series; is the NM image RECON GATED TOMO? */
bool iso_gating_in_pet(const iso_dicom_item *root);
bool iso_gating_in_nm(const iso_dicom_item *root);

/* Kind of the trigger, framing, lengths and numbers of cycles, and as many gates as the file has time slots, their times still
 * NAN; out->gate is owned by the caller. `gated` and `data` are the items of NM's Gated and Data Information Sequence; in PET
 * they are the root. ISO_BAD_INPUT, naming the tag: several R-R intervals, fewer than two time slots, gates counted backwards from
 * the trigger, negative numbers, contradictory limits. */
iso_status iso_gating_find_cycle(const iso_dicom_item *root, const iso_dicom_item *gated, const iso_dicom_item *data,
				 const char *path, iso_dicom_in_facts *facts, iso_gating *out, iso_error *err);

/* NM: the cycle, and the times of its gates. */
iso_status iso_gating_find_nm(const iso_dicom_item *root, const char *path, iso_dicom_in_facts *facts, iso_gating *out,
			      iso_error *err);

/* Gates that have all their times, follow each other, lie within the cycle, and cycles that fit into the scan (0: its duration is
 * not known); else ISO_BAD_INPUT. */
iso_status iso_gating_check_stated(const iso_gating *gating, double scan_s, const char *path, iso_error *err);

/* The PET image says of the cycle what another one of its series does; else ISO_BAD_INPUT. */
iso_status iso_gating_check_same(const iso_dicom_item *image, const char *path, const iso_dicom_item *other,
				 const char *other_path, iso_error *err);

#endif
