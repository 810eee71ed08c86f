/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_ATTENUATION_H
#define ISOTRACE_ATTENUATION_H

#include "isotrace/ct.h"
#include "isotrace/image.h"
#include "isotrace/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps of linear attenuation coefficients at 511 keV, in 1/cm, from CT or from labels. Described in docs/attenuation.md. */

#define ISO_MU_WATER_PER_CM 0.0960 /* at 511 keV: xraylib 4.0, NIST XCOM */

/* From Hounsfield units to mu: up to break_hu a mixture of air and water, water_per_cm (1 + HU/1000) and never below 0; above
 * it of water and bone, bone_per_cm + bone_slope HU. HU above most_hu (metal, contrast agent) count as most_hu. */
typedef struct iso_mu_curve {
	double water_per_cm, break_hu;
	double bone_per_cm, bone_slope_per_cm; /* 1/cm, and 1/cm per HU */
	double most_hu;
	double kvp, effective_kev; /* that it is made for; NAN = not by this */
	char source[128];
} iso_mu_curve;

/* The curve of a tube voltage. 70 to 150 kV: between the published values for clinical CT at 80, 100, 120 and 140 kV. 40 to 70 kV: from the
 * effective energy of a lightly filtered beam. Else ISO_BAD_INPUT. */
iso_status iso_mu_curve_of_kvp(double kvp, iso_mu_curve *out, iso_error *err);
/* The curve of a beam of this effective energy in keV (15 to 150), for a CT of which one knows it. */
iso_status iso_mu_curve_of_energy(double effective_kev, iso_mu_curve *out, iso_error *err);
/* One's own curve, interpolated between the rows of a table: CSV with the header kvp,break_hu,a_per_cm,b_per_cm_per_hu; water_per_cm stays. A kvp
 * outside of the rows by more than 0.5 kV: ISO_BAD_INPUT. */
iso_status iso_mu_curve_read(const char *path, double kvp, iso_mu_curve *out, iso_error *err);
double iso_mu_of_hu(const iso_mu_curve *curve, double hu);

/* What to do where the CT ends and the body does not. */
typedef enum iso_ct_truncation {
	ISO_CT_TRUNCATION_REFUSE, /* ISO_BAD_INPUT when it is more than a trace */
	ISO_CT_TRUNCATION_IGNORE, /* what is not in the CT is air */
	ISO_CT_TRUNCATION_EXTEND  /* what the outline has and the CT has not is water */
} iso_ct_truncation;

typedef struct iso_mu_options {
	iso_mu_curve curve;
	double offset_mm[3]; /* added to all positions of the CT, to bring it to the PET */
	double blur_fwhm_mm; /* of the map, on its grid; 0 = none */
	iso_ct_truncation truncation;
	/* For EXTEND: positive where the body is, 0 elsewhere; any grid, in the PET's coordinates. */
	const iso_image *outline;
	int threads;                  /* 0 = as many as OpenMP offers */
	const iso_progress *progress; /* for notes; may be NULL */
} iso_mu_options;
iso_mu_options iso_mu_options_default(void); /* no curve, refuses truncation */

/* What was met on the way. */
typedef struct iso_mu_report {
	size_t clamped;       /* voxels above most_hu */
	double most_found_hu; /* the largest value of the CT */
	double border_share;  /* of the border of the CT's field, all slices together, that is tissue (above -300 HU) */
	size_t border_slices; /* slices with tissue on more than 5 % of their border */
	double missing_mm
	    [2]; /* how far the wanted grid goes on beyond the CT's first and last slice where these have a body; else 0 */
	double extended_ml;      /* filled with water */
	double outside_fraction; /* of the CT's summed mu that lies outside the wanted grid */
} iso_mu_report;

/* Turns a CT in HU into a map in 1/cm on `grid` (NULL: the CT's own): converted voxel by voxel, then averaged over each voxel of the
 * grid, then blurred. ct's voxels and origin are overwritten on the way (a large CT is not held twice). report may be NULL. */
iso_status iso_mu_from_ct(iso_image *ct, const iso_mu_options *options, const iso_grid *grid, iso_image **out,
			  iso_mu_report *report, iso_error *err);

/* The lattice of `grid` carried on until it covers all of `image_grid`, moved by offset_mm: the reconstruction wants all that lies in lines of
 * response, the couch too. */
iso_grid iso_grid_covering(const iso_grid *grid, const iso_grid *image_grid, const double offset_mm[3]);

/* A row of a table of labels. mu_per_cm NAN: of the material, a name that xraylib knows ("Water, Liquid",
 * "Bone, Cortical (ICRP)") or a formula ("H2O"), at density_g_per_ml (NAN: the material's own). */
typedef struct iso_mu_label {
	int label;
	double mu_per_cm;
	char material[64];
	double density_g_per_ml;
} iso_mu_label;
/* CSV with the header label and mu_per_cm or material[,density_g_per_ml], or all of them, one filled per row. *rows is owned by the
 * caller (free()). */
iso_status iso_mu_labels_read(const char *path, iso_mu_label **rows, size_t *count, iso_error *err);
/* Averaged over each voxel of `grid` (NULL: the labels' own). Label 0 is air unless the table has it; other labels that the table lacks:
 * ISO_BAD_INPUT. */
iso_status iso_mu_from_labels(const iso_image *labels, const iso_mu_label *rows, size_t count, const iso_grid *grid,
			      iso_image **out, iso_error *err);

/* mu of a material at an energy, in 1/cm; of xraylib's table. */
iso_status iso_mu_of_material(const char *material, double density_g_per_ml, double kev, double *per_cm,
			      iso_error *err);

/* What a map was made of, for its sidecar. */
typedef struct iso_mu_facts {
	iso_ct_facts ct;
	iso_mu_curve curve;
	iso_mu_report report;
	iso_mu_options options;
	char labels[256], table[256]; /* file names, for a map from labels; "" = from CT */
} iso_mu_facts;

/* "CT 1.2.3.4, 120 kV, published clinical table" for corrections.attenuation: at most 95 characters. */
char *iso_mu_text(const iso_mu_facts *facts, char text[96]);

/* PATH.nii.gz and PATH.json, the sidecar last. */
iso_status iso_mu_write(const char *path, const iso_image *mu, const iso_mu_facts *facts, iso_error *err);
/* What a map was made from, as its sidecar says when iso_mu_write has made it; else "". A sidecar that is no JSON is an error. */
iso_status iso_mu_made_from(const char *path, char source[96], iso_error *err);
/* The map in 1/cm, and that. */
iso_status iso_mu_read(const char *path, iso_image **mu, char source[96], iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
