/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_gating.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_modules.h"

/* Makers write times in whole ms: two roundings and a bit. */
#define ROUNDING_S 0.0015

iso_status iso_gating_check_equal(const iso_gating *gating, const char *file, iso_error *err)
{
	const iso_gate *gate = gating->gate;
	for (size_t g = 1; g < gating->gates; g++) {
		if (fabs(gate[g].duration_s - gate[0].duration_s) > ROUNDING_S)
			return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct gates of equal length",
					"gates of unequal length: gate %zu lasts %g ms, the first one %g ms", g + 1,
					gate[g].duration_s * 1000, gate[0].duration_s * 1000);
		if (fabs(gate[g].start_s - gate[g - 1].start_s - gate[g - 1].duration_s) > ROUNDING_S)
			return iso_fail(err, ISO_BAD_INPUT, file, "reconstruct gates that follow each other",
					"gate %zu begins %g ms after the trigger, where the one before ends at %g ms",
					g + 1, gate[g].start_s * 1000,
					(gate[g - 1].start_s + gate[g - 1].duration_s) * 1000);
	}
	return ISO_OK;
}

/* A whole number (IS), or nothing when it is not known. */
static void put_whole(iso_dcm *dcm, uint32_t tag, double value)
{
	char text[24];
	if (!isfinite(value) || fabs(value) > 2147483647) return;
	snprintf(text, sizeof text, "%.0f", rint(value));
	iso_dcm_text(dcm, tag, text);
}

static bool has_limits(const iso_gating *gating)
{
	return isfinite(gating->shortest_cycle_s) && isfinite(gating->longest_cycle_s);
}

static void put_framing(iso_dcm *dcm, const iso_gating *gating)
{
	if (gating->framing == ISO_FRAMING_SHARE) iso_dcm_text(dcm, 0x00181064, "PCNT");
	if (gating->framing == ISO_FRAMING_TIME) iso_dcm_text(dcm, 0x00181064, "FORW");
}

/* With "Y" the limits must be there; nothing is said where it is not known. */
static void put_rejection(iso_dcm *dcm, const iso_gating *gating, bool may_be_empty)
{
	const char *flag = has_limits(gating)                                              ? "Y"
			   : gating->rejected_cycles > 0 || isnan(gating->rejected_cycles) ? ""
											   : "N";
	if (flag[0] || may_be_empty) iso_dcm_text(dcm, 0x00181080, flag);
}

static void put_cycles(iso_dcm *dcm, const iso_gating *gating)
{
	put_whole(dcm, 0x00181062, gating->cycle_s * 1000);
	if (has_limits(gating)) {
		put_whole(dcm, 0x00181081, gating->shortest_cycle_s * 1000);
		put_whole(dcm, 0x00181082, gating->longest_cycle_s * 1000);
	}
	put_whole(dcm, 0x00181083, gating->cycles);
	put_whole(dcm, 0x00181084, gating->rejected_cycles);
}

/* A heart's beats per minute; a breath is none. */
static void put_heart_rate(iso_dcm *dcm, const iso_gating *gating)
{
	if (gating->trigger == ISO_TRIGGER_CARDIAC) put_whole(dcm, 0x00181088, 60 / gating->cycle_s);
}

void iso_gating_put_pet_series(iso_dcm *dcm, const iso_gating *gating)
{
	iso_dcm_us(dcm, 0x00540061, 1);
	iso_dcm_us(dcm, 0x00540071, (uint16_t)gating->gates);
	put_rejection(dcm, gating, true);
	if (gating->trigger == ISO_TRIGGER_CARDIAC) iso_dcm_text(dcm, 0x00181061, "EKG");
	if (gating->trigger == ISO_TRIGGER_RESPIRATORY) iso_dcm_text(dcm, 0x00181061, "RESP");
	put_framing(dcm, gating);
	put_heart_rate(dcm, gating);
	put_cycles(dcm, gating);
}

void iso_gating_put_pet_image(iso_dcm *dcm, const iso_gating *gating, size_t gate)
{
	iso_dicom_put_decimal(dcm, 0x00181060, gating->gate[gate].start_s * 1000);
	iso_dicom_put_decimal(dcm, 0x00181063, gating->gate[gate].duration_s * 1000);
}

void iso_gating_put_nm(iso_dcm *dcm, const iso_gating *gating)
{
	put_rejection(dcm, gating, false);
	put_heart_rate(dcm, gating);
	iso_dcm_begin(dcm, 0x00540062);
	iso_dicom_put_decimal(dcm, 0x00181060, gating->gate[0].start_s * 1000);
	put_framing(dcm, gating);
	iso_dcm_begin(dcm, 0x00540063);
	iso_dicom_put_decimal(dcm, 0x00181063, gating->gate[0].duration_s * 1000);
	put_cycles(dcm, gating);
	for (size_t g = 0; g < gating->gates; g++) {
		(g ? iso_dcm_begin_next : iso_dcm_begin)(dcm, 0x00540072);
		if (isfinite(gating->gate[g].collected_s))
			iso_dicom_put_decimal(dcm, 0x00540073, gating->gate[g].collected_s * 1000);
		iso_dcm_end(dcm);
	}
	iso_dcm_end(dcm);
	iso_dcm_end(dcm);
}
