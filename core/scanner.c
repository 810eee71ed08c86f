/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isotrace/scanner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/pair_components.h"

iso_status iso_scanner_create(uint32_t elements, const char *name, iso_scanner **out, iso_error *err)
{
	*out = NULL;
	iso_scanner *scanner = calloc(1, sizeof *scanner);
	if (!scanner) return iso_fail_memory(err, "a scanner", sizeof *scanner);
	const size_t rows = elements ? elements : 1;
	scanner->position_mm = calloc(rows, 3 * sizeof(float));
	scanner->normal = calloc(rows, 3 * sizeof(float));
	scanner->efficiency = calloc(rows, sizeof(float));
	if (!scanner->position_mm || !scanner->normal || !scanner->efficiency) {
		iso_scanner_free(scanner);
		return iso_fail_memory(err, "a scanner's elements", rows * 7 * sizeof(float));
	}
	for (size_t e = 0; e < elements; e++) scanner->efficiency[e] = 1.0f;
	snprintf(scanner->name, sizeof scanner->name, "%s", name);
	scanner->modality = ISO_MODALITY_PET;
	scanner->elements = elements;
	for (int a = 0; a < 3; a++) scanner->element_size_mm[a] = (double)NAN;
	scanner->attenuation_per_mm = (double)NAN;
	scanner->rule =
	    (iso_pair_rule){.max_axial_difference_mm = (double)INFINITY, .max_transaxial_offset_mm = (double)INFINITY};
	scanner->dead_time_ns = scanner->coincidence_window_ns = (double)NAN;
	scanner->calibration_factor = (double)NAN;
	scanner->calibration_uncertainty = (double)NAN;
	*out = scanner;
	return ISO_OK;
}

iso_status iso_scanner_from_rings(const iso_ring_description *d, iso_scanner **out, iso_error *err)
{
	*out = NULL;
	if (d->rings < 1 || d->crystals_per_ring < 2 || (uint64_t)d->rings * d->crystals_per_ring > 100000000u ||
	    !(d->radius_mm > 0 && d->radius_mm < 1e6) || !(d->mean_depth_mm >= 0 && d->mean_depth_mm < 1e6) ||
	    !(d->ring_spacing_mm > 0 && d->ring_spacing_mm < 1e6) || !isfinite(d->first_angle_rad))
		return iso_fail(err, ISO_BAD_INPUT, NULL,
				"state rings, crystals per ring, radius_mm and ring_spacing_mm, all > 0",
				"a scanner of %u rings of %u crystals, radius %g mm, spacing %g mm is impossible",
				d->rings, d->crystals_per_ring, d->radius_mm, d->ring_spacing_mm);
	iso_status status = iso_scanner_create(d->rings * d->crystals_per_ring, d->name, out, err);
	if (status != ISO_OK) return status;
	iso_scanner *scanner = *out;
	scanner->elements_per_ring = d->crystals_per_ring;
	memcpy(scanner->element_size_mm, d->crystal_size_mm, sizeof scanner->element_size_mm);
	scanner->attenuation_per_mm = d->attenuation_per_mm;
	const double rho = d->radius_mm + d->mean_depth_mm;
	for (uint32_t e = 0; e < scanner->elements; e++) {
		const uint32_t ring = e / d->crystals_per_ring, crystal = e % d->crystals_per_ring;
		const double angle = d->first_angle_rad + 6.283185307179586 * crystal / d->crystals_per_ring;
		float *position = scanner->position_mm + 3 * (size_t)e, *normal = scanner->normal + 3 * (size_t)e;
		position[0] = (float)(rho * cos(angle));
		position[1] = (float)(rho * sin(angle));
		position[2] = (float)((ring - 0.5 * (d->rings - 1.0)) * d->ring_spacing_mm);
		normal[0] = (float)cos(angle);
		normal[1] = (float)sin(angle);
	}
	return ISO_OK;
}

