/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/convert_dicom.h"
#include "cli/export_facts.h"
#include "core/error.h"

typedef struct arguments {
	iso_export_options export;
	cli_dicom_request dicom;
	const char *input, *output;
	bool json, quiet;
	bool only_exports, only_dicom; /* an option was given that means something for these alone */
	iso_error err;                 /* of the first value that is wrong */
} arguments;

enum {
	KEY_COMPLETE = 300,
	KEY_MAP,
	KEY_DEPTH,
	KEY_SCANNER,
	KEY_NUCLIDE,
	KEY_TRACER,
	KEY_SUBJECT,
	KEY_START,
	KEY_INJECTION,
	KEY_ACTIVITY,
	KEY_CALIBRATION,
	KEY_CALIBRATION_UNCERTAINTY,
	KEY_SERIES,
	KEY_ZONE,
	KEY_DECAY_REFERENCE,
	KEY_DOSE_FILE,
	KEY_LIKE,
	KEY_LIKE_SERIES,
	KEY_SEGMENT,
	KEY_FINER,
	KEY_JSON
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "what to write: native list-mode (.lm.h5); for DICOM images .nii.gz; needed", 0},
    {"crystal-map", KEY_MAP, "FILE", 0, "SAFIR: text table of ring, det, [layer,] x, y, z in mm", 0},
    {"require-complete", KEY_COMPLETE, 0, 0,
     "refuse a file with fewer records than its header says, instead of warning", 0},
    {"mean-depth", KEY_DEPTH, "MM", 0,
     "PETLINK: mean depth of interaction behind the crystals' front faces, for a scanner that isotrace does not know",
     0},
    {"scanner", KEY_SCANNER, "NAME", 0, "name of the scanner", 1},
    {"nuclide", KEY_NUCLIDE, "NAME", 0, "such as F-18", 1},
    {"tracer", KEY_TRACER, "NAME", 0, "particle or pharmaceutical", 1},
    {"subject", KEY_SUBJECT, "ID", 0, "animal or patient", 1},
    {"start", KEY_START, "TIME", 0, "start of the acquisition, as 2026-03-14T09:26:53Z", 1},
    {"injection", KEY_INJECTION, "TIME", 0, "time of the injection, date and zone as for --start", 1},
    {"injected-activity", KEY_ACTIVITY, "BQ", 0, "at that time, Bq", 1},
    {"calibration-factor", KEY_CALIBRATION, "FACTOR", 0, "of the scanner, (Bq/mL)/(counts/s/mm)", 1},
    {"calibration-uncertainty", KEY_CALIBRATION_UNCERTAINTY, "FRACTION", 0, "relative, k = 1", 1},
    {"series", KEY_SERIES, "UID", 0, "DICOM: which series of the folder", 2},
    {"time-zone", KEY_ZONE, "ZONE", 0,
     "DICOM: how the scanner's clock was set, as +01:00, where the files do not say it", 2},
    {"decay-reference", KEY_DECAY_REFERENCE, "TIME", 0,
     "NM images: the moment to which the values are decay-corrected, as for --start, or none", 2},
    {"dose-file", KEY_DOSE_FILE, "FILE", 0, "DICOM images: write activity, injection and body mass as a dose file, too",
     2},
    {"like", KEY_LIKE, "IMAGE", 0,
     "DICOM organs: the image on which they were drawn: a DICOM series, whose frame of reference must be theirs, or "
     "NIfTI",
     2},
    {"like-series", KEY_LIKE_SERIES, "UID", 0, "which series of that folder", 2},
    {"segment", KEY_SEGMENT, "NAME", 0, "DICOM organs: only this one; can be given several times", 2},
    {"finer", KEY_FINER, "N", 0,
     "RT structure set: label voxels along each voxel of the slices, 1 to 16; 4 unless given", 2},
    {"json", KEY_JSON, 0, 0, "print the result as JSON", 3},
    {"quiet", 'q', 0, 0, "print nothing but errors", 3},
    {0}};

/* A name that fits. */
static void take_text(arguments *a, const char *option, const char *value, char *to, size_t size)
{
	json_t *utf8 = json_string(value);
	json_decref(utf8);
	iso_error err;
	if (!value[0] || !utf8 || strlen(value) >= size)
		cli_keep(&a->err,
			 iso_fail(&err, ISO_BAD_USAGE, NULL, "give a shorter name",
				  "--%s must have 1 to %zu bytes of UTF-8", option, size - 1),
			 &err);
	else
		strcpy(to, value);
}

