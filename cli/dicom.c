/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/dicom_objects.h"
#include "core/error.h"

typedef struct {
	const char *volume, *dose, *output, *key;
	iso_dicom_subject subject;
	iso_dicom_options options;
	cli_objects objects;
	bool json, quiet;
} arguments;

#define FIELD(member) offsetof(iso_dicom_subject, member), sizeof((iso_dicom_subject *)0)->member

/* Options that only fill a text of the subject. */
static const struct {
	int key;
	const char *name;
	size_t offset, size;
} texts[] = {
    {'p', "patient-id", FIELD(patient_id)},
    {'n', "patient-name", FIELD(patient_name)},
    {'s', "sex", FIELD(sex)},
    {'b', "birth-date", FIELD(birth_date)},
    {'S', "species", FIELD(species)},
    {256, "strain", FIELD(strain)},
    {257, "position", FIELD(position)},
    {267, "body-part", FIELD(body_part)},
    {258, "study-description", FIELD(study_description)},
    {259, "study-id", FIELD(study_id)},
    {260, "study-key", FIELD(study_key)},
    {261, "series-description", FIELD(series_description)},
    {262, "accession-number", FIELD(accession_number)},
    {263, "responsible-person", FIELD(responsible_person)},
    {264, "responsible-organisation", FIELD(responsible_organisation)},
    {265, "institution", FIELD(institution)},
    {266, "manufacturer", FIELD(manufacturer)},
};
#define SERIES_NUMBER 300
#define REAL_WORLD    303
#define DEIDENTIFY    302
#define SLOPE         301

