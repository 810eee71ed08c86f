/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/matter.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/draw.h"

/* What fills a shape: photons see mass per area, so that a density and a table per gram are enough. */
typedef struct filling {
	const iso_material *material;
	double g_mm_cm3; /* density / 10: times cm2/g it is 1/mm */
} filling;

struct iso_matter {
	const iso_body *body;
	size_t materials;
	iso_material **material;                       /* owned */
	filling *of;                                   /* [shapes] */
	double majorant_per_mm[ISO_MATERIAL_ENERGIES]; /* no matter of the body stops more within that step of energy */
	double box_mm[2][3];                           /* holds all shapes */
};

void iso_matter_free(iso_matter *matter)
{
	if (!matter) return;
	for (size_t m = 0; m < matter->materials; m++) free(matter->material[m]);
	free(matter->material);
	free(matter->of);
	free(matter);
}

/* An organ without a material is water of the density that gives its attenuation at 511 keV. */
static iso_status fill(iso_matter *matter, const iso_phantom_organ *organ, filling *of, iso_error *err)
{
	const char *name = organ->material[0] ? organ->material : "water";
	size_t m = 0;
	while (m < matter->materials && strcmp(matter->material[m]->name, name) != 0) m++;
	if (m == matter->materials) {
		const iso_status status = iso_material_create(name, &matter->material[m], err);
		if (status != ISO_OK) return status;
		matter->materials++;
	}
	of->material = matter->material[m];
	const double density = organ->material[0]
				   ? organ->density_g_per_ml
				   : organ->mu_per_cm / iso_material_attenuation_cm2_g("water", 510.99895);
	of->g_mm_cm3 = density / 10;
	return ISO_OK;
}

static void set_bounds(iso_matter *matter)
{
	const iso_body *body = matter->body;
	for (int a = 0; a < 3; a++) {
		matter->box_mm[0][a] = (double)INFINITY;
		matter->box_mm[1][a] = -(double)INFINITY;
	}
	for (size_t s = 0; s < body->shapes; s++) {
		double box[2][3];
		iso_body_shape_box(body, s, box);
		for (int a = 0; a < 3; a++) {
			matter->box_mm[0][a] = fmin(matter->box_mm[0][a], box[0][a]);
			matter->box_mm[1][a] = fmax(matter->box_mm[1][a], box[1][a]);
		}
		const filling *of = &matter->of[s];
		for (size_t i = 0; i < ISO_MATERIAL_ENERGIES; i++) {
			const double most = fmax(of->material->table[i].total, of->material->table[i + 1].total);
			matter->majorant_per_mm[i] = fmax(matter->majorant_per_mm[i], most * of->g_mm_cm3);
		}
	}
}

iso_status iso_matter_create(const iso_phantom *phantom, const iso_body *body, iso_matter **out, iso_error *err)
{
	*out = NULL;
	iso_matter *matter = calloc(1, sizeof *matter);
	if (!matter) return iso_fail_memory(err, "the phantom's matter", sizeof *matter);
	matter->body = body;
	matter->of = calloc(body->shapes, sizeof *matter->of);
	matter->material = calloc(phantom->organs, sizeof *matter->material);
	iso_status status = ISO_OK;
	if (!matter->of || !matter->material) status = iso_fail_memory(err, "the phantom's matter", body->shapes);
	for (size_t s = 0; s < body->shapes && status == ISO_OK; s++)
		status = fill(matter, &phantom->organ[body->shape[s].organ], &matter->of[s], err);
	if (status != ISO_OK) {
		iso_matter_free(matter);
		return status;
	}
	set_bounds(matter);
	*out = matter;
	return ISO_OK;
}

/* The stretch of the ray inside the box; false: none. */
static bool in_box(const iso_matter *matter, const double p[3], const double d[3], double *from, double *to)
{
	double t0 = 0, t1 = (double)INFINITY;
	for (int a = 0; a < 3; a++) {
		const double low = matter->box_mm[0][a] - p[a], high = matter->box_mm[1][a] - p[a];
		if (fabs(d[a]) < 1e-12) {
			if (low > 0 || high < 0) return false;
			continue;
		}
		const double inverse = 1 / d[a], one = low * inverse, two = high * inverse;
		const double near = one < two ? one : two, far = one < two ? two : one;
		t0 = near > t0 ? near : t0;
		t1 = far < t1 ? far : t1;
	}
	*from = t0;
	*to = t1;
	return t1 > t0;
}

bool iso_matter_collide(const iso_matter *matter, iso_random *random, const double p[3], const double d[3],
			double energy_kev, iso_collision *collision)
{
	double at, end, fraction;
	if (!in_box(matter, p, d, &at, &end)) return false;
	const size_t step = iso_material_step(energy_kev, &fraction);
	const double majorant = matter->majorant_per_mm[step];
	if (!(majorant > 0)) return false;
	for (;;) {
		/* log(u) <= u - 1: most flights through a small body end without a logarithm. */
		const double u = draw_uniform(random), left = majorant * (end - at);
		if (1 - u >= left) return false;
		at -= log(u) / majorant;
		if (at >= end) return false;
		const double here[3] = {p[0] + at * d[0], p[1] + at * d[1], p[2] + at * d[2]};
		const int owner = iso_body_owner(matter->body, 0, here);
		if (owner < 0) continue;
		const filling *of = &matter->of[owner];
		const double level = draw_uniform(random) * majorant;
		const double mu = of->g_mm_cm3 * iso_material_total(of->material, step, fraction);
		if (level >= mu) continue;
		collision->distance_mm = at;
		collision->material = of->material;
		/* given a collision, level / mu is uniform again */
		collision->process = iso_material_process(of->material, step, fraction, level / mu);
		return true;
	}
}