static void take_time(arguments *a, const char *value, double *to)
{
	iso_error err;
	const iso_status status = iso_time_parse(value, NULL, to, &err);
	if (status != ISO_OK) err.status = ISO_BAD_USAGE;
	cli_keep(&a->err, status, &err);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	arguments *a = state->input;
	iso_acquisition *stated = &a->export.stated;
	const bool shared = key == KEY_NUCLIDE || key == KEY_SUBJECT || key == KEY_JSON;
	a->only_dicom |= key >= KEY_SERIES && key < KEY_JSON;
	a->only_exports |= key >= KEY_COMPLETE && key < KEY_SERIES && !shared;
	switch (key) {
	case 'o': a->output = value; break;
	case 'q': a->quiet = true; break;
	case KEY_JSON: a->json = true; break;
	case KEY_SERIES: a->dicom.series = value; break;
	case KEY_ZONE: a->dicom.zone = value; break;
	case KEY_DECAY_REFERENCE: a->dicom.decay_reference = value; break;
	case KEY_DOSE_FILE: a->dicom.dose_file = value; break;
	case KEY_LIKE: a->dicom.like = value; break;
	case KEY_LIKE_SERIES: a->dicom.like_series = value; break;
	case KEY_FINER: a->dicom.finer = (unsigned)cli_take_whole(&a->err, "finer", value, 1, 16); break;
	case KEY_SEGMENT:
		if (a->dicom.segments == CLI_MOST_SEGMENTS)
			argp_error(state, "more than %d segments", CLI_MOST_SEGMENTS);
		a->dicom.segment[a->dicom.segments++] = value;
		break;
	case KEY_MAP: a->export.crystal_map_path = value; break;
	case KEY_COMPLETE: a->export.require_complete = true; break;
	case KEY_DEPTH: cli_take_number(&a->err, "mean-depth", value, 0, 1000, &a->export.mean_depth_mm); break;
	case KEY_SCANNER: take_text(a, "scanner", value, stated->scanner_name, sizeof stated->scanner_name); break;
	case KEY_NUCLIDE: take_text(a, "nuclide", value, stated->nuclide, sizeof stated->nuclide); break;
	case KEY_TRACER: take_text(a, "tracer", value, stated->tracer, sizeof stated->tracer); break;
	case KEY_SUBJECT: take_text(a, "subject", value, stated->subject, sizeof stated->subject); break;
	case KEY_START: take_time(a, value, &stated->start_utc_s); break;
	case KEY_INJECTION: take_time(a, value, &stated->injection_utc_s); break;
	case KEY_ACTIVITY:
		cli_take_number(&a->err, "injected-activity", value, 1, 1e15, &stated->injected_activity_bq);
		break;
	case KEY_CALIBRATION:
		cli_take_number(&a->err, "calibration-factor", value, 1e-30, 1e30, &a->export.calibration_factor);
		break;
	case KEY_CALIBRATION_UNCERTAINTY:
		cli_take_number(&a->err, "calibration-uncertainty", value, 0, 10, &a->export.calibration_uncertainty);
		break;
	case ARGP_KEY_ARG:
		if (a->input) return ARGP_ERR_UNKNOWN;
		a->input = value;
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "EXPORT",
    .doc =
	"Turns a scanner's list-mode export into native list-mode and says what became of every record, and DICOM of "
	"other "
	"programs into volumes.\v"
	"EXPORT is a Siemens PETLINK header (or its .l file), a SAFIR .clm.safir or a native list-mode file. What the "
	"export does not state can be stated here; what it does state cannot be contradicted.\n\n"
	"A folder, or a DICOM file, holds a PET series or a reconstructed NM image, which become a volume in Bq/mL; NM "
	"projections, which become list-mode (-o X.lm.h5); or a segmentation or RT structure set, which becomes organ "
	"labels and "
	"their table (.csv beside them). What cannot be trusted is refused (docs/dicom-in.md).\n\n"
	"Example:\n  isotrace convert scan.l.hdr -o scan.lm.h5\n"
	"  isotrace convert mouse.clm.safir --crystal-map map.txt --nuclide F-18 --start 2026-03-14T09:26:53Z "
	"-o mouse.lm.h5\n"
	"  isotrace convert dicom/PET --time-zone +01:00 -o pet.nii.gz --dose-file dose.yaml\n"
	"  isotrace convert dicom/RTSTRUCT.dcm --like dicom/CT -o organs.nii.gz"};

static json_t *result(const arguments *a, const iso_event_counts *counts, const char *provenance, iso_error *err)
{
	iso_events *events = NULL;
	if (iso_listmode_open(a->output, &events, err) != ISO_OK) return NULL;
	json_t *facts = cli_event_facts(events, counts, true);
	json_object_set_new(facts, "kind", json_string(iso_file_kind_text(ISO_FILE_LISTMODE)));
	json_object_set_new(facts, "output", json_string(a->output));
	json_object_set_new(facts, "warnings", cli_export_warnings(provenance, counts));
	iso_events_close(events);
	return facts;
}

static int convert_dicom(arguments *a)
{
	if (a->only_exports)
		return cli_usage("convert",
				 "of the acquisition's facts, DICOM takes --nuclide and --subject; the others must be "
				 "in the files");
	cli_dicom_request *r = &a->dicom;
	r->input = a->input;
	r->output = a->output;
	if (a->export.stated.nuclide[0]) r->nuclide = a->export.stated.nuclide;
	if (a->export.stated.subject[0]) r->subject = a->export.stated.subject;
	r->json = a->json;
	r->quiet = a->quiet;
	return cli_convert_dicom(r);
}

int cli_convert(int argc, char **argv)
{
	arguments a = {.export = iso_export_options_default()};
	iso_event_counts counts;
	char *provenance = NULL;
	if (!cli_parse(&argp, argc, argv, &a)) return 2;
	if (a.err.status != ISO_OK) return cli_fail(&a.err);
	if (!a.input) return cli_usage("convert", "name the export to convert");
	if (!a.output) return cli_usage("convert", "say with -o FILE where to write");
	if (cli_is_dicom(a.input)) return convert_dicom(&a);
	if (a.only_dicom) return cli_usage("convert", "%s is no DICOM: options for DICOM mean nothing", a.input);
	if (!isnan(a.export.calibration_uncertainty) && isnan(a.export.calibration_factor))
		return cli_usage("convert", "--calibration-uncertainty needs --calibration-factor");
	const iso_status status = iso_export_convert(a.input, &a.export, a.output, cli_progress(a.quiet || a.json),
						     &counts, &provenance, &a.err);
	cli_progress_end();
	if (status != ISO_OK) return cli_fail(&a.err);
	json_t *facts = result(&a, &counts, provenance, &a.err);
	free(provenance);
	if (!facts) return cli_fail(&a.err);
	if (a.quiet && !a.json)
		json_decref(facts);
	else
		cli_print_result(facts, a.json);
	return 0;
}
