/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A mu map on the disk: the image, and beside it what it was made of. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/output.h"
#include "io/json.h"
#include "io/nifti_file.h"
#include "isotrace/attenuation.h"
#include "isotrace/nifti.h"
#include "isotrace/version.h"

#define FORMAT "isotrace mu map 1"

static void put_ct(iso_json *json, const iso_mu_facts *facts)
{
	static const char *const truncations[] = {"refuse", "ignore", "extend"};
	const iso_ct_facts *ct = &facts->ct;
	const iso_mu_report *r = &facts->report;
	const iso_mu_options *o = &facts->options;
	json_t *part = json_object();
	iso_json_set(json, part, "source", iso_json_readable(ct->source));
	iso_json_set(json, part, "series_uid", iso_json_readable(ct->series_uid));
	iso_json_set(json, part, "frame_of_reference_uid", iso_json_readable(ct->frame_of_reference_uid));
	iso_json_set(json, part, "description", iso_json_readable(ct->description));
	iso_json_set(json, part, "manufacturer", iso_json_readable(ct->manufacturer));
	iso_json_set(json, part, "kernel", iso_json_readable(ct->kernel));
	iso_json_set(json, part, "slices", json_integer((json_int_t)ct->slices));
	iso_json_set(json, part, "kvp", iso_json_number(ct->kvp));
	iso_json_set(json, part, "offset_mm", json_pack("[fff]", o->offset_mm[0], o->offset_mm[1], o->offset_mm[2]));
	iso_json_put(json, "ct", part);
	part = json_object();
	iso_json_set(json, part, "truncation", json_string(truncations[o->truncation]));
	iso_json_set(json, part, "border_percent", json_real(100 * r->border_share));
	iso_json_set(json, part, "border_slices", json_integer((json_int_t)r->border_slices));
	iso_json_set(json, part, "missing_mm", json_pack("[ff]", r->missing_mm[0], r->missing_mm[1]));
	iso_json_set(json, part, "extended_ml", json_real(r->extended_ml));
	iso_json_set(json, part, "outside_percent", json_real(100 * r->outside_fraction));
	iso_json_set(json, part, "clamped_voxels", json_integer((json_int_t)r->clamped));
	iso_json_set(json, part, "largest_hu", iso_json_number(r->most_found_hu));
	iso_json_put(json, "found", part);
}

static void put_curve(iso_json *json, const iso_mu_curve *curve)
{
	json_t *part = json_object();
	iso_json_set(json, part, "source", iso_json_readable(curve->source));
	iso_json_set(json, part, "kvp", iso_json_number(curve->kvp));
	iso_json_set(json, part, "effective_kev", iso_json_number(curve->effective_kev));
	iso_json_set(json, part, "water_per_cm", json_real(curve->water_per_cm));
	iso_json_set(json, part, "break_hu", json_real(curve->break_hu));
	iso_json_set(json, part, "a_per_cm", json_real(curve->bone_per_cm));
	iso_json_set(json, part, "b_per_cm_per_hu", json_real(curve->bone_slope_per_cm));
	iso_json_set(json, part, "most_hu", json_real(curve->most_hu));
	iso_json_put(json, "curve", part);
}

/* FILE.json beside FILE.nii.gz. */
static iso_status sidecar_of(const char *path, char sidecar[PATH_MAX], iso_error *err)
{
	size_t stem;
	const iso_status status = iso_nifti_check_name(path, &stem, err);
	if (status != ISO_OK) return status;
	if ((size_t)snprintf(sidecar, PATH_MAX, "%.*s.json", (int)stem, path) >= PATH_MAX)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a shorter path", "the name is too long");
	return ISO_OK;
}

iso_status iso_mu_write(const char *path, const iso_image *mu, const iso_mu_facts *facts, iso_error *err)
{
	char sidecar[PATH_MAX], source[96], *text = NULL;
	iso_status status = sidecar_of(path, sidecar, err);
	if (status != ISO_OK) return status;
	iso_json json = iso_json_begin();
	iso_json_put(&json, "format", json_string(FORMAT));
	iso_json_put(&json, "made_from", iso_json_readable(iso_mu_text(facts, source)));
	iso_json_put(&json, "unit", json_string(iso_unit_text(ISO_UNIT_PER_CM)));
	iso_json_put(&json, "energy_kev", json_real(511));
	if (facts->labels[0]) {
		iso_json_put(&json, "labels", iso_json_readable(facts->labels));
		iso_json_put(&json, "table", iso_json_readable(facts->table));
	} else {
		put_ct(&json, facts);
		put_curve(&json, &facts->curve);
	}
	iso_json_put(&json, "blur_fwhm_mm", json_real(facts->options.blur_fwhm_mm));
	iso_json_put(&json, "software", json_string("isotrace " ISO_VERSION));
	status = iso_json_text(&json, JSON_INDENT(2) | JSON_REAL_PRECISION(9), sidecar, &text, err);
	iso_json_end(&json);
	/* An earlier map's sidecar must never stand beside the new one. */
	if (status == ISO_OK) (void)unlink(sidecar);
	if (status == ISO_OK) status = iso_nifti_write_image(path, mu, "mu at 511 keV, 1/cm", err);
	if (status == ISO_OK) status = iso_output_write(sidecar, text, strlen(text), err);
	free(text);
	return status;
}

iso_status iso_mu_made_from(const char *path, char source[96], iso_error *err)
{
	char sidecar[PATH_MAX];
	iso_error unused;
	json_t *root = NULL;
	source[0] = '\0';
	/* a map from elsewhere may have any name, and no sidecar */
	if (sidecar_of(path, sidecar, &unused) != ISO_OK || access(sidecar, F_OK) != 0) return ISO_OK;
	const iso_status status = iso_json_read(sidecar, &root, err);
	if (status == ISO_OK) {
		const char *format = json_string_value(json_object_get(root, "format")),
			   *text = json_string_value(json_object_get(root, "made_from"));
		if (format && strcmp(format, FORMAT) == 0 && text) snprintf(source, 96, "%s", text);
		iso_json_clean(source);
	}
	json_decref(root);
	return status;
}

iso_status iso_mu_read(const char *path, iso_image **mu, char source[96], iso_error *err)
{
	*mu = NULL;
	const iso_status status = iso_mu_made_from(path, source, err);
	return status == ISO_OK ? iso_nifti_read_image(path, ISO_UNIT_PER_CM, mu, err) : status;
}
