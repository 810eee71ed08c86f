/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/body.h"

#include <math.h>
#include <stdlib.h>

#include "core/error.h"
#include "simulate/body_voxels.h"

#define PI 3.14159265358979323846
/* No phantom has more: the ray's boundaries live on the stack. */
#define MOST_SHAPES 256
/* Dry air at 20 degrees C and 101.3 kPa. */
static const double air_density_g_ml = 0.0012;

/* rotation_deg about the fixed x, then y, then z axis: R = Rz Ry Rx. */
static void rotation(const double degrees[3], double r[3][3])
{
	double c[3], s[3];
	for (int a = 0; a < 3; a++) {
		c[a] = cos(degrees[a] * PI / 180);
		s[a] = sin(degrees[a] * PI / 180);
	}
	const double matrix[3][3] = {{c[2] * c[1], c[2] * s[1] * s[0] - s[2] * c[0], c[2] * s[1] * c[0] + s[2] * s[0]},
				     {s[2] * c[1], s[2] * s[1] * s[0] + c[2] * c[0], s[2] * s[1] * c[0] - c[2] * s[0]},
				     {-s[1], c[1] * s[0], c[1] * c[0]}};
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++) r[i][j] = matrix[i][j];
}

static void set_shape(iso_body_shape *out, const iso_shape *shape, const iso_phantom_organ *organ)
{
	double r[3][3];
	rotation(shape->rotation_deg, r);
	const double *a = shape->half_axes_mm;
	out->kind = shape->kind;
	for (int i = 0; i < 3; i++) {
		out->centre_mm[i] = shape->centre_mm[i];
		for (int j = 0; j < 3; j++) {
			out->from_unit[i][j] = r[i][j] * a[j];
			out->to_unit[j][i] = r[i][j] / a[j];
		}
	}
	out->smallest_mm = fmin(a[0], fmin(a[1], a[2]));
	if (shape->kind == ISO_SHAPE_ELLIPSOID) {
		const double largest = fmax(a[0], fmax(a[1], a[2]));
		out->bound_mm2 = largest * largest;
		out->whole_ml = 4.0 / 3.0 * PI * a[0] * a[1] * a[2] / 1000;
	} else {
		const double widest = fmax(a[0], a[1]);
		out->bound_mm2 = widest * widest + a[2] * a[2];
		out->whole_ml = 2 * PI * a[0] * a[1] * a[2] / 1000;
	}
	out->bound_mm = sqrt(out->bound_mm2);
	out->organ = shape->organ;
	out->mu_per_mm = organ->mu_per_cm / 10;
	out->density_g_ml = organ->density_g_per_ml;
}

static void to_unit(const iso_body_shape *shape, const double point_mm[3], double u[3])
{
	const double x = point_mm[0] - shape->centre_mm[0], y = point_mm[1] - shape->centre_mm[1],
		     z = point_mm[2] - shape->centre_mm[2];
	for (int i = 0; i < 3; i++)
		u[i] = shape->to_unit[i][0] * x + shape->to_unit[i][1] * y + shape->to_unit[i][2] * z;
}

bool iso_body_shape_holds(const iso_body_shape *shape, const double point_mm[3])
{
	const double x = point_mm[0] - shape->centre_mm[0], y = point_mm[1] - shape->centre_mm[1],
		     z = point_mm[2] - shape->centre_mm[2];
	if (x * x + y * y + z * z > shape->bound_mm2) return false;
	double u[3];
	to_unit(shape, point_mm, u);
	const double across = u[0] * u[0] + u[1] * u[1], along = u[2] * u[2];
	return shape->kind == ISO_SHAPE_ELLIPSOID ? across + along <= 1 : across <= 1 && along <= 1;
}

int iso_body_owner(const iso_body *body, size_t first, const double point_mm[3])
{
	if (body->voxels) {
		const int owner = iso_body_voxels_owner(body->voxels, point_mm);
		return owner >= (int)first ? owner : -1;
	}
	for (size_t s = body->shapes; s > first; s--)
		if (iso_body_shape_holds(&body->shape[s - 1], point_mm)) return (int)s - 1;
	return -1;
}