iso_status iso_scanner_copy(const iso_scanner *scanner, iso_scanner **out, iso_error *err)
{
	iso_status status = iso_scanner_create(scanner->elements, scanner->name, out, err);
	if (status != ISO_OK) return status;
	iso_scanner *copy = *out;
	float *position = copy->position_mm, *normal = copy->normal, *efficiency = copy->efficiency;
	const size_t n = scanner->elements;
	memcpy(position, scanner->position_mm, 3 * n * sizeof(float));
	memcpy(normal, scanner->normal, 3 * n * sizeof(float));
	memcpy(efficiency, scanner->efficiency, n * sizeof(float));
	*copy = *scanner;
	copy->position_mm = position;
	copy->normal = normal;
	copy->efficiency = efficiency;
	copy->components = NULL;
	status = iso_scanner_copy_components(scanner, copy, err);
	if (status == ISO_OK) return ISO_OK;
	iso_scanner_free(copy);
	*out = NULL;
	return status;
}

void iso_scanner_free(iso_scanner *scanner)
{
	if (!scanner) return;
	free(scanner->position_mm);
	free(scanner->normal);
	free(scanner->efficiency);
	iso_pair_components_free(scanner->components);
	free(scanner);
}

iso_status iso_scanner_check(const iso_scanner *scanner, const char *file, iso_error *err)
{
	if (scanner->elements < (scanner->modality == ISO_MODALITY_PET ? 2u : 1u))
		return iso_fail(err, ISO_BAD_INPUT, file, "check the scanner's description", "a scanner of %u elements",
				scanner->elements);
	for (uint32_t e = 0; e < scanner->elements; e++) {
		const float *p = scanner->position_mm + 3 * (size_t)e, *n = scanner->normal + 3 * (size_t)e;
		const double length =
		    sqrt((double)n[0] * (double)n[0] + (double)n[1] * (double)n[1] + (double)n[2] * (double)n[2]);
		if (!isfinite(p[0]) || !isfinite(p[1]) || !isfinite(p[2]) || !(fabs(length - 1) < 1e-3))
			return iso_fail(err, ISO_BAD_INPUT, file, "check the scanner's description",
					"element %u has position (%g, %g, %g) mm and an orientation of length %g", e,
					(double)p[0], (double)p[1], (double)p[2], length);
		if (!isfinite(scanner->efficiency[e]) || scanner->efficiency[e] < 0)
			return iso_fail(err, ISO_BAD_INPUT, file, "give efficiencies >= 0",
					"element %u has efficiency %g", e, (double)scanner->efficiency[e]);
	}
	if (!(scanner->rule.max_axial_difference_mm >= 0) || !(scanner->rule.max_transaxial_offset_mm >= 0) ||
	    !(scanner->rule.min_distance_mm >= 0))
		return iso_fail(err, ISO_BAD_INPUT, file, "give limits >= 0 mm, or leave them out",
				"the pair rule has a negative limit");
	const iso_tof *tof = &scanner->tof;
	if (tof->bins != 0 && (tof->bins < 0 || tof->bins % 2 == 0 || tof->bins > 32767 || !(tof->fwhm_ps > 0) ||
			       !(tof->bin_ps > 0) || !isfinite(tof->fwhm_ps) || !isfinite(tof->bin_ps)))
		return iso_fail(err, ISO_BAD_INPUT, file, "state fwhm_ps, bin_ps and an odd number of bins",
				"TOF of %d bins of %g ps with a resolution of %g ps", tof->bins, tof->bin_ps,
				tof->fwhm_ps);
	const uint32_t per_ring = scanner->elements_per_ring, across = scanner->block_crystals[0],
		       along = scanner->block_crystals[1];
	if ((across || along) && (!across || !along || !per_ring || scanner->elements % per_ring || per_ring % across ||
				  scanner->elements / per_ring % along))
		return iso_fail(err, ISO_BAD_INPUT, file,
				"give block_crystals that divide the rings, or leave them out",
				"blocks of %u x %u crystals do not fill %u elements in rings of %u", across, along,
				scanner->elements, per_ring);
	if ((!isnan(scanner->dead_time_ns) && !(scanner->dead_time_ns >= 0 && scanner->dead_time_ns < 1e9)) ||
	    (!isnan(scanner->coincidence_window_ns) &&
	     !(scanner->coincidence_window_ns > 0 && scanner->coincidence_window_ns < 1e6)))
		return iso_fail(err, ISO_BAD_INPUT, file, "give them in ns, or leave them out",
				"a dead time of %g ns, a coincidence window of %g ns", scanner->dead_time_ns,
				scanner->coincidence_window_ns);
	if (!isnan(scanner->calibration_factor) &&
	    !(scanner->calibration_factor > 0 && isfinite(scanner->calibration_factor)))
		return iso_fail(err, ISO_BAD_INPUT, file, "give a factor > 0, or none", "a calibration factor of %g",
				scanner->calibration_factor);
	return ISO_OK;
}

