/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * study.yaml. The schema below is the list of keys; libcyaml refuses any other. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/number_text.h"
#include "io/study_file.h"
#include "io/yaml.h"

/* The file as it stands: NULL (or zeros, in a list) where nothing is written. */
typedef struct raw_scanner {
	char *crystal_map, *calibration, *normalisation, *dead_time, *dead_time_model;
	double *calibration_factor, *calibration_uncertainty_percent, *dead_time_factor, *dead_time_ns;
	double *coincidence_window_ns, *energy_resolution_percent;
	double energy_window_kev[2];
} raw_scanner;

typedef struct raw_reconstruction {
	uint32_t grid_voxels[3];
	double voxel_mm[3];
	double centre_mm[3];
	uint32_t iterations, subsets;
	uint32_t *replicates;
	uint64_t *sensitivity_lines;
	char *algorithm;
	double *beta_mm2, *gamma, *relaxation, *stop_change;
	double *psf_fwhm_mm, *psf_tail_share, *psf_tail_fwhm_mm, *post_filter_fwhm_mm, *post_filter_cutoff_per_mm,
	    *post_filter_order;
	char *post_filter, *randoms, *frames, *scatter;
	uint32_t *scatter_updates;
	bool *positron_range, *prompt_gammas, *prior_within_organs;
} raw_reconstruction;

typedef struct raw_organs {
	char *table, *labels, *mu;
} raw_organs;

typedef struct raw_dicom {
	bool *write, *structured_report;
	char *segmentation, *species, *strain, *study_description, *responsible_person, *responsible_organisation,
	    *institution, *manufacturer, *position, *deidentify;
} raw_dicom;

typedef struct raw_study {
	char *name, *nuclide, *tracer, *subjects, *output, *pacs, *pacs_config;
	raw_scanner scanner;
	raw_reconstruction reconstruction;
	raw_organs organs;
	raw_dicom dicom;
} raw_study;

#define OPTIONAL_TEXT(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, CYAML_UNLIMITED)
#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, CYAML_UNLIMITED)
#define OPTIONAL_NUMBER(key, type, member) \
	CYAML_FIELD_FLOAT_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member)
#define OPTIONAL_WHOLE(key, type, member) \
	CYAML_FIELD_UINT_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member)

static const cyaml_schema_value_t number_schema = {CYAML_VALUE_FLOAT(CYAML_FLAG_DEFAULT, double)};
static const cyaml_schema_value_t whole_schema = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};

static const cyaml_schema_field_t scanner_fields[] = {
    OPTIONAL_TEXT("crystal_map", raw_scanner, crystal_map),
    OPTIONAL_TEXT("calibration", raw_scanner, calibration),
    OPTIONAL_NUMBER("calibration_factor", raw_scanner, calibration_factor),
    OPTIONAL_NUMBER("calibration_uncertainty_percent", raw_scanner, calibration_uncertainty_percent),
    OPTIONAL_NUMBER("dead_time_factor", raw_scanner, dead_time_factor),
    OPTIONAL_TEXT("dead_time", raw_scanner, dead_time),
    OPTIONAL_NUMBER("dead_time_ns", raw_scanner, dead_time_ns),
    OPTIONAL_TEXT("dead_time_model", raw_scanner, dead_time_model),
    OPTIONAL_TEXT("normalisation", raw_scanner, normalisation),
    OPTIONAL_NUMBER("coincidence_window_ns", raw_scanner, coincidence_window_ns),
    CYAML_FIELD_SEQUENCE_FIXED("energy_window_kev", CYAML_FLAG_OPTIONAL, raw_scanner, energy_window_kev, &number_schema,
			       2),
    OPTIONAL_NUMBER("energy_resolution_percent", raw_scanner, energy_resolution_percent),
    CYAML_FIELD_END};

