/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/dicom_gating_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "io/dicom_in.h"

#define EXPORT_AGAIN "export the series again from where it came"
/* Makers write times in whole ms: two roundings and a bit. */
#define ROUNDING_S 0.0015
/* Nominal Interval need not be the mean of the accepted cycles to the last percent. */
#define NOMINAL 1.1

bool iso_gating_in_pet(const iso_dicom_item *root)
{
	char type[64];
	return iso_dicom_text(root, 0x00541000, type, sizeof type) && strncmp(type, "GATED", 5) == 0;
}

bool iso_gating_in_nm(const iso_dicom_item *root)
{
	char types[128];
	return iso_dicom_text(root, 0x00080008, types, sizeof types) && strstr(types, "\\RECON GATED TOMO");
}

/* A number of the cycle that may be missing, but not negative; NAN when it is, or 0 where 0 says nothing. */
static iso_status find_number(const iso_dicom_item *item, uint32_t tag, double unit, bool zero_says, const char *path,
			      double *to, iso_error *err)
{
	const double value = iso_dicom_number(item, tag, 0);
	if (value < 0)
		return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN, "(%04x,%04x) of the cycle is %g", tag >> 16,
				tag & 0xffff, value);
	*to = value > 0 || zero_says ? value * unit : (double)NAN;
	return ISO_OK;
}

static iso_status find_framing(const iso_dicom_item *gated, const char *path, iso_dicom_in_facts *facts,
			       iso_gating *out, iso_error *err)
{
	char text[17];
	if (!iso_dicom_text(gated, 0x00181064, text, sizeof text)) return ISO_OK;
	if (strcmp(text, "PCNT") == 0)
		out->framing = ISO_FRAMING_SHARE;
	else if (strcmp(text, "FORW") == 0)
		out->framing = ISO_FRAMING_TIME;
	else if (strcmp(text, "BACK") == 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "export gates that are counted forward from the trigger",
				"the gates are counted backwards from the trigger: Cardiac Framing Type (0018,1064) "
				"is BACK");
	else
		iso_dicom_warn(facts, "Cardiac Framing Type (0018,1064) '%s' is not known and was left out", text);
	return ISO_OK;
}

/* The limits count when cycles outside of them were rejected. */
static iso_status find_rejection(const iso_dicom_item *root, const iso_dicom_item *data, const char *path,
				 iso_gating *out, iso_error *err)
{
	char flag[17];
	iso_dicom_text(root, 0x00181080, flag, sizeof flag);
	iso_status status = find_number(data, 0x00181084, 1, true, path, &out->rejected_cycles, err);
	if (strcmp(flag, "N") == 0) {
		if (isnan(out->rejected_cycles)) out->rejected_cycles = 0;
		if (status == ISO_OK && out->rejected_cycles > 0)
			return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
					"%g cycles were rejected (0018,1084), but Beat Rejection Flag (0018,1080) is N",
					out->rejected_cycles);
		return status;
	}
	if (status == ISO_OK) status = find_number(data, 0x00181081, 1e-3, false, path, &out->shortest_cycle_s, err);
	if (status == ISO_OK) status = find_number(data, 0x00181082, 1e-3, false, path, &out->longest_cycle_s, err);
	if (status == ISO_OK && out->shortest_cycle_s > out->longest_cycle_s)
		return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
				"accepted were cycles of at least %g ms (0018,1081) and at most %g ms (0018,1082)",
				out->shortest_cycle_s * 1000, out->longest_cycle_s * 1000);
	return status;
}

static void find_trigger(const iso_dicom_item *root, iso_gating *out)
{
	char text[17];
	iso_dicom_text(root, 0x00181061, text, sizeof text);
	if (strcmp(text, "EKG") == 0 || strcmp(text, "ECG") == 0)
		out->trigger = ISO_TRIGGER_CARDIAC;
	else if (strncmp(text, "RESP", 4) == 0)
		out->trigger = ISO_TRIGGER_RESPIRATORY;
	else if (!text[0] && iso_dicom_number(root, 0x00181088, 0) > 0) /* a heart rate, of which breath has none */
		out->trigger = ISO_TRIGGER_CARDIAC;
}

iso_status iso_gating_find_cycle(const iso_dicom_item *root, const iso_dicom_item *gated, const iso_dicom_item *data,
				 const char *path, iso_dicom_in_facts *facts, iso_gating *out, iso_error *err)
{
	const double intervals = iso_dicom_number(root, 0x00540061, 0), slots = iso_dicom_number(root, 0x00540071, 0);
	*out = (iso_gating){.cycle_s = (double)NAN,
			    .shortest_cycle_s = (double)NAN,
			    .longest_cycle_s = (double)NAN,
			    .cycles = (double)NAN,
			    .rejected_cycles = (double)NAN};
	if (intervals > 1)
		return iso_fail(err, ISO_BAD_INPUT, path,
				"sort the cycles into one R-R interval when the images are made",
				"gates of %g R-R intervals (0054,0061): only those of one are read", intervals);
	if (!(slots >= 2 && slots <= 65535))
		return iso_fail(err, ISO_BAD_INPUT, path, "give the static series, or export the gated one again",
				"gated images, but Number of Time Slots (0054,0071) is %s",
				slots == 1     ? "1"
				: isnan(slots) ? "missing"
					       : "no number of gates");
	out->gate = malloc((size_t)slots * sizeof *out->gate);
	if (!out->gate) return iso_fail_memory(err, "gates", (size_t)slots * sizeof *out->gate);
	out->gates = (size_t)slots;
	for (size_t g = 0; g < out->gates; g++) out->gate[g] = (iso_gate){(double)NAN, (double)NAN, (double)NAN};
	find_trigger(root, out);
	iso_status status = find_framing(gated, path, facts, out, err);
	if (status == ISO_OK) status = find_number(data, 0x00181062, 1e-3, false, path, &out->cycle_s, err);
	if (status == ISO_OK) status = find_number(data, 0x00181083, 1, false, path, &out->cycles, err);
	return status == ISO_OK ? find_rejection(root, data, path, out, err) : status;
}

