/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_DICOM_H
#define ISOTRACE_DICOM_H

#include <stdbool.h>

#include "isotrace/biodistribution.h"
#include "isotrace/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who and what, for the tags that a volume does not know. "" = not stated (type 2 tags stay empty). */
typedef struct iso_dicom_subject {
	char patient_id[65], patient_name[65];
	char sex[2];        /* "M", "F", "O" or "" */
	char birth_date[9]; /* "YYYYMMDD" or "" */
	/* One of iso_dicom_species_names, or the Latin name; anything else is refused. "" = not stated and "human": no
	 * animal module. */
	char species[32];
	char strain[64];
	char responsible_person[65], responsible_organisation[65];
	char study_description[65], study_id[17], accession_number[17];
	char study_key[128]; /* what makes the study's UID: same key, same study; "" = the subject's id + start */
	char series_description[65]; /* "" = made from nuclide and reconstruction */
	unsigned series_number;      /* 0 = not stated: 1 */
	char position[8];            /* "prone", "supine" or "" */
	char body_part[17];          /* "WHOLEBODY", "HEAD", ... as DICOM spells them, or "" */
	char institution[65], manufacturer[65];
} iso_dicom_subject;
iso_dicom_subject iso_dicom_subject_unknown(void);
/* "mouse, rat, rabbit, ..." for help texts. */
const char *iso_dicom_species_names(void);

/* What the SUV needs. How the net activity follows from the syringe's assays is iso_dose_injected_bq's business. */
typedef struct iso_dicom_dose {
	double injected_bq; /* net, at the moment of injection */
	double injection_utc_s;
	double body_mass_g; /* NAN = not known: no weight in the files, no SUV */
	char tracer[64];    /* "" = as the volume has it */
	char route[32];     /* "intravenous", "intraperitoneal", "subcutaneous", "intratumoral", free text, or "" */
} iso_dicom_dose;

/* How finely values are stored in 16 bits. */
typedef enum iso_dicom_slope {
	ISO_DICOM_SLOPE_SLICE = 0, /* each slice its own slope (an NM file has one slope: each frame its own) */
	ISO_DICOM_SLOPE_SERIES     /* one for all, as some readers need: quiet slices are stored coarser */
} iso_dicom_slope;

/* The secret by which de-identified UIDs, pseudonyms and dates follow from the real ones: with the same key the same patient
 * is the same again. Whoever has the key can test a guess; without it nothing can be worked back. */
typedef struct iso_dicom_key {
	unsigned char bytes[1024];
	size_t size;
} iso_dicom_key;
/* The content of a file, without white space at its end: 16 to 1024 bytes, else ISO_BAD_INPUT. */
iso_status iso_dicom_key_read(const char *path, iso_dicom_key *key, iso_error *err);

/* Organs as Segmentation Storage: the labels themselves, on their own grid; or of each voxel of the images the part inside the organ,
 * in steps of 1/255. */
typedef enum iso_dicom_segments {
	ISO_DICOM_SEGMENTS_NONE = 0,
	ISO_DICOM_SEGMENTS_BINARY,
	ISO_DICOM_SEGMENTS_FRACTIONAL
} iso_dicom_segments;

/* Parametric Map Storage, in floats. */
typedef enum iso_dicom_map {
	ISO_DICOM_MAP_NONE = 0,
	ISO_DICOM_MAP_PERCENT_ID_PER_G, /* tissue taken as 1 g/mL; needs the dose */
	ISO_DICOM_MAP_SUV               /* SUVbw; needs the body mass, too */
} iso_dicom_map;

/* What is written beside the images: into the same folder and study, each a series of its own that refers to the images. */
typedef struct iso_dicom_objects {
	iso_dicom_segments segmentation;
	const iso_image *labels;  /* of a binary segmentation */
	const iso_organs *organs; /* of either: on the volume's grid */
	/* Structured report (TID 1500) of the table that came from this volume and these organs; NULL = none. */
	const iso_biodistribution *report;
	iso_dicom_map map;
	const char *pdf; /* a file to encapsulate; NULL = none. Refused with deidentify: it may show who it was */
} iso_dicom_objects;

/* Has the organ a public code (SNOMED CT)? Without one, objects carry a code of isotrace's own that other programs do not know. */
bool iso_dicom_organ_is_coded(const char *organ);

typedef struct iso_dicom_options {
	iso_dicom_slope slope;
	const iso_dicom_key *deidentify; /* NULL = as it is */
	/* One more file, Real World Value Mapping Storage: what maps the stored values to %/g also stands in the images, but not every
	 * reader looks there. Needs a dose. */
	bool real_world_values;
	const iso_dicom_objects *objects; /* NULL: images alone */
} iso_dicom_options;

typedef struct iso_dicom_written {
	size_t files;
	double largest_step; /* of a stored value, in the volume's unit: voxels are within half of it; 0: all are 0 */
} iso_dicom_written;

/* Writes the volume as a series into directory, which appears whole or not at all and replaces an existing one: PET
 * Image Storage, one file per slice and frame, or, for SPECT, NM Image Storage (RECON TOMO), one file per frame. Requires
 * Bq/mL, a known start of the acquisition, a nuclide of the table (for PET: a positron emitter) and decay correction to the
 * start of the acquisition: else ISO_BAD_INPUT. dose may be NULL: the files then have images but no SUV; options NULL: the
 * defaults. The same input and options give the same files, UIDs included. Described in docs/dicom.md. */
iso_status iso_dicom_write_images(const char *directory, const iso_volume *volume, const iso_dicom_dose *dose,
				  const iso_dicom_subject *subject, const iso_dicom_options *options,
				  iso_dicom_written *written, iso_error *err);

/* De-identifies every file below `from` (a file or a folder) into the folder `to`, as 000001.dcm and so on in the order of the names:
 * Basic Application Level Confidentiality Profile of DICOM PS3.15, dates moved by days of the patient's own, UIDs replaced, sex,
 * age, size and weight kept. `to` appears whole or not at all. What is no DICOM file, is de-identified already, or may hold names
 * that cannot be found (encapsulated documents, burned-in text): ISO_BAD_INPUT. files may be NULL. Described in docs/dicom.md. */
iso_status iso_dicom_deidentify(const char *from, const char *to, const iso_dicom_key *key, size_t *files,
				iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