static const cyaml_schema_field_t reconstruction_fields[] = {
    CYAML_FIELD_SEQUENCE_FIXED("grid_voxels", CYAML_FLAG_DEFAULT, raw_reconstruction, grid_voxels, &whole_schema, 3),
    CYAML_FIELD_SEQUENCE_FIXED("voxel_mm", CYAML_FLAG_DEFAULT, raw_reconstruction, voxel_mm, &number_schema, 3),
    CYAML_FIELD_SEQUENCE_FIXED("centre_mm", CYAML_FLAG_OPTIONAL, raw_reconstruction, centre_mm, &number_schema, 3),
    OPTIONAL_TEXT("algorithm", raw_reconstruction, algorithm),
    OPTIONAL_NUMBER("beta_mm2", raw_reconstruction, beta_mm2),
    OPTIONAL_NUMBER("gamma", raw_reconstruction, gamma),
    OPTIONAL_NUMBER("relaxation", raw_reconstruction, relaxation),
    OPTIONAL_NUMBER("stop_change", raw_reconstruction, stop_change),
    CYAML_FIELD_UINT("iterations", CYAML_FLAG_DEFAULT, raw_reconstruction, iterations),
    CYAML_FIELD_UINT("subsets", CYAML_FLAG_DEFAULT, raw_reconstruction, subsets),
    OPTIONAL_WHOLE("replicates", raw_reconstruction, replicates),
    OPTIONAL_WHOLE("sensitivity_lines", raw_reconstruction, sensitivity_lines),
    CYAML_FIELD_BOOL_PTR("prior_within_organs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_reconstruction,
			 prior_within_organs),
    OPTIONAL_NUMBER("psf_fwhm_mm", raw_reconstruction, psf_fwhm_mm),
    OPTIONAL_NUMBER("psf_tail_share", raw_reconstruction, psf_tail_share),
    OPTIONAL_NUMBER("psf_tail_fwhm_mm", raw_reconstruction, psf_tail_fwhm_mm),
    CYAML_FIELD_BOOL_PTR("positron_range", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_reconstruction,
			 positron_range),
    OPTIONAL_TEXT("post_filter", raw_reconstruction, post_filter),
    OPTIONAL_NUMBER("post_filter_fwhm_mm", raw_reconstruction, post_filter_fwhm_mm),
    OPTIONAL_NUMBER("post_filter_cutoff_per_mm", raw_reconstruction, post_filter_cutoff_per_mm),
    OPTIONAL_NUMBER("post_filter_order", raw_reconstruction, post_filter_order),
    TEXT("randoms", raw_reconstruction, randoms),
    OPTIONAL_TEXT("scatter", raw_reconstruction, scatter),
    OPTIONAL_WHOLE("scatter_updates", raw_reconstruction, scatter_updates),
    CYAML_FIELD_BOOL_PTR("prompt_gammas", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_reconstruction, prompt_gammas),
    OPTIONAL_TEXT("frames", raw_reconstruction, frames),
    CYAML_FIELD_END};

static const cyaml_schema_field_t organs_fields[] = {TEXT("table", raw_organs, table),
						     OPTIONAL_TEXT("labels", raw_organs, labels),
						     OPTIONAL_TEXT("mu", raw_organs, mu), CYAML_FIELD_END};

static const cyaml_schema_field_t dicom_fields[] = {
    CYAML_FIELD_BOOL_PTR("write", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_dicom, write),
    OPTIONAL_TEXT("segmentation", raw_dicom, segmentation),
    CYAML_FIELD_BOOL_PTR("structured_report", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_dicom, structured_report),
    OPTIONAL_TEXT("species", raw_dicom, species),
    OPTIONAL_TEXT("strain", raw_dicom, strain),
    OPTIONAL_TEXT("study_description", raw_dicom, study_description),
    OPTIONAL_TEXT("responsible_person", raw_dicom, responsible_person),
    OPTIONAL_TEXT("responsible_organisation", raw_dicom, responsible_organisation),
    OPTIONAL_TEXT("institution", raw_dicom, institution),
    OPTIONAL_TEXT("manufacturer", raw_dicom, manufacturer),
    OPTIONAL_TEXT("position", raw_dicom, position),
    OPTIONAL_TEXT("deidentify", raw_dicom, deidentify),
    CYAML_FIELD_END};