bool iso_scanner_pair_allowed(const iso_scanner *scanner, uint32_t a, uint32_t b)
{
	if (a == b || scanner->efficiency[a] <= 0 || scanner->efficiency[b] <= 0) return false;
	const float *p = scanner->position_mm + 3 * (size_t)a, *q = scanner->position_mm + 3 * (size_t)b;
	const double dx = (double)q[0] - (double)p[0], dy = (double)q[1] - (double)p[1],
		     dz = (double)q[2] - (double)p[2];
	const double slack = 1e-3;
	if (fabs(dz) > scanner->rule.max_axial_difference_mm + slack) return false;
	const double across = dx * dx + dy * dy, shortest = scanner->rule.min_distance_mm - slack;
	if (shortest > 0 && across + dz * dz < shortest * shortest) return false;
	if (isinf(scanner->rule.max_transaxial_offset_mm)) return true;
	/* Distance of the axis from the line seen along z: |p x q| / |q - p|. Products of floats are exact in double, so that
	 * (a, b) and (b, a) get the same answer to the last bit. */
	const double cross = (double)p[0] * (double)q[1] - (double)p[1] * (double)q[0],
		     widest = scanner->rule.max_transaxial_offset_mm + slack;
	return across > 0 ? cross * cross <= widest * widest * across
			  : (double)p[0] * (double)p[0] + (double)p[1] * (double)p[1] <= widest * widest;
}

uint32_t iso_scanner_blocks(const iso_scanner *scanner)
{
	const uint64_t crystals = (uint64_t)scanner->block_crystals[0] * scanner->block_crystals[1];
	return crystals ? (uint32_t)(scanner->elements / crystals) : 0;
}

uint32_t iso_scanner_block(const iso_scanner *scanner, uint32_t element)
{
	const uint32_t per_ring = scanner->elements_per_ring, ring = element / per_ring, crystal = element % per_ring;
	return ring / scanner->block_crystals[1] * (per_ring / scanner->block_crystals[0]) +
	       crystal / scanner->block_crystals[0];
}

void iso_scanner_hash(const iso_scanner *scanner, char hex[65])
{
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, "iso_scanner 1");
	iso_hash_u64(&hash, scanner->modality);
	iso_hash_u64(&hash, scanner->elements);
	iso_hash_bytes(&hash, scanner->position_mm, 3 * (size_t)scanner->elements * sizeof(float));
	iso_hash_bytes(&hash, scanner->normal, 3 * (size_t)scanner->elements * sizeof(float));
	iso_hash_bytes(&hash, scanner->efficiency, (size_t)scanner->elements * sizeof(float));
	for (int a = 0; a < 3; a++) iso_hash_double(&hash, scanner->element_size_mm[a]);
	iso_hash_double(&hash, scanner->attenuation_per_mm);
	iso_hash_double(&hash, scanner->rule.max_axial_difference_mm);
	iso_hash_double(&hash, scanner->rule.max_transaxial_offset_mm);
	iso_hash_double(&hash, scanner->rule.min_distance_mm);
	iso_hash_double(&hash, scanner->tof.fwhm_ps);
	iso_hash_double(&hash, scanner->tof.bin_ps);
	iso_hash_u64(&hash, (uint64_t)scanner->tof.bins);
	iso_pair_components_hash(scanner, &hash);
	iso_hash_end(&hash, hex);
}

const char *iso_dead_time_model_text(iso_dead_time_model model)
{
	return model == ISO_DEAD_TIME_PARALYZABLE       ? "paralyzable"
	       : model == ISO_DEAD_TIME_NON_PARALYZABLE ? "non-paralyzable"
							: "unknown";
}

iso_dead_time_model iso_dead_time_model_from_text(const char *text)
{
	if (strcmp(text, "paralyzable") == 0) return ISO_DEAD_TIME_PARALYZABLE;
	return strcmp(text, "non-paralyzable") == 0 ? ISO_DEAD_TIME_NON_PARALYZABLE : ISO_DEAD_TIME_NONE;
}
