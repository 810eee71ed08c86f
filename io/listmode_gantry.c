/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /gantry of the native list-mode: where the SPECT detectors stood. */
#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "io/hdf5_table.h"
#include "io/listmode.h"

#define REMEDY "the file is damaged or no isotrace list-mode; make it again"
enum { CHUNK = 4096 };
enum { ANGLE, START, DURATION, RADIUS, COLUMNS };
static const char *const names[COLUMNS] = {"angle_deg", "start_s", "duration_s", "radius_mm"};
static const char *const units[COLUMNS] = {"degrees from the patient's back to the left side",
					   "s since the start of the acquisition", "s",
					   "mm from the axis of rotation to the detector"};

static double *field(iso_gantry_position *p, int column)
{
	double *const all[COLUMNS] = {&p->angle_deg, &p->start_s, &p->duration_s, &p->radius_mm};
	return all[column];
}

bool iso_listmode_put_gantry(hid_t file, const iso_gantry *gantry, void *scratch)
{
	const hid_t group = iso_hdf5_create_group(file, "gantry");
	double *values = scratch;
	uint32_t *detectors = scratch; /* when the others are written */
	bool good = group >= 0;
	for (int c = 0; good && c < COLUMNS; c++) {
		bool known = true;
		for (size_t n = 0; n < gantry->count; n++) {
			values[n] = *field(gantry->position + n, c);
			known = known && !isnan(values[n]);
		}
		const iso_hdf5_table table = {.name = names[c],
					      .units = units[c],
					      .stored = H5T_IEEE_F64LE,
					      .memory = H5T_NATIVE_DOUBLE,
					      .rows = gantry->count,
					      .chunk_rows = CHUNK};
		/* what is not known is not in the file */
		if (known) good = iso_hdf5_put_table(group, &table, values);
	}
	for (size_t n = 0; good && n < gantry->count; n++) detectors[n] = gantry->position[n].detector;
	const iso_hdf5_table heads = {.name = "detector",
				      .units = "number of the head, from 0",
				      .stored = H5T_STD_U32LE,
				      .memory = H5T_NATIVE_UINT32,
				      .rows = gantry->count,
				      .chunk_rows = CHUNK};
	if (good) good = iso_hdf5_put_table(group, &heads, detectors);
	if (group >= 0) H5Gclose(group);
	return good;
}

/* A list with as many rows as the others; *rows 0: it is the first. */
static bool get_list(hid_t group, const char *name, H5T_class_t class, size_t size, hid_t memory, hsize_t *rows,
		     void **values)
{
	hsize_t there = 0;
	const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
	bool good = set >= 0 && iso_hdf5_is_table(set, 1, 0, class, size, &there) && there >= 1 && there <= 1u << 22 &&
		    (*rows == 0 || there == *rows) && iso_hdf5_readable(set, ISO_LISTMODE_CHUNK_MOST) &&
		    iso_hdf5_believable(set, there, size);
	*values = good ? malloc(there * size) : NULL;
	*rows = there;
	if (*values) good = H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) >= 0;
	if (set >= 0) H5Dclose(set);
	return good;
}

/* Closes the group. */
static iso_status read_group(hid_t group, const char *path, iso_gantry **out, iso_error *err)
{
	void *values[COLUMNS + 1] = {NULL};
	hsize_t rows = 0;
	const htri_t radius = H5Lexists(group, names[RADIUS], H5P_DEFAULT);
	const char *fault = radius < 0 ? names[RADIUS] : NULL;
	bool memory = true;
	for (int c = 0; !fault && c < COLUMNS; c++) {
		if (c == RADIUS && radius == 0) continue;
		if (!get_list(group, names[c], H5T_FLOAT, 8, H5T_NATIVE_DOUBLE, &rows, values + c)) fault = names[c];
		memory = memory && (fault || values[c]);
	}
	if (!fault && !get_list(group, "detector", H5T_INTEGER, 4, H5T_NATIVE_UINT32, &rows, values + COLUMNS))
		fault = "detector";
	memory = memory && (fault || values[COLUMNS]);
	H5Gclose(group);
	iso_status status = ISO_OK;
	if (fault)
		status = iso_fail(err, ISO_BAD_INPUT, path, REMEDY,
				  "/gantry/%s is missing or is no list like the others", fault);
	else if (!memory)
		status = iso_fail_memory(err, "gantry positions", rows * sizeof(double));
	else
		status = iso_gantry_create((size_t)rows, out, err);
	for (size_t n = 0; status == ISO_OK && n < rows; n++) {
		iso_gantry_position *p = (*out)->position + n;
		for (int c = 0; c < COLUMNS; c++)
			*field(p, c) = values[c] ? ((const double *)values[c])[n] : (double)NAN;
		p->detector = ((const uint32_t *)values[COLUMNS])[n];
	}
	for (int c = 0; c <= COLUMNS; c++) free(values[c]);
	return status == ISO_OK ? iso_gantry_check(*out, path, err) : status;
}

iso_status iso_listmode_get_gantry(hid_t file, const char *path, iso_gantry **out, iso_error *err)
{
	*out = NULL;
	const htri_t there = H5Lexists(file, "gantry", H5P_DEFAULT);
	if (there == 0) return ISO_OK;
	const hid_t group = there > 0 ? H5Gopen2(file, "gantry", H5P_DEFAULT) : -1;
	if (group < 0) return iso_hdf5_fail(err, ISO_BAD_INPUT, path, "/gantry cannot be opened");
	const iso_status status = read_group(group, path, out, err);
	if (status == ISO_OK) return ISO_OK;
	iso_gantry_free(*out);
	*out = NULL;
	return status;
}
