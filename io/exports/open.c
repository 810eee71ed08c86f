/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/events.h"
#include "core/output.h"
#include "io/exports/exports.h"
#include "isotrace/listmode.h"
#include "isotrace/time.h"

iso_export_options iso_export_options_default(void)
{
	return (iso_export_options){.stated = iso_acquisition_unknown(),
				    .mean_depth_mm = (double)NAN,
				    .calibration_factor = (double)NAN,
				    .calibration_uncertainty = (double)NAN};
}

static iso_status merge_text(char *own, size_t size, const char *stated, const char *what, const char *path,
			     iso_error *err)
{
	if (!stated[0]) return ISO_OK;
	if (own[0] && strcmp(own, stated) != 0)
		return iso_fail(err, ISO_BAD_INPUT, path, "leave it out, or convert the right export",
				"the export says that the %s is '%s', stated was '%s'", what, own, stated);
	snprintf(own, size, "%s", stated);
	return ISO_OK;
}

static iso_status merge_number(double *own, double stated, double tolerance, const char *what, const char *path,
			       iso_error *err)
{
	if (isnan(stated)) return ISO_OK;
	if (!isnan(*own) && !(fabs(*own - stated) <= tolerance))
		return iso_fail(err, ISO_BAD_INPUT, path, "leave it out, or convert the right export",
				"the export says that the %s is %.10g, stated was %.10g", what, *own, stated);
	if (isnan(*own)) *own = stated;
	return ISO_OK;
}

static iso_status merge_moment(double *own, double stated, const char *what, const char *path, iso_error *err)
{
	char there[40], here[40];
	if (isnan(stated)) return ISO_OK;
	/* headers give whole seconds */
	if (!isnan(*own) && fabs(*own - stated) > 1)
		return iso_fail(err, ISO_BAD_INPUT, path, "leave it out, or convert the right export",
				"the export says that the %s was at %s, stated was %s", what,
				iso_time_text(*own, there), iso_time_text(stated, here));
	if (isnan(*own)) *own = stated;
	return ISO_OK;
}