iso_status iso_gating_find_nm(const iso_dicom_item *root, const char *path, iso_dicom_in_facts *facts, iso_gating *out,
			      iso_error *err)
{
	const iso_dicom_item *gated = iso_dicom_at(root, 0x00540062, 0), *data = iso_dicom_at(gated, 0x00540063, 0);
	const size_t listed = iso_dicom_items(data, 0x00540072);
	iso_status status = iso_gating_find_cycle(root, gated, data, path, facts, out, err);
	if (status != ISO_OK) return status;
	if (iso_dicom_items(root, 0x00540062) != 1 || iso_dicom_items(gated, 0x00540063) != 1)
		return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
				"gated images without one Gated Information (0054,0062) and one Data Information "
				"(0054,0063)");
	if (listed && listed != out->gates)
		return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
				"Time Slot Information (0054,0072) is of %zu time slots, and Number of Time Slots "
				"(0054,0071) is %zu",
				listed, out->gates);
	const double start_s = iso_dicom_number(gated, 0x00181060, 0) / 1000,
		     length_s = iso_dicom_number(data, 0x00181063, 0) / 1000;
	for (size_t g = 0; g < out->gates && status == ISO_OK; g++) {
		out->gate[g].start_s = start_s + (double)g * length_s;
		out->gate[g].duration_s = length_s;
		status = find_number(iso_dicom_at(data, 0x00540072, g), 0x00540073, 1e-3, true, path,
				     &out->gate[g].collected_s, err);
	}
	return status;
}

/* What was acquired cannot have taken longer than the scan. */
static iso_status check_fits(const iso_gating *gating, double scan_s, const char *path, iso_error *err)
{
	double collected_s = 0;
	for (size_t g = 0; g < gating->gates; g++) collected_s += gating->gate[g].collected_s;
	if (gating->cycles * gating->cycle_s > NOMINAL * scan_s)
		return iso_fail(err, ISO_BAD_INPUT, path, "export the series with the duration of the whole scan",
				"%g cycles (0018,1083) of %g ms (0018,1062) do not fit into the %g s that the scan is "
				"said to have taken",
				gating->cycles, gating->cycle_s * 1000, scan_s);
	if (collected_s > NOMINAL * scan_s)
		return iso_fail(err, ISO_BAD_INPUT, path, "export the series with the duration of the whole scan",
				"the gates were collected for %g s together (0054,0073), in a scan that is said to "
				"have taken %g s",
				collected_s, scan_s);
	return ISO_OK;
}

iso_status iso_gating_check_stated(const iso_gating *gating, double scan_s, const char *path, iso_error *err)
{
	const iso_gate *gate = gating->gate;
	for (size_t g = 0; g < gating->gates; g++) {
		if (!(gate[g].start_s >= 0) || !(gate[g].duration_s > 0))
			return iso_fail(err, ISO_BAD_INPUT, path, "export the series again with the times of its gates",
					"gate %zu has no time: Trigger Time (0018,1060) or Frame Time (0018,1063) is "
					"missing or negative",
					g + 1);
		const double end_s = g ? gate[g - 1].start_s + gate[g - 1].duration_s : gate[0].start_s;
		if (fabs(gate[g].start_s - end_s) > ROUNDING_S)
			return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN ", with all its time slots",
					"gates that do not follow each other: gate %zu begins %g ms after the trigger "
					"(0018,1060) and the one before ends at %g ms (0018,1063)",
					g + 1, gate[g].start_s * 1000, end_s * 1000);
		if (gating->framing != ISO_FRAMING_TIME && gate[g].start_s >= gating->cycle_s)
			return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
					"gate %zu begins %g ms after the trigger (0018,1060), in a cycle of %g ms "
					"(0018,1062)",
					g + 1, gate[g].start_s * 1000, gating->cycle_s * 1000);
	}
	const iso_status status = scan_s > 0 ? check_fits(gating, scan_s, path, err) : ISO_OK;
	return status == ISO_OK ? iso_gating_check(gating, path, err) : status;
}

iso_status iso_gating_check_same(const iso_dicom_item *image, const char *path, const iso_dicom_item *other,
				 const char *other_path, iso_error *err)
{
	static const uint32_t tags[] = {0x00541000, 0x00540061, 0x00540071, 0x00181061, 0x00181062, 0x00181064,
					0x00181080, 0x00181081, 0x00181082, 0x00181083, 0x00181084};
	for (size_t t = 0; t < sizeof tags / sizeof *tags; t++) {
		char here[65], there[65];
		iso_dicom_text(image, tags[t], here, sizeof here);
		iso_dicom_text(other, tags[t], there, sizeof there);
		if (strcmp(here, there) != 0)
			return iso_fail(err, ISO_BAD_INPUT, path, EXPORT_AGAIN,
					"the gated series contradicts itself: (%04x,%04x) is '%s' here and '%s' in %s",
					tags[t] >> 16, tags[t] & 0xffff, here, there, other_path);
	}
	return ISO_OK;
}