static const cyaml_schema_field_t study_fields[] = {
    TEXT("name", raw_study, name),
    TEXT("nuclide", raw_study, nuclide),
    OPTIONAL_TEXT("tracer", raw_study, tracer),
    TEXT("subjects", raw_study, subjects),
    TEXT("output", raw_study, output),
    CYAML_FIELD_MAPPING("scanner", CYAML_FLAG_OPTIONAL, raw_study, scanner, scanner_fields),
    CYAML_FIELD_MAPPING("reconstruction", CYAML_FLAG_DEFAULT, raw_study, reconstruction, reconstruction_fields),
    CYAML_FIELD_MAPPING("organs", CYAML_FLAG_DEFAULT, raw_study, organs, organs_fields),
    CYAML_FIELD_MAPPING("dicom", CYAML_FLAG_OPTIONAL, raw_study, dicom, dicom_fields),
    OPTIONAL_TEXT("pacs", raw_study, pacs),
    OPTIONAL_TEXT("pacs_config", raw_study, pacs_config),
    CYAML_FIELD_END};

static const cyaml_schema_value_t study_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, raw_study, study_fields)};

/* Copies a text that must fit; NULL is "". */
static iso_status copy_text(const iso_study_file *study, const char *key, const char *from, char *to, size_t size,
			    iso_error *err)
{
	if (from && strlen(from) >= size)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "shorten it", "%s is longer than %zu characters", key,
				size - 1);
	snprintf(to, size, "%s", from ? from : "");
	return ISO_OK;
}

/* A file name of the study, relative to the study's folder. */
static iso_status copy_path(const iso_study_file *study, const char *key, const char *from, char to[PATH_MAX],
			    iso_error *err)
{
	to[0] = '\0';
	if (!from || !*from) return ISO_OK;
	const int n =
	    *from == '/' ? snprintf(to, PATH_MAX, "%s", from) : snprintf(to, PATH_MAX, "%s/%s", study->folder, from);
	if (n < 0 || n >= PATH_MAX)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "use a shorter path", "%s is too long", key);
	return ISO_OK;
}

static double number_or(const double *value, double otherwise)
{
	return value ? *value : otherwise;
}

static iso_status range(const iso_study_file *study, const char *key, double value, bool good, const char *remedy,
			iso_error *err)
{
	return good ? ISO_OK : iso_fail(err, ISO_BAD_INPUT, study->path, remedy, "%s is %g", key, value);
}

#define CHECK(call)                                                  \
	do {                                                         \
		const iso_status status_of_call = (call);            \
		if (status_of_call != ISO_OK) return status_of_call; \
	} while (0)

/* singles, or a factor as dead_time_factor. */
static iso_status read_dead_time(iso_study_file *study, const raw_scanner *raw, iso_error *err)
{
	const char *text = raw->dead_time;
	char *end;
	study->dead_time_factor = number_or(raw->dead_time_factor, (double)NAN);
	if (text && raw->dead_time_factor)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "state one of them",
				"both scanner.dead_time and scanner.dead_time_factor");
	if (text && strcmp(text, "singles") == 0)
		study->dead_time = ISO_DEAD_TIME_FROM_SINGLES;
	else if (text) {
		study->dead_time_factor = iso_strtod(text, &end);
		if (end == text || *end || !(study->dead_time_factor >= 1))
			return iso_fail(err, ISO_BAD_INPUT, study->path, "write singles, or a factor >= 1",
					"scanner.dead_time is '%s'", text);
	}
	const double dead = study->dead_time_factor;
	CHECK(range(study, "scanner.dead_time_factor", dead, isnan(dead) || (isfinite(dead) && dead >= 1 && dead < 1e6),
		    "give a factor >= 1, or leave it out when it is not known", err));
	const double ns = study->dead_time_ns = number_or(raw->dead_time_ns, (double)NAN);
	CHECK(range(study, "scanner.dead_time_ns", ns, isnan(ns) || (ns >= 0 && ns <= 1e8), "give 0 to 1e8 ns", err));
	if (!raw->dead_time_model) return ISO_OK;
	study->dead_time_model = iso_dead_time_model_from_text(raw->dead_time_model);
	if (study->dead_time_model == ISO_DEAD_TIME_NONE)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write paralyzable or non-paralyzable",
				"scanner.dead_time_model is '%s'", raw->dead_time_model);
	return ISO_OK;
}