iso_status iso_export_merge(iso_acquisition *own, const iso_acquisition *s, const char *path, iso_error *err)
{
	iso_status status = ISO_OK;
	if (s->modality != ISO_MODALITY_UNKNOWN && own->modality != ISO_MODALITY_UNKNOWN &&
	    s->modality != own->modality)
		return iso_fail(err, ISO_BAD_INPUT, path, "leave it out, or convert the right export",
				"the export is %s, stated was %s", iso_modality_text(own->modality),
				iso_modality_text(s->modality));
	status = merge_text(own->scanner_name, sizeof own->scanner_name, s->scanner_name, "scanner", path, err);
	if (status == ISO_OK) status = merge_text(own->nuclide, sizeof own->nuclide, s->nuclide, "nuclide", path, err);
	if (status == ISO_OK) status = merge_text(own->tracer, sizeof own->tracer, s->tracer, "tracer", path, err);
	if (status == ISO_OK) status = merge_text(own->subject, sizeof own->subject, s->subject, "subject", path, err);
	if (status == ISO_OK) status = merge_moment(&own->start_utc_s, s->start_utc_s, "start", path, err);
	if (status == ISO_OK) status = merge_moment(&own->injection_utc_s, s->injection_utc_s, "injection", path, err);
	if (status == ISO_OK)
		status = merge_number(&own->injected_activity_bq, s->injected_activity_bq,
				      1e-6 * fabs(s->injected_activity_bq), "injected activity in Bq", path, err);
	for (int w = 0; status == ISO_OK && w < 2; w++)
		status = merge_number(&own->energy_window_kev[w], s->energy_window_kev[w], 0.5,
				      w ? "upper energy in keV" : "lower energy in keV", path, err);
	if (status == ISO_OK)
		status =
		    merge_number(&own->energy_resolution, s->energy_resolution, 1e-3, "energy resolution", path, err);
	if (status == ISO_OK)
		status = merge_number(&own->half_life_s, s->half_life_s, 1e-3 * fabs(s->half_life_s), "half-life in s",
				      path, err);
	if (status == ISO_OK)
		status = merge_number(&own->branching_fraction, s->branching_fraction, 1e-3, "branching fraction", path,
				      err);
	return status;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The one PETLINK header in the data file's folder that names it. *found: how many there are. */
static int find_header(const char *data_path, char header[PATH_MAX])
{
	int found = 0;
	char folder[PATH_MAX], candidate[PATH_MAX], named[1024];
	snprintf(folder, sizeof folder, "%.*s", (int)(iso_base_name(data_path) - data_path), data_path);
	DIR *entries = opendir(folder[0] ? folder : ".");
	if (!entries) return 0;
	for (const struct dirent *entry; (entry = readdir(entries));) {
		struct stat info;
		if (!strcasestr(entry->d_name, ".hdr")) continue;
		if ((size_t)snprintf(candidate, sizeof candidate, "%s%s", folder, entry->d_name) >= sizeof candidate)
			continue;
		if (stat(candidate, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > 1 << 20) continue;
		if (!iso_petlink_header_data(candidate, named) || !same_file(named, data_path)) continue;
		found++;
		memcpy(header, candidate, sizeof candidate);
	}
	closedir(entries);
	return found;
}

static iso_status open_unknown(const char *path, const iso_export_options *options, iso_events **out, iso_error *err)
{
	char *header = malloc(PATH_MAX);
	if (!header) return iso_fail_memory(err, "a path", PATH_MAX);
	const int headers = find_header(path, header);
	iso_status status;
	if (headers == 1)
		status = iso_petlink_open(header, options, out, err);
	else if (headers > 1)
		status = iso_fail(err, ISO_BAD_INPUT, path, "name the header instead",
				  "%d headers in this folder point to this file", headers);
	else
		status = iso_fail(err, ISO_BAD_INPUT, path,
				  "give a PETLINK header (.hdr), a SAFIR .clm.safir or an isotrace .lm.h5 file",
				  "this is no list-mode that isotrace knows");
	free(header);
	return status;
}

/* Facts may be added to native list-mode, too. */
static iso_status open_native(const char *path, const iso_export_options *options, iso_events **out, iso_error *err)
{
	iso_status status = iso_listmode_open(path, out, err);
	if (status != ISO_OK) return status;
	status = iso_export_merge(&(*out)->acquisition, &options->stated, path, err);
	if (!isnan(options->calibration_factor)) {
		(*out)->scanner->calibration_factor = options->calibration_factor;
		(*out)->scanner->calibration_uncertainty = options->calibration_uncertainty;
	}
	if (status == ISO_OK) return ISO_OK;
	iso_events_close(*out);
	*out = NULL;
	return status;
}

iso_status iso_export_open(const char *path, const iso_export_options *options, iso_events **out, iso_error *err)
{
	const iso_export_options standard = iso_export_options_default();
	iso_file_kind kind;
	*out = NULL;
	if (!options) options = &standard;
	const iso_status status = iso_file_identify(path, &kind, err);
	if (status != ISO_OK) return status;
	switch (kind) {
	case ISO_FILE_LISTMODE: return open_native(path, options, out, err);
	case ISO_FILE_PETLINK_HEADER: return iso_petlink_open(path, options, out, err);
	case ISO_FILE_SAFIR: return iso_safir_open(path, options, out, err);
	case ISO_FILE_NIFTI:
	case ISO_FILE_DICOM:
		return iso_fail(err, ISO_BAD_INPUT, path, "give a list-mode export", "this is %s and no list-mode",
				kind == ISO_FILE_NIFTI ? "a NIfTI volume" : "a DICOM file");
	case ISO_FILE_UNKNOWN: break;
	}
	return open_unknown(path, options, out, err);
}
