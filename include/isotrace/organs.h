/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_ORGANS_H
#define ISOTRACE_ORGANS_H

#include "isotrace/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One organ of the label image. */
typedef struct iso_organ {
	int label; /* value in the label image, >= 1 */
	char name[32];
	double density_g_per_ml, density_uncertainty_g_per_ml; /* uncertainty k = 1; NAN = not stated */
	double mass_g, mass_uncertainty_g;                     /* weighed mass; NAN = volume x density is used */
} iso_organ;

/* Organs, and which part of every voxel of a grid belongs to which: sparse, a voxel may be shared. */
typedef struct iso_organs {
	size_t count;
	iso_organ *organ;   /* owned */
	double *volume_ml;  /* owned: of the label image itself, before resampling */
	double *surface_ml; /* owned: volume of the boundary shell, for the uncertainty of the volume */
	iso_grid grid;      /* the grid that the fractions are on */
	bool sampled;       /* the grids are turned against each other: fractions carry the error of sampling */
	/* Organ o holds entries [first[o], first[o+1]): voxel number and the fraction of that voxel inside the organ. */
	size_t *first; /* owned, [count + 1] */
	size_t *voxel; /* owned */
	float
	    *fraction; /* owned, (0, 1]; when the grids are turned against each other, more by the error of sampling */
} iso_organs;

/* The name table: CSV with a header: label,organ[,density_g_per_ml][,density_uncertainty_g_per_ml][,mass_g][,mass_uncertainty_g].
 * Without a density the organ's name must be in the library's table of densities. organs is owned by the caller
 * (free()). */
iso_status iso_organ_table_read(const char *path, iso_organ **organs, size_t *count, iso_error *err);

/* Writes one; what is NAN is left empty. */
iso_status iso_organ_table_write(const char *path, const iso_organ *organs, size_t count, iso_error *err);

/* Density of tissue by organ name ("liver", "lungs" ...), case-insensitive; false when it is not known. Source in the
 * table's rows (ICRP 110 / ICRU 46). */
bool iso_tissue_density(const char *organ, double *g_per_ml, double *uncertainty_g_per_ml, const char **source);

/* Brings labels onto a grid, keeping the part of each voxel that lies inside each organ. A label value that the table
 * lacks, a table row without a voxel, labels that do not overlap the grid: ISO_BAD_INPUT; labels only partly inside: ISO_BAD_INPUT
 * too (an organ cut by the field of view has no total). labels_path is named in errors. */
iso_status iso_organs_create(const iso_image *labels, const iso_organ *organs, size_t count, const iso_grid *grid,
			     const char *labels_path, iso_organs **out, iso_error *err);
void iso_organs_free(iso_organs *organs);

#ifdef __cplusplus
}
#endif
#endif