/* The stretch of a ray inside a shape, in mm from the ray's start, cut at 0. False: it misses. */
static bool ray_stretch(const iso_body_shape *shape, const double p[3], const double d[3], double *from, double *to)
{
	const double x = p[0] - shape->centre_mm[0], y = p[1] - shape->centre_mm[1], z = p[2] - shape->centre_mm[2];
	const double along = x * d[0] + y * d[1] + z * d[2], away = x * x + y * y + z * z - shape->bound_mm2;
	if (along * along < away || (along > 0 && away > 0)) return false;
	double u[3], e[3];
	to_unit(shape, p, u);
	for (int i = 0; i < 3; i++)
		e[i] = shape->to_unit[i][0] * d[0] + shape->to_unit[i][1] * d[1] + shape->to_unit[i][2] * d[2];
	const int axes = shape->kind == ISO_SHAPE_ELLIPSOID ? 3 : 2;
	double a = 0, b = 0, c = -1;
	for (int i = 0; i < axes; i++) {
		a += e[i] * e[i];
		b += e[i] * u[i];
		c += u[i] * u[i];
	}
	double t0 = -(double)INFINITY, t1 = (double)INFINITY;
	if (a > 1e-300) {
		const double root = b * b - a * c;
		if (root <= 0) return false;
		const double half = sqrt(root);
		t0 = (-b - half) / a;
		t1 = (-b + half) / a;
	} else if (c > 0)
		return false;
	if (axes == 2) {
		if (fabs(e[2]) > 1e-300) {
			const double one = (-1 - u[2]) / e[2], two = (1 - u[2]) / e[2];
			t0 = fmax(t0, fmin(one, two));
			t1 = fmin(t1, fmax(one, two));
		} else if (fabs(u[2]) > 1)
			return false;
	}
	if (t0 < 0) t0 = 0;
	if (!(t1 > t0)) return false;
	*from = t0;
	*to = t1;
	return true;
}

/* A ray cut into pieces, each owned by one shape. */
typedef struct ray_pieces {
	double edge[2 * MOST_SHAPES];
	const iso_body_shape *owner[2 * MOST_SHAPES]; /* of [edge[i], edge[i + 1]]; NULL: air */
	int edges;
} ray_pieces;

/* Pieces up to limit_mm at least: shapes that lie farther from the point are left out. */
static void cut_ray(const iso_body *body, const double point_mm[3], const double direction[3], double limit_mm,
		    ray_pieces *pieces)
{
	double from[MOST_SHAPES], to[MOST_SHAPES], *edge = pieces->edge;
	const iso_body_shape *shape[MOST_SHAPES];
	int hits = 0, edges = 0;
	for (size_t s = 0; s < body->shapes; s++) {
		const iso_body_shape *here = &body->shape[s];
		const double x = point_mm[0] - here->centre_mm[0], y = point_mm[1] - here->centre_mm[1],
			     z = point_mm[2] - here->centre_mm[2], far = here->bound_mm + limit_mm;
		if (x * x + y * y + z * z > far * far) continue;
		if (!ray_stretch(here, point_mm, direction, &from[hits], &to[hits])) continue;
		shape[hits] = here;
		const double both[2] = {from[hits], to[hits]};
		for (int b = 0; b < 2; b++) { /* keep the edges sorted */
			int at = edges++;
			for (; at > 0 && edge[at - 1] > both[b]; at--) edge[at] = edge[at - 1];
			edge[at] = both[b];
		}
		hits++;
	}
	/* Between neighbouring edges one shape owns the ray: the last of those that hold the stretch. */
	for (int i = 0; i + 1 < edges; i++) {
		const double middle = 0.5 * (edge[i] + edge[i + 1]);
		pieces->owner[i] = NULL;
		for (int h = hits; h-- > 0 && !pieces->owner[i];)
			if (middle > from[h] && middle < to[h]) pieces->owner[i] = shape[h];
	}
	pieces->edges = edges;
}

double iso_body_optical_depth(const iso_body *body, const double point_mm[3], const double direction[3])
{
	double depth = 0;
	if (body->voxels) {
		iso_voxel_walk walk;
		for (bool in = iso_voxel_walk_begin(body->voxels, point_mm, direction, &walk); in;
		     in = iso_voxel_walk_on(&walk))
			if (walk.owner >= 0) depth += body->shape[walk.owner].mu_per_mm * (walk.to_mm - walk.from_mm);
		return depth;
	}
	ray_pieces pieces;
	cut_ray(body, point_mm, direction, (double)INFINITY, &pieces);
	for (int i = 0; i + 1 < pieces.edges; i++)
		if (pieces.owner[i]) depth += pieces.owner[i]->mu_per_mm * (pieces.edge[i + 1] - pieces.edge[i]);
	return depth;
}