static iso_status read_energy(iso_study_file *study, const raw_scanner *raw, iso_error *err)
{
	const double low = raw->energy_window_kev[0], high = raw->energy_window_kev[1];
	const bool window = low != 0 || high != 0;
	const double percent = number_or(raw->energy_resolution_percent, (double)NAN);
	const double ns = study->coincidence_window_ns = number_or(raw->coincidence_window_ns, (double)NAN);
	study->energy_window_kev[0] = window ? low : (double)NAN;
	study->energy_window_kev[1] = window ? high : (double)NAN;
	study->energy_resolution = percent / 100;
	if (window && !(low >= 0 && low < 511 && high > 511 && high < 1e5))
		return iso_fail(err, ISO_BAD_INPUT, study->path, "give [LOW, HIGH] in keV, around 511",
				"scanner.energy_window_kev is [%g, %g]", low, high);
	CHECK(range(study, "scanner.energy_resolution_percent", percent,
		    isnan(percent) || (percent >= 0.1 && percent <= 99), "give the FWHM at 511 keV in %", err));
	return range(study, "scanner.coincidence_window_ns", ns, isnan(ns) || (ns > 0 && ns <= 1e6),
		     "give the full width in ns", err);
}

static iso_status read_scanner(iso_study_file *study, const raw_scanner *raw, iso_error *err)
{
	CHECK(copy_path(study, "scanner.crystal_map", raw->crystal_map, study->crystal_map, err));
	CHECK(copy_path(study, "scanner.calibration", raw->calibration, study->calibration, err));
	const double factor = study->calibration_factor = number_or(raw->calibration_factor, (double)NAN);
	const double percent = number_or(raw->calibration_uncertainty_percent, (double)NAN);
	study->calibration_uncertainty = percent / 100;
	CHECK(range(study, "scanner.calibration_factor", factor, isnan(factor) || (isfinite(factor) && factor > 0),
		    "give a number > 0", err));
	CHECK(range(study, "scanner.calibration_uncertainty_percent", percent,
		    isnan(percent) || (percent >= 0 && percent < 100), "give the relative uncertainty (k = 1) in %",
		    err));
	if (study->calibration[0] && !isnan(factor))
		return iso_fail(err, ISO_BAD_INPUT, study->path, "state one of them",
				"both scanner.calibration and scanner.calibration_factor");
	if (!isnan(percent) && isnan(factor))
		return iso_fail(err, ISO_BAD_INPUT, study->path, "state scanner.calibration_factor too",
				"an uncertainty of the calibration, but no calibration factor");
	CHECK(copy_path(study, "scanner.normalisation", raw->normalisation, study->normalisation, err));
	CHECK(read_energy(study, raw, err));
	return read_dead_time(study, raw, err);
}

/* Randoms, scatter and prompt gammas. */
static iso_status read_background(iso_study_file *study, const raw_reconstruction *raw, iso_error *err)
{
	const iso_recon_options usual = iso_recon_options_default();
	if (strcmp(raw->randoms, "delayed") == 0)
		study->randoms = ISO_RANDOMS_DELAYED;
	else if (strcmp(raw->randoms, "singles") == 0)
		study->randoms = ISO_RANDOMS_SINGLES;
	else if (strcmp(raw->randoms, "none") == 0)
		study->randoms = ISO_RANDOMS_NONE;
	else
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write delayed, singles or none",
				"reconstruction.randoms is '%s'", raw->randoms);
	study->have_scatter = raw->scatter != NULL;
	if (raw->scatter && strcmp(raw->scatter, "sss") == 0)
		study->scatter = ISO_SCATTER_SSS;
	else if (raw->scatter && strcmp(raw->scatter, "none") != 0)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write sss or none, or leave it out",
				"reconstruction.scatter is '%s'", raw->scatter);
	study->scatter_updates = raw->scatter_updates ? *raw->scatter_updates : usual.scatter_updates;
	CHECK(range(study, "reconstruction.scatter_updates", study->scatter_updates,
		    study->scatter_updates >= 1 && study->scatter_updates <= 1000, "give 1 to 1000", err));
	study->have_prompt_gammas = raw->prompt_gammas != NULL;
	study->prompt_gammas = raw->prompt_gammas && *raw->prompt_gammas;
	if (study->prompt_gammas && study->have_scatter && study->scatter == ISO_SCATTER_NONE)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write scatter: sss, too",
				"prompt gammas without scatter");
	return ISO_OK;
}

