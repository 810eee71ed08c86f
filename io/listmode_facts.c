/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a native list-mode holds beside its events: scanner, acquisition, counts, provenance. */
#include <math.h>
#include <string.h>

#include "io/hdf5_table.h"
#include "io/listmode.h"
#include "isotrace/time.h"

/* Nothing is written for what is not known. */
static bool put_known(hid_t where, const char *name, double value)
{
	return !isfinite(value) || iso_hdf5_put_double(where, name, &value, 1);
}

static bool put_known_text(hid_t where, const char *name, const char *text)
{
	return !text[0] || iso_hdf5_put_text(where, name, text);
}

bool iso_listmode_put_floats(hid_t group, const char *name, const char *units, hsize_t rows, hsize_t columns,
			     const float *values)
{
	const iso_hdf5_table table = {
	    name, units, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rows, columns, .chunk_rows = ISO_LISTMODE_BLOCK};
	return iso_hdf5_put_table(group, &table, values);
}

bool iso_listmode_put_scanner(hid_t file, const iso_scanner *s)
{
	const hid_t group = iso_hdf5_create_group(file, "scanner");
	if (group < 0) return false;
	bool good = iso_listmode_put_floats(group, "position_mm", "mm, patient coordinates LPS+", s->elements, 3,
					    s->position_mm) &&
		    iso_listmode_put_floats(group, "normal", "unit vector, from the front face into the element",
					    s->elements, 3, s->normal) &&
		    iso_listmode_put_floats(group, "efficiency", "relative, 1 = nominal, 0 = dead or a gap",
					    s->elements, 0, s->efficiency) &&
		    put_known_text(group, "name", s->name) &&
		    iso_hdf5_put_text(group, "modality", iso_modality_text(s->modality)) &&
		    iso_hdf5_put_u64(group, "elements_per_ring", s->elements_per_ring) &&
		    put_known(group, "attenuation_per_mm", s->attenuation_per_mm) &&
		    put_known(group, "max_axial_difference_mm", s->rule.max_axial_difference_mm) &&
		    put_known(group, "max_transaxial_offset_mm", s->rule.max_transaxial_offset_mm) &&
		    put_known(group, "min_distance_mm", s->rule.min_distance_mm) &&
		    (s->dead_time_model == ISO_DEAD_TIME_NONE ||
		     iso_hdf5_put_text(group, "dead_time_model", iso_dead_time_model_text(s->dead_time_model))) &&
		    put_known(group, "dead_time_ns", s->dead_time_ns) &&
		    put_known(group, "coincidence_window_ns", s->coincidence_window_ns) &&
		    put_known(group, "calibration_factor", s->calibration_factor) &&
		    put_known(group, "calibration_uncertainty", s->calibration_uncertainty);
	if (good && isfinite(s->element_size_mm[0] + s->element_size_mm[1] + s->element_size_mm[2]))
		good = iso_hdf5_put_double(group, "element_size_mm", s->element_size_mm, 3);
	const uint64_t block_crystals[2] = {s->block_crystals[0], s->block_crystals[1]};
	if (good && block_crystals[0] > 0) good = iso_hdf5_put_u64s(group, "block_crystals", block_crystals, 2);
	if (good && s->tof.bins > 0)
		good = iso_hdf5_put_u64(group, "tof_bins", (uint64_t)s->tof.bins) &&
		       put_known(group, "tof_bin_ps", s->tof.bin_ps) && put_known(group, "tof_fwhm_ps", s->tof.fwhm_ps);
	H5Gclose(group);
	return good;
}

bool iso_listmode_put_acquisition(hid_t file, const iso_acquisition *a)
{
	char start[40], injection[40];
	const hid_t group = iso_hdf5_create_group(file, "acquisition");
	if (group < 0) return false;
	bool good = iso_hdf5_put_text(group, "modality", iso_modality_text(a->modality)) &&
		    put_known_text(group, "scanner_name", a->scanner_name) &&
		    put_known_text(group, "nuclide", a->nuclide) && put_known_text(group, "tracer", a->tracer) &&
		    put_known_text(group, "subject", a->subject) &&
		    put_known_text(group, "start_utc", iso_time_text(a->start_utc_s, start)) &&
		    put_known_text(group, "injection_utc", iso_time_text(a->injection_utc_s, injection)) &&
		    put_known(group, "duration_s", a->duration_s) &&
		    put_known(group, "injected_activity_bq", a->injected_activity_bq) &&
		    put_known(group, "half_life_s", a->half_life_s) &&
		    put_known(group, "branching_fraction", a->branching_fraction) &&
		    put_known(group, "energy_resolution", a->energy_resolution);
	if (good && isfinite(a->energy_window_kev[0] + a->energy_window_kev[1]))
		good = iso_hdf5_put_double(group, "energy_window_kev", a->energy_window_kev, 2);
	H5Gclose(group);
	return good;
}

bool iso_listmode_put_counts(hid_t file, const iso_event_counts *c)
{
	const hid_t group = iso_hdf5_create_group(file, "counts");
	if (group < 0) return false;
	bool good =
	    iso_hdf5_put_u64(group, "records", c->records) && iso_hdf5_put_u64(group, "prompts", c->prompts) &&
	    iso_hdf5_put_u64(group, "delayeds", c->delayeds) && iso_hdf5_put_u64(group, "tags_time", c->tags_time) &&
	    iso_hdf5_put_u64(group, "tags_other", c->tags_other) && put_known(group, "duration_s", c->duration_s);
	for (int r = 0; good && r < ISO_REJECT_REASONS; r++)
		good = iso_hdf5_put_u64(group, iso_listmode_rejected[r], c->rejected[r]);
	H5Gclose(group);
	return good;
}

/* A dataset and not an attribute: attributes end at 64 KiB. */
bool iso_listmode_put_provenance(hid_t file, const char *json)
{
	if (!json || !json[0]) return true;
	const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), plan = iso_hdf5_plan(H5P_DATASET_CREATE);
	hid_t set = -1;
	bool good = type >= 0 && space >= 0 && plan >= 0 && H5Tset_size(type, strlen(json) + 1) >= 0 &&
		    H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
	if (good) set = H5Dcreate2(file, "provenance", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
	good = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, json) >= 0;
	if (set >= 0 && H5Dclose(set) < 0) good = false;
	if (type >= 0) H5Tclose(type);
	if (space >= 0) H5Sclose(space);
	if (plan >= 0) H5Pclose(plan);
	return good;
}