static double travel_voxels_mm(const iso_body *body, const double point_mm[3], const double direction[3],
			       double water_mm)
{
	iso_voxel_walk walk;
	double at = 0;
	for (bool in = iso_voxel_walk_begin(body->voxels, point_mm, direction, &walk); in;
	     in = iso_voxel_walk_on(&walk)) {
		const double air = walk.from_mm - at;
		if (air * air_density_g_ml >= water_mm) break;
		water_mm -= air * air_density_g_ml;
		at = walk.from_mm;
		const double density = walk.owner >= 0 ? body->shape[walk.owner].density_g_ml : air_density_g_ml;
		if ((walk.to_mm - at) * density >= water_mm) return at + water_mm / density;
		water_mm -= (walk.to_mm - at) * density;
		at = walk.to_mm;
	}
	return at + water_mm / air_density_g_ml;
}

static double travel_shapes_mm(const iso_body *body, const double point_mm[3], const double direction[3],
			       double water_mm, double limit_mm)
{
	ray_pieces pieces;
	cut_ray(body, point_mm, direction, limit_mm, &pieces);
	double at = 0;
	for (int i = 0; i + 1 < pieces.edges; i++) {
		const double air = pieces.edge[i] - at;
		if (air * air_density_g_ml >= water_mm) break;
		water_mm -= air * air_density_g_ml;
		at = pieces.edge[i];
		const double density = pieces.owner[i] ? pieces.owner[i]->density_g_ml : air_density_g_ml;
		const double length = pieces.edge[i + 1] - at;
		if (length * density >= water_mm) return at + water_mm / density;
		water_mm -= length * density;
		at += length;
	}
	return at + water_mm / air_density_g_ml;
}

double iso_body_travel_mm(const iso_body *body, const double point_mm[3], const double direction[3], double water_mm)
{
	if (body->voxels) return travel_voxels_mm(body, point_mm, direction, water_mm);
	/* Few positrons go farther than 4 times their way in water, and few shapes are that near. */
	const double limit_mm = 4 * water_mm, path_mm = travel_shapes_mm(body, point_mm, direction, water_mm, limit_mm);
	return path_mm <= limit_mm ? path_mm : travel_shapes_mm(body, point_mm, direction, water_mm, (double)INFINITY);
}

/* How far the shape reaches from its centre along a unit vector. */
static double support(const iso_body_shape *shape, double x, double y, double z)
{
	double part[3];
	for (int j = 0; j < 3; j++)
		part[j] = shape->from_unit[0][j] * x + shape->from_unit[1][j] * y + shape->from_unit[2][j] * z;
	const double across = part[0] * part[0] + part[1] * part[1];
	return shape->kind == ISO_SHAPE_ELLIPSOID ? sqrt(across + part[2] * part[2]) : sqrt(across) + fabs(part[2]);
}

double iso_body_shape_reach_mm(const iso_body_shape *shape)
{
	if (shape->kind == ISO_SHAPE_VOXELS) return shape->reach_mm;
	double reach = 0;
	for (int i = 0; i < 360; i++) {
		const double x = cos(i * PI / 180), y = sin(i * PI / 180);
		reach = fmax(reach, shape->centre_mm[0] * x + shape->centre_mm[1] * y + support(shape, x, y, 0));
	}
	return reach;
}

double iso_body_shape_axial_reach_mm(const iso_body_shape *shape)
{
	return fabs(shape->centre_mm[2]) + support(shape, 0, 0, 1);
}

void iso_body_shape_box(const iso_body *body, size_t shape, double box_mm[2][3])
{
	if (body->voxels) {
		iso_body_voxels_box(body->voxels, shape, box_mm);
		return;
	}
	const iso_body_shape *s = &body->shape[shape];
	for (int a = 0; a < 3; a++) {
		const double reach = support(s, a == 0, a == 1, a == 2);
		box_mm[0][a] = s->centre_mm[a] - reach;
		box_mm[1][a] = s->centre_mm[a] + reach;
	}
}