static iso_status read_post_filter(iso_study_file *study, const raw_reconstruction *raw, iso_error *err)
{
	const char *kind = raw->post_filter ? raw->post_filter : "none";
	iso_filter *filter = &study->post_filter;
	filter->fwhm_mm = number_or(raw->post_filter_fwhm_mm, (double)NAN);
	filter->cutoff_per_mm = number_or(raw->post_filter_cutoff_per_mm, (double)NAN);
	filter->order = number_or(raw->post_filter_order, (double)NAN);
	if (strcmp(kind, "none") == 0)
		filter->kind = ISO_FILTER_NONE;
	else if (strcmp(kind, "gaussian") == 0)
		filter->kind = ISO_FILTER_GAUSSIAN;
	else if (strcmp(kind, "butterworth") == 0)
		filter->kind = ISO_FILTER_BUTTERWORTH;
	else
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write none, gaussian or butterworth",
				"reconstruction.post_filter is '%s'", kind);
	const bool gaussian = filter->kind == ISO_FILTER_GAUSSIAN, butterworth = filter->kind == ISO_FILTER_BUTTERWORTH;
	if (gaussian != (filter->fwhm_mm > 0))
		return iso_fail(err, ISO_BAD_INPUT, study->path,
				"post_filter: gaussian goes with post_filter_fwhm_mm > 0, and only it does",
				"the post-filter is '%s' and post_filter_fwhm_mm %s", kind,
				raw->post_filter_fwhm_mm ? "does not fit" : "is missing");
	if (butterworth != (filter->cutoff_per_mm > 0) || butterworth != (filter->order > 0))
		return iso_fail(
		    err, ISO_BAD_INPUT, study->path,
		    "post_filter: butterworth goes with post_filter_cutoff_per_mm and post_filter_order, and "
		    "only it does",
		    "the post-filter is '%s' and its cutoff or order does not fit or is missing", kind);
	if (!gaussian) filter->fwhm_mm = 0;
	if (!butterworth) filter->cutoff_per_mm = filter->order = 0;
	return ISO_OK;
}

static iso_status read_algorithm(iso_study_file *study, const raw_reconstruction *raw, iso_error *err)
{
	const iso_recon_options usual = iso_recon_options_default();
	const char *name = raw->algorithm ? raw->algorithm : "osem";
	study->iterations = raw->iterations;
	study->subsets = raw->subsets;
	if (strcmp(name, "osem") == 0)
		study->algorithm = ISO_ALGORITHM_OSEM;
	else if (strcmp(name, "mlem") == 0)
		study->algorithm = ISO_ALGORITHM_MLEM;
	else if (strcmp(name, "bsrem") == 0)
		study->algorithm = ISO_ALGORITHM_BSREM;
	else
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write osem, mlem or bsrem",
				"reconstruction.algorithm is '%s'", name);
	if (study->algorithm != ISO_ALGORITHM_BSREM &&
	    (raw->beta_mm2 || raw->gamma || raw->relaxation || raw->prior_within_organs))
		return iso_fail(
		    err, ISO_BAD_INPUT, study->path, "write algorithm: bsrem, or remove them",
		    "beta_mm2, gamma, prior_within_organs and relaxation belong to bsrem, and the algorithm is %s",
		    name);
	study->beta_mm2 = number_or(raw->beta_mm2, usual.beta_mm2);
	study->gamma = number_or(raw->gamma, usual.gamma);
	study->relaxation = number_or(raw->relaxation, usual.relaxation);
	study->prior_within_organs = raw->prior_within_organs && *raw->prior_within_organs;
	study->stop_change = number_or(raw->stop_change, 0);
	CHECK(range(study, "reconstruction.iterations", study->iterations,
		    study->iterations >= 1 && study->iterations <= 1000, "give 1 to 1000", err));
	CHECK(range(study, "reconstruction.subsets", study->subsets, study->subsets >= 1 && study->subsets <= 1000,
		    "give 1 to 1000", err));
	CHECK(range(study, "reconstruction.subsets", study->subsets,
		    study->algorithm != ISO_ALGORITHM_MLEM || study->subsets == 1, "mlem has 1 subset", err));
	CHECK(range(study, "reconstruction.beta_mm2", study->beta_mm2, study->beta_mm2 >= 0 && study->beta_mm2 <= 1e5,
		    "give 0 (no prior) to 1e5 mm2", err));
	CHECK(range(study, "reconstruction.gamma", study->gamma, study->gamma >= 0 && study->gamma <= 1000,
		    "give 0 to 1000; 2 is usual", err));
	CHECK(range(study, "reconstruction.relaxation", study->relaxation,
		    study->relaxation >= 0 && study->relaxation <= 1000, "give 0 to 1000", err));
	return range(study, "reconstruction.stop_change", study->stop_change,
		     study->stop_change >= 0 && study->stop_change < 1, "give 0 (all iterations) or a part below 1",
		     err);
}