static error_t parse(int key, char *text, struct argp_state *state)
{
	arguments *a = state->input;
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
		if (texts[t].key != key) continue;
		if (strlen(text) >= texts[t].size)
			argp_error(state, "--%s takes at most %zu bytes", texts[t].name, texts[t].size - 1);
		strcpy((char *)&a->subject + texts[t].offset, text);
		return 0;
	}
	long long number;
	iso_error err;
	switch (key) {
	case ARGP_KEY_INIT: state->child_inputs[0] = &a->objects; break;
	case 'd': a->dose = text; break;
	case 'o': a->output = text; break;
	case 'j': a->json = true; break;
	case 'q': a->quiet = true; break;
	case SERIES_NUMBER:
		if (cli_whole("series-number", text, 1, 2147483647, &number, &err) != ISO_OK)
			argp_error(state, "%s; %s", err.message, err.remedy);
		a->subject.series_number = (unsigned)number;
		break;
	case REAL_WORLD: a->options.real_world_values = true; break;
	case DEIDENTIFY: a->key = text; break;
	case SLOPE:
		if (strcmp(text, "slice") != 0 && strcmp(text, "series") != 0)
			argp_error(state, "--slope is slice or series, not '%s'", text);
		a->options.slope = strcmp(text, "series") == 0 ? ISO_DICOM_SLOPE_SERIES : ISO_DICOM_SLOPE_SLICE;
		break;
	case ARGP_KEY_ARG:
		if (a->volume) argp_error(state, "one VOLUME, please: '%s' is too many", text);
		a->volume = text;
		break;
	case ARGP_KEY_END:
		if (!a->volume) argp_error(state, "which volume is to be written as DICOM?");
		if (!a->output) argp_error(state, "-o DIR says where to write the series");
		if (a->options.real_world_values && !a->dose)
			argp_error(state, "--real-world-values needs the injected activity: --dose");
		if (!a->subject.patient_id[0]) argp_error(state, "--patient-id says whose images these are");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the series; made new, or an earlier series in it replaced", 0},
    {"dose", 'd', "DOSE.yaml", 0, "Assays, injection and body mass; without it the files have no SUV", 0},
    {NULL, 0, NULL, 0, "The subject:", 1},
    {"patient-id", 'p', "ID", 0, "Identity of the animal or patient (required)", 1},
    {"patient-name", 'n', "NAME", 0, "Name, Family^Given [the ID]", 1},
    {"sex", 's', "M|F|O", 0, "Sex", 1},
    {"birth-date", 'b', "YYYYMMDD", 0, "Date of birth", 1},
    {"species", 'S', "SPECIES", 0, "mouse, rat, rabbit, guinea pig, dog, pig or human", 1},
    {"strain", 256, "TEXT", 0, "Strain or breed", 1},
    {"position", 257, "prone|supine", 0, "How it lay in the scanner", 1},
    {"body-part", 267, "PART", 0, "What was scanned, as DICOM spells it: WHOLEBODY, HEAD, CHEST, ...", 1},
    {"responsible-person", 263, "NAME", 0, "Who answers for the animal", 1},
    {"responsible-organisation", 264, "TEXT", 0, "Which institution answers for the animal", 1},
    {NULL, 0, NULL, 0, "The study:", 2},
    {"study-description", 258, "TEXT", 0, "What the study is about", 2},
    {"study-id", 259, "ID", 0, "Short identity of the study, at most 16 characters", 2},
    {"study-key", 260, "KEY", 0, "Scans with the same key go into one DICOM study [one study per scan]", 2},
    {"series-description", 261, "TEXT", 0, "Title of the series [nuclide and reconstruction]", 2},
    {"series-number", SERIES_NUMBER, "N", 0, "Place of the series in the study", 2},
    {"accession-number", 262, "ID", 0, "Order's number in the hospital's system", 2},
    {"institution", 265, "TEXT", 0, "Where it was scanned", 2},
    {"manufacturer", 266, "TEXT", 0, "Who made the scanner", 2},
    {NULL, 0, NULL, 0, "Output:", 3},
    {"slope", SLOPE, "slice|series", 0,
     "One RescaleSlope per slice, which stores quiet slices as finely as loud ones, or one for the whole series, which "
     "some readers need [slice]",
     3},
    {"real-world-values", REAL_WORLD, NULL, 0,
     "Also write an object that maps the stored values to %/g, for readers that do not look for it in the images; "
     "needs "
     "--dose",
     3},
    {"deidentify", DEIDENTIFY, "KEYFILE", 0,
     "Take the identities out; KEYFILE holds the secret, as of isotrace deidentify --key", 3},
    {"json", 'j', NULL, 0, "Print what was written as JSON", 3},
    {"quiet", 'q', NULL, 0, "Print nothing but errors", 3},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp_child children[] = {{&cli_objects_argp, 0, NULL, 0}, {NULL, 0, NULL, 0}};

static const struct argp argp = {
    options,
    parse,
    "VOLUME.nii.gz",
    "Writes a volume in Bq/mL as a DICOM series with all that SUV and %ID/g need: PET as one file per slice and frame, "
    "SPECT as one NM file (RECON TOMO) per frame.\v"
    "Example: isotrace dicom scan.nii.gz --dose dose.yaml --patient-id M01 --species mouse --sex F -o dicom/M01\n\n"
    "The volume must be calibrated, decay-corrected to the start of its scan, and have its absolute start. All times "
    "in the "
    "files are UTC. The same input gives the same files, identities included. See docs/dicom.md.\n\n"
    "With organs and report: isotrace dicom scan.nii.gz --dose dose.yaml --patient-id M01 --organs organs.nii.gz "
    "--segmentation --structured-report --pdf M01.pdf -o dicom/M01",
    children,
    NULL,
    NULL};

/* The plain facts of the dose: what the syringe's assays mean is worked out here, because io knows no physics. */
static iso_status read_dose(const arguments *a, const iso_volume *volume, iso_dicom_dose *facts, iso_error *err)
{
	iso_dose dose;
	const iso_nuclide *injected, *scanned;
	iso_status status = iso_dose_read(a->dose, &dose, err);
	if (status == ISO_OK) status = iso_nuclide_find(dose.nuclide, a->dose, &injected, err);
	if (status == ISO_OK) status = iso_nuclide_find(volume->acquisition.nuclide, a->volume, &scanned, err);
	if (status == ISO_OK && injected != scanned)
		status = iso_fail(err, ISO_BAD_INPUT, a->dose, "give the dose that belongs to this scan",
				  "%s was injected, but the volume is of %s", injected->name, scanned->name);
	memset(facts, 0, sizeof *facts);
	if (status == ISO_OK) status = iso_dose_injected_bq(&dose, injected, &facts->injected_bq, err);
	if (status != ISO_OK) return status;
	facts->injection_utc_s = dose.injection_utc_s;
	facts->body_mass_g = dose.body_mass_g;
	snprintf(facts->tracer, sizeof facts->tracer, "%s", dose.tracer);
	snprintf(facts->route, sizeof facts->route, "%s", dose.route);
	return ISO_OK;
}

static void print_written(const arguments *a, const iso_volume *volume, const iso_dicom_written *written, bool suv)
{
	const bool spect = volume->acquisition.modality == ISO_MODALITY_SPECT;
	if (!a->quiet && !suv)
		fputs(a->dose ? "isotrace: the dose file has no body mass: the files have no SUV\n"
			      : "isotrace: no --dose: the files have no SUV\n",
		      stderr);
	if (a->json)
		printf("{\"files\": %zu, \"modality\": \"%s\", \"suv\": %s, \"slope\": \"%s\", "
		       "\"largest_step_bq_per_ml\": %.10g}\n",
		       written->files, spect ? "NM" : "PT", suv ? "true" : "false",
		       a->options.slope == ISO_DICOM_SLOPE_SERIES ? "series" : "slice", written->largest_step);
	else if (!a->quiet)
		printf("%zu DICOM files in %s, in steps of at most %.3g Bq/mL\n", written->files, a->output,
		       written->largest_step);
}

int cli_dicom(int argc, char **argv)
{
	arguments a = {.subject = iso_dicom_subject_unknown()};
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	iso_error err;
	iso_volume *volume = NULL;
	iso_dicom_dose dose;
	iso_dicom_written written;
	iso_dicom_key key;
	a.options.deidentify = a.key ? &key : NULL;
	iso_status status = a.key ? iso_dicom_key_read(a.key, &key, &err) : ISO_OK;
	if (status == ISO_OK) status = iso_volume_read(a.volume, &volume, &err);
	if (status == ISO_OK && a.dose) status = read_dose(&a, volume, &dose, &err);
	if (status == ISO_OK)
		status = cli_objects_prepare(&a.objects, volume, a.dose, a.subject.patient_id, a.quiet, &err);
	a.options.objects = &a.objects.wanted;
	if (status == ISO_OK)
		status = iso_dicom_write_images(a.output, volume, a.dose ? &dose : NULL, &a.subject, &a.options,
						&written, &err);
	if (status == ISO_OK) print_written(&a, volume, &written, a.dose && dose.body_mass_g > 0);
	cli_objects_free(&a.objects);
	iso_volume_free(volume);
	return status == ISO_OK ? 0 : cli_fail(&err);
}