/* Do the boxes around two shapes, along the axes, overlap? */
static bool boxes_meet(const iso_body_shape *one, const iso_body_shape *two)
{
	for (int a = 0; a < 3; a++) {
		const double reach = support(one, a == 0, a == 1, a == 2) + support(two, a == 0, a == 1, a == 2);
		if (fabs(one->centre_mm[a] - two->centre_mm[a]) >= reach) return false;
	}
	return true;
}

/* The part of a shape that no later shape takes, with an additive-recurrence low-discrepancy sequence over the unit
 * cube (powers of the inverse of the root of x^4 = x + 1, which is badly approximable in three dimensions)
 * mapped onto the shape. For an indicator function of a smooth body the error falls about as N^(-2/3): some 3e-4 of
 * the whole shape here. */
static double owned_fraction(const iso_body *body, size_t s)
{
	enum { POINTS = 1 << 18 };
	static const double step[3] = {0.8191725133961645, 0.6710436067037893, 0.5497004779019703};
	const iso_body_shape *shape = &body->shape[s], *carver[MOST_SHAPES];
	int carvers = 0;
	for (size_t other = s + 1; other < body->shapes; other++)
		if (boxes_meet(shape, &body->shape[other])) carver[carvers++] = &body->shape[other];
	if (carvers == 0) return 1;
	long owned = 0;
#pragma omp parallel for schedule(static) reduction(+ : owned)
	for (int n = 0; n < POINTS; n++) {
		double v[3], u[3], point[3];
		for (int a = 0; a < 3; a++) {
			const double sum = 0.5 + step[a] * (n + 1);
			v[a] = sum - floor(sum);
		}
		const double azimuth = 2 * PI * v[1];
		if (shape->kind == ISO_SHAPE_ELLIPSOID) {
			const double radius = cbrt(v[0]), z = 2 * v[2] - 1, rho = sqrt(1 - z * z);
			u[0] = radius * rho * cos(azimuth);
			u[1] = radius * rho * sin(azimuth);
			u[2] = radius * z;
		} else {
			const double radius = sqrt(v[0]);
			u[0] = radius * cos(azimuth);
			u[1] = radius * sin(azimuth);
			u[2] = 2 * v[2] - 1;
		}
		for (int i = 0; i < 3; i++)
			point[i] = shape->centre_mm[i] + shape->from_unit[i][0] * u[0] + shape->from_unit[i][1] * u[1] +
				   shape->from_unit[i][2] * u[2];
		int c = 0;
		while (c < carvers && !iso_body_shape_holds(carver[c], point)) c++;
		owned += c == carvers;
	}
	return (double)owned / POINTS;
}

iso_status iso_body_create(const iso_phantom *phantom, iso_body *body, iso_error *err)
{
	*body = (iso_body){.shapes = 0};
	const size_t shapes = phantom->labels ? phantom->organs : phantom->shapes;
	if (!phantom->labels && shapes > MOST_SHAPES)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "use fewer shapes", "%zu shapes are more than the %d allowed",
				shapes, MOST_SHAPES);
	body->shape = calloc(shapes ? shapes : 1, sizeof *body->shape);
	if (!body->shape) return iso_fail_memory(err, "a phantom", shapes * sizeof *body->shape);
	body->shapes = shapes;
	if (phantom->labels) {
		for (size_t s = 0; s < shapes; s++)
			body->shape[s] = (iso_body_shape){.kind = ISO_SHAPE_VOXELS,
							  .organ = (unsigned)s,
							  .mu_per_mm = phantom->organ[s].mu_per_cm / 10,
							  .density_g_ml = phantom->organ[s].density_g_per_ml};
		return iso_body_voxels_create(phantom, body, err);
	}
	for (size_t s = 0; s < body->shapes; s++)
		set_shape(&body->shape[s], &phantom->shape[s], &phantom->organ[phantom->shape[s].organ]);
	return ISO_OK;
}

void iso_body_integrate(iso_body *body)
{
	for (size_t s = 0; s < body->shapes; s++)
		body->shape[s].owned_ml = body->shape[s].whole_ml * (body->voxels ? 1 : owned_fraction(body, s));
}

void iso_body_free(iso_body *body)
{
	free(body->shape);
	iso_body_voxels_free(body->voxels);
	*body = (iso_body){.shapes = 0};
}