static iso_status read_reconstruction(iso_study_file *study, const raw_reconstruction *raw, iso_error *err)
{
	size_t size[3];
	for (int a = 0; a < 3; a++) {
		size[a] = raw->grid_voxels[a];
		CHECK(range(study, "reconstruction.grid_voxels", raw->grid_voxels[a],
			    raw->grid_voxels[a] >= 1 && raw->grid_voxels[a] <= 4096,
			    "give three numbers from 1 to 4096", err));
		CHECK(range(study, "reconstruction.voxel_mm", raw->voxel_mm[a],
			    isfinite(raw->voxel_mm[a]) && raw->voxel_mm[a] > 0, "give three lengths > 0 mm", err));
		CHECK(range(study, "reconstruction.centre_mm", raw->centre_mm[a], isfinite(raw->centre_mm[a]),
			    "give three numbers", err));
	}
	study->grid = iso_grid_centred(size, raw->voxel_mm, raw->centre_mm);
	CHECK(read_algorithm(study, raw, err));
	study->psf_fwhm_mm = number_or(raw->psf_fwhm_mm, 0);
	study->psf_tail_share = number_or(raw->psf_tail_share, 0);
	study->psf_tail_fwhm_mm = number_or(raw->psf_tail_fwhm_mm, 0);
	study->positron_range = raw->positron_range && *raw->positron_range;
	study->replicates = raw->replicates ? *raw->replicates : 0;
	study->sensitivity_lines = raw->sensitivity_lines ? *raw->sensitivity_lines : 0;
	CHECK(range(study, "reconstruction.psf_fwhm_mm", study->psf_fwhm_mm,
		    isfinite(study->psf_fwhm_mm) && study->psf_fwhm_mm >= 0, "give a length >= 0 mm", err));
	CHECK(range(study, "reconstruction.psf_tail_share", study->psf_tail_share,
		    study->psf_tail_share >= 0 && study->psf_tail_share <= 1, "give a part from 0 to 1", err));
	CHECK(range(study, "reconstruction.psf_tail_fwhm_mm", study->psf_tail_fwhm_mm,
		    isfinite(study->psf_tail_fwhm_mm) &&
			(study->psf_tail_share > 0
			     ? study->psf_fwhm_mm > 0 && study->psf_tail_fwhm_mm > study->psf_fwhm_mm
			     : study->psf_tail_fwhm_mm == 0),
		    "give both psf_tail_share and a length above psf_fwhm_mm, or neither", err));
	CHECK(range(study, "reconstruction.replicates", (double)study->replicates,
		    study->replicates == 0 || (study->replicates >= 2 && study->replicates <= 100),
		    "give 0 (no uncertainty from counting) or 2 to 100", err));
	CHECK(read_background(study, raw, err));
	CHECK(copy_path(study, "reconstruction.frames", raw->frames, study->frames, err));
	return read_post_filter(study, raw, err);
}

static iso_status read_segmentation(iso_study_file *study, const char *text, iso_error *err)
{
	if (strcmp(text, "binary") == 0)
		study->segmentation = ISO_DICOM_SEGMENTS_BINARY;
	else if (strcmp(text, "fractional") == 0)
		study->segmentation = ISO_DICOM_SEGMENTS_FRACTIONAL;
	else if (strcmp(text, "none") == 0)
		study->segmentation = ISO_DICOM_SEGMENTS_NONE;
	else
		return iso_fail(err, ISO_BAD_INPUT, study->path, "write binary, fractional or none",
				"dicom.segmentation is '%s'", text);
	return ISO_OK;
}

static iso_status read_dicom(iso_study_file *study, const raw_dicom *raw, iso_error *err)
{
	iso_dicom_subject *to = &study->dicom;
	*to = iso_dicom_subject_unknown();
	study->write_dicom = raw->write ? *raw->write : true;
	CHECK(copy_path(study, "dicom.deidentify", raw->deidentify, study->deidentify, err));
	study->structured_report = raw->structured_report ? *raw->structured_report : true;
	CHECK(read_segmentation(study, raw->segmentation ? raw->segmentation : "binary", err));
	CHECK(copy_text(study, "dicom.species", raw->species, to->species, sizeof to->species, err));
	CHECK(copy_text(study, "dicom.strain", raw->strain, to->strain, sizeof to->strain, err));
	CHECK(copy_text(study, "dicom.study_description", raw->study_description, to->study_description,
			sizeof to->study_description, err));
	CHECK(copy_text(study, "dicom.responsible_person", raw->responsible_person, to->responsible_person,
			sizeof to->responsible_person, err));
	CHECK(copy_text(study, "dicom.responsible_organisation", raw->responsible_organisation,
			to->responsible_organisation, sizeof to->responsible_organisation, err));
	CHECK(copy_text(study, "dicom.institution", raw->institution, to->institution, sizeof to->institution, err));
	CHECK(
	    copy_text(study, "dicom.manufacturer", raw->manufacturer, to->manufacturer, sizeof to->manufacturer, err));
	return copy_text(study, "dicom.position", raw->position, to->position, sizeof to->position, err);
}

static iso_status read_study(iso_study_file *study, const raw_study *raw, iso_error *err)
{
	CHECK(copy_text(study, "name", raw->name, study->name, sizeof study->name, err));
	CHECK(copy_text(study, "nuclide", raw->nuclide, study->nuclide, sizeof study->nuclide, err));
	CHECK(copy_text(study, "tracer", raw->tracer, study->tracer, sizeof study->tracer, err));
	CHECK(copy_path(study, "subjects", raw->subjects, study->subjects, err));
	CHECK(copy_path(study, "output", raw->output, study->output, err));
	CHECK(read_scanner(study, &raw->scanner, err));
	CHECK(read_reconstruction(study, &raw->reconstruction, err));
	CHECK(copy_path(study, "organs.table", raw->organs.table, study->organ_table, err));
	CHECK(copy_path(study, "organs.labels", raw->organs.labels, study->labels, err));
	CHECK(copy_path(study, "organs.mu", raw->organs.mu, study->mu, err));
	CHECK(read_dicom(study, &raw->dicom, err));
	CHECK(copy_text(study, "pacs", raw->pacs, study->pacs, sizeof study->pacs, err));
	CHECK(copy_path(study, "pacs_config", raw->pacs_config, study->pacs_config, err));
	if (study->pacs[0] && !study->write_dicom)
		return iso_fail(err, ISO_BAD_INPUT, study->path, "remove pacs, or write DICOM",
				"a PACS to send to, but dicom.write is false");
	return ISO_OK;
}

iso_status iso_study_file_read(const char *path, iso_study_file **out, iso_error *err)
{
	*out = NULL;
	iso_study_file *study = calloc(1, sizeof *study);
	if (!study) return iso_fail_memory(err, "a study", sizeof *study);
	if (strlen(path) >= sizeof study->path) {
		free(study);
		return iso_fail(err, ISO_BAD_USAGE, path, "use a shorter path", "the name is too long");
	}
	strcpy(study->path, path);
	const char *slash = strrchr(path, '/');
	if (slash == path)
		strcpy(study->folder, "/");
	else if (slash)
		snprintf(study->folder, sizeof study->folder, "%.*s", (int)(slash - path), path);
	else
		strcpy(study->folder, ".");
	void *raw = NULL;
	iso_status status = iso_yaml_load(path, &study_schema, &raw, err);
	if (status == ISO_OK) status = read_study(study, raw, err);
	iso_yaml_free(&study_schema, raw);
	if (status != ISO_OK) {
		free(study);
		return status;
	}
	*out = study;
	return ISO_OK;
}

void iso_study_file_free(iso_study_file *study)
{
	free(study);
}
