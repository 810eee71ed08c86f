/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Line integrals against analytic values. The images are made here, by sampling formulas or by the fraction of a voxel
 * inside a body, and share nothing with the projector. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "isotrace/projector.h"
#include "tests/harness.h"

static iso_error err;

static const double centre_mm[3] = {3.3, -2.1, 5.7}; /* of the grids: a mistake in the origin cannot hide */

static iso_image *image_of(const iso_grid *grid, double (*value)(const double point[3], const iso_grid *grid))
{
	iso_image *image;
	ISO_ASSERT_OK(iso_image_create(grid, ISO_UNIT_UNKNOWN, &image, &err), err);
	size_t n = 0;
	for (size_t k = 0; k < grid->size[2]; k++)
		for (size_t j = 0; j < grid->size[1]; j++)
			for (size_t i = 0; i < grid->size[0]; i++) {
				double point[3];
				iso_grid_point_mm(grid, (double[]){(double)i, (double)j, (double)k}, point);
				image->voxels[n++] = (float)value(point, grid);
			}
	return image;
}

static iso_line line_between(const double start[3], const double end[3])
{
	iso_line line = {.tof_centre_mm = 0};
	for (int k = 0; k < 3; k++) {
		line.start_mm[k] = (float)start[k];
		line.end_mm[k] = (float)end[k];
	}
	return line;
}

static double integral(const iso_image *image, iso_line line)
{
	iso_projector *projector;
	float value = NAN;
	ISO_ASSERT_OK(iso_projector_create(&image->grid, NULL, 1, &projector, &err), err);
	ISO_ASSERT_OK(iso_projector_forward(projector, &line, 1, image->voxels, &value, &err), err);
	iso_projector_free(projector);
	return (double)value;
}

static double length_of(const iso_line *line)
{
	double sum = 0;
	for (int k = 0; k < 3; k++) sum += pow((double)line->end_mm[k] - (double)line->start_mm[k], 2);
	return sqrt(sum);
}

static double ones(const double point[3], const iso_grid *grid)
{
	(void)point, (void)grid;
	return 1;
}

static double sloped(const double p[3], const iso_grid *grid)
{
	(void)grid;
	return 7 + 0.11 * p[0] - 0.07 * p[1] + 0.05 * p[2];
}

/* Bilinear interpolation and one sample in the middle of each slab are exact for a linear image, so that a line of whole
 * slabs has the integral length * value at its middle, to float rounding. A line that ends elsewhere errs, at each end, by
 * the part o of the slab it has times the way o/2 - 1/2 from the sampled plane to that part's middle, times the change g of the
 * image per slab: at most step |g| o (1 - o)/2 <= step |g|/8. */
static void linear_image(void)
{
	const iso_grid grid = iso_grid_centred((size_t[]){40, 36, 44}, (double[]){1.1, 1.3, 0.9}, centre_mm);
	iso_image *image = image_of(&grid, sloped);
	double worst = 0;
	for (uint64_t n = 0; n < 600; n++) {
		iso_random random = iso_random_begin(17, n);
		double index[2][3], point[2][3], middle[3], g;
		/* ends on slab borders along `axis`; the slope across is at most 1 because the ends are 20 slabs apart and at
		 * most 20 voxels apart across */
		const int axis = (int)(n % 3), whole = n < 300;
		for (int k = 0; k < 3; k++)
			for (int e = 0; e < 2; e++)
				index[e][k] = k != axis ? 8 + 20 * iso_random_uniform(&random)
							: (e ? 26.5 : 6.5) + (whole ? 0 : iso_random_uniform(&random));
		if (n % 2) {
			double kept[3];
			memcpy(kept, index[0], sizeof kept);
			memcpy(index[0], index[1], sizeof kept);
			memcpy(index[1], kept, sizeof kept);
		}
		for (int e = 0; e < 2; e++) iso_grid_point_mm(&grid, index[e], point[e]);
		const iso_line line = line_between(point[0], point[1]);
		for (int k = 0; k < 3; k++) middle[k] = 0.5 * (point[0][k] + point[1][k]);
		const double length = length_of(&line), expected = length * sloped(middle, &grid);
		const double slabs = fabs(index[1][axis] - index[0][axis]);
		g = fabs(sloped(point[1], &grid) - sloped(point[0], &grid)) / slabs;
		const double error = fabs(integral(image, line) - expected);
		if (whole)
			worst = fmax(worst, error / expected);
		else
			CU_ASSERT(error <= 2 * length / slabs * g / 8 + 1e-5 * expected);
	}
	/* the ends are float: 40 mm * 6e-8 at both ends, and the same for the samples */
	ISO_ASSERT_NEAR(worst, 0, 2e-6);
	iso_image_free(image);
}

/* A box of 1: lines that come in and go out through the faces across their dominant axis have exact chords. */
static void uniform_box_through_faces(void)
{
	const iso_grid grid = iso_grid_centred((size_t[]){20, 30, 25}, (double[]){1.5, 0.8, 1.2}, centre_mm);
	iso_image *image = image_of(&grid, ones);
	for (uint64_t n = 0; n < 300; n++) {
		iso_random random = iso_random_begin(19, n);
		const int axis = (int)(n % 3);
		const double size = grid.voxel_mm[axis] * (double)grid.size[axis];
		double in[3], out[3], start[3], end[3];
		for (int k = 0; k < 3; k++) {
			/* within the outermost centres and at most 0.9 voxels across per plane */
			const double room = 0.45 * fmin(0.9 * grid.voxel_mm[k] * (double)grid.size[axis],
							grid.voxel_mm[k] * ((double)grid.size[k] - 2));
			in[k] = centre_mm[k] + (k == axis ? -size / 2 : room * (2 * iso_random_uniform(&random) - 1));
			out[k] = centre_mm[k] + (k == axis ? size / 2 : room * (2 * iso_random_uniform(&random) - 1));
			start[k] = in[k] + 0.7 * (in[k] - out[k]);
			end[k] = out[k] + 0.9 * (out[k] - in[k]);
		}
		const iso_line chord = line_between(in, out);
		ISO_ASSERT_NEAR(integral(image, line_between(start, end)), length_of(&chord), 2e-6 * length_of(&chord));
		/* the same line turned round */
		ISO_ASSERT_NEAR(integral(image, line_between(end, start)), length_of(&chord), 2e-6 * length_of(&chord));
		/* and one that ends inside: not a millimetre beyond its ends counts */
		double inside[3];
		for (int k = 0; k < 3; k++) inside[k] = in[k] + 0.377 * (out[k] - in[k]);
		ISO_ASSERT_NEAR(integral(image, line_between(start, inside)), 0.377 * length_of(&chord),
				3e-6 * length_of(&chord));
		const iso_line shorter = line_between(inside, out);
		ISO_ASSERT_NEAR(integral(image, shorter), length_of(&shorter), 3e-6 * length_of(&chord));
	}
	iso_image_free(image);
}

/* Lines along an axis, across the border: 1 up to the outermost centres, falling linearly to 0 one voxel beyond them, so
 * that it is 1/2 on the face and its mean over all offsets is that of the sharp box. Diagonals through centres. */
static void uniform_box_axes_and_border(void)
{
	const iso_grid grid = iso_grid_centred((size_t[]){16, 16, 16}, (double[]){2, 2, 2}, centre_mm);
	iso_image *image = image_of(&grid, ones);
	static const double offset[] = {0, 1, 7.5, -7.5, 8, -8, 8.25, -8.25, 8.5, -8.5, 9};
	static const double share[] = {1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0, 0, 0};
	for (int axis = 0; axis < 3; axis++)
		for (size_t n = 0; n < sizeof offset / sizeof *offset; n++)
			for (int which = 1; which < 3; which++) {
				double start[3], end[3];
				for (int k = 0; k < 3; k++) start[k] = end[k] = centre_mm[k];
				start[(axis + which) % 3] = end[(axis + which) % 3] =
				    centre_mm[(axis + which) % 3] + 2 * offset[n];
				start[axis] = -60;
				end[axis] = 70;
				ISO_ASSERT_NEAR(integral(image, line_between(start, end)), 32 * share[n], 1e-4);
			}
	/* from corner to corner: every sample on a centre, 16 steps of 2 sqrt 3 mm */
	for (int corner = 0; corner < 8; corner++) {
		double start[3], end[3];
		for (int k = 0; k < 3; k++) {
			start[k] = centre_mm[k] + (corner >> k & 1 ? 40 : -40);
			end[k] = centre_mm[k] - (corner >> k & 1 ? 40 : -40);
		}
		ISO_ASSERT_NEAR(integral(image, line_between(start, end)), 32 * sqrt(3), 1e-4);
	}
	iso_image_free(image);
}

/* Bodies about a point off the grid's centre. */
static const double body_mm[3] = {4.4, -1.3, 4.9};
enum { body_radius_mm = 9, body_half_length_mm = 11 };

static bool in_sphere(const double p[3])
{
	return p[0] * p[0] + p[1] * p[1] + p[2] * p[2] <= body_radius_mm * body_radius_mm;
}

static bool in_cylinder(const double p[3])
{
	return p[0] * p[0] + p[1] * p[1] <= body_radius_mm * body_radius_mm && fabs(p[2]) <= body_half_length_mm;
}

static bool (*body)(const double p[3]);

/* Fraction of the voxel inside the body: 6^3 samples. */
static double fraction(const double point[3], const iso_grid *grid)
{
	enum { samples = 6 };
	int inside = 0;
	for (int c = 0; c < samples * samples * samples; c++) {
		const int at[3] = {c % samples, c / samples % samples, c / samples / samples};
		double p[3];
		for (int k = 0; k < 3; k++)
			p[k] = point[k] - body_mm[k] + grid->voxel_mm[k] * ((at[k] + 0.5) / samples - 0.5);
		inside += body(p);
	}
	return inside / (double)(samples * samples * samples);
}

/* Narrows [low, high] (in mm along the line from p along unit d) to |p + t d| <= radius, in the axes used. */
static void clip_round(const double p[3], const double d[3], int axes, double radius, double *low, double *high)
{
	double a = 0, b = 0, c = -radius * radius;
	for (int k = 0; k < axes; k++) a += d[k] * d[k], b += p[k] * d[k], c += p[k] * p[k];
	const double root = b * b - a * c;
	if (a < 1e-15 ? c > 0 : root <= 0) {
		*high = *low;
		return;
	}
	if (a < 1e-15) return;
	*low = fmax(*low, (-b - sqrt(root)) / a);
	*high = fmin(*high, (-b + sqrt(root)) / a);
}

static double chord(const double p[3], const double d[3])
{
	double low = -1e3, high = 1e3;
	if (body == in_sphere)
		clip_round(p, d, 3, body_radius_mm, &low, &high);
	else {
		clip_round(p, d, 2, body_radius_mm, &low, &high);
		if (fabs(d[2]) > 1e-15) {
			const double s = (-body_half_length_mm - p[2]) / d[2], t = (body_half_length_mm - p[2]) / d[2];
			low = fmax(low, fmin(s, t));
			high = fmin(high, fmax(s, t));
		} else if (fabs(p[2]) > body_half_length_mm)
			return 0;
	}
	return high > low ? high - low : 0;
}

typedef struct body_errors {
	double mean, rms, worst_central; /* relative to the mean chord; mm; mm of lines well inside a sphere */
} body_errors;

/* Random isotropic lines, spread evenly over a disc that is wider than the body. */
static body_errors body_test(double voxel_mm)
{
	enum { count = 20000 };
	const size_t size = (size_t)ceil(30 / voxel_mm);
	const iso_grid grid =
	    iso_grid_centred((size_t[]){size, size, size}, (double[]){voxel_mm, voxel_mm, voxel_mm}, centre_mm);
	iso_image *image = image_of(&grid, fraction);
	iso_line *lines = malloc(count * sizeof *lines);
	float *values = malloc(count * sizeof *values);
	double *expected = malloc(count * sizeof *expected), *offsets = malloc(count * sizeof *offsets);
	for (uint64_t n = 0; n < count; n++) {
		iso_random random = iso_random_begin(23, n);
		double d[3], e[3], p[3], start[3], end[3], dot = 0, norm = 0;
		iso_random_direction(&random, d);
		iso_random_direction(&random, e);
		for (int k = 0; k < 3; k++) dot += d[k] * e[k];
		for (int k = 0; k < 3; k++) e[k] -= dot * d[k], norm += e[k] * e[k];
		offsets[n] = 16 * sqrt(iso_random_uniform(&random));
		for (int k = 0; k < 3; k++) {
			p[k] = offsets[n] * e[k] / sqrt(norm);
			start[k] = body_mm[k] + p[k] - 60 * d[k];
			end[k] = body_mm[k] + p[k] + 55 * d[k];
		}
		expected[n] = chord(p, d);
		lines[n] = line_between(start, end);
	}
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 1, &projector, &err), err);
	ISO_ASSERT_OK(iso_projector_forward(projector, lines, count, image->voxels, values, &err), err);
	double sum = 0, errors = 0, squares = 0;
	body_errors result = {0};
	for (size_t n = 0; n < count; n++) {
		const double error = (double)values[n] - expected[n];
		sum += expected[n];
		errors += error;
		squares += error * error;
		if (offsets[n] < 0.8 * body_radius_mm) result.worst_central = fmax(result.worst_central, fabs(error));
	}
	result.mean = errors / sum;
	result.rms = sqrt(squares / count);
	free(lines), free(values), free(expected), free(offsets);
	iso_projector_free(projector);
	iso_image_free(image);
	return result;
}

/* Rendering and bilinear basis functions spread the body over about a voxel but keep its mass, so that the mean over lines
 * spread evenly over the whole shadow has no bias; it is known to rms/sqrt(20000), with rms < 0.5 mm and a mean chord of
 * 5 to 6 mm: 3 standard deviations are 2e-3 for the coarse grid and the half of it for the fine one.
 * A line well inside the sphere (s < 0.8 r, where the surface is met at 53 degrees or less from its normal) errs at
 * either end by less than half a voxel's diagonal seen along the line. A line near the rim errs by up to sqrt(2 r h) in a
 * share h/r of all lines: the rms is of order h, and halving h halves it. */
static void body_of(bool (*inside)(const double p[3]))
{
	body = inside;
	const body_errors coarse = body_test(1.0), fine = body_test(0.5);
	ISO_ASSERT_NEAR(coarse.mean, 0, 2e-3);
	ISO_ASSERT_NEAR(fine.mean, 0, 1e-3);
	CU_ASSERT(coarse.rms < 0.5);
	ISO_ASSERT_NEAR(coarse.rms / fine.rms, 2, 0.4);
	if (inside == in_sphere) {
		ISO_ASSERT_NEAR(coarse.worst_central, 0, sqrt(3) * 1.0 / 2);
		ISO_ASSERT_NEAR(fine.worst_central, 0, sqrt(3) * 0.5 / 2);
	}
}

static void sphere_chords(void)
{
	body_of(in_sphere);
}

static void cylinder_chords(void)
{
	body_of(in_cylinder);
}

/* Axis-parallel, off-axis, grazing and missing rays of the sphere in a fine grid. */
static void chosen_rays_of_the_sphere(void)
{
	body = in_sphere;
	const double h = 0.25;
	const iso_grid grid = iso_grid_centred((size_t[]){88, 88, 88}, (double[]){h, h, h}, body_mm);
	iso_image *image = image_of(&grid, fraction);
	static const double s[] = {0, 2.1, 5.3, 8.1, 8.9, 9.0, 9.1, 9.5};
	for (int axis = 0; axis < 3; axis++)
		for (size_t n = 0; n < sizeof s / sizeof *s; n++) {
			double p[3] = {0}, d[3] = {0}, start[3], end[3];
			p[(axis + 1) % 3] = s[n] * 0.6;
			p[(axis + 2) % 3] = -s[n] * 0.8;
			d[axis] = 1;
			for (int k = 0; k < 3; k++) {
				start[k] = body_mm[k] + p[k] - 50 * d[k];
				end[k] = body_mm[k] + p[k] + 50 * d[k];
			}
			/* The image is the body averaged over a box and a triangle, each of variance h^2/12 and h^2/6 per axis
			 * across: the chord C(s) becomes its average over a disc that reaches 1.5 h at most. C is concave inside
			 * and falls by at most C(s) - C(s + 1.5 h) or rises by C(s - 1.5 h) - C(s). */
			const double reach = 1.5 * h * sqrt(2), r = body_radius_mm;
			const double high = 2 * sqrt(fmax(0, r * r - pow(fmax(0, s[n] - reach), 2)));
			const double low = 2 * sqrt(fmax(0, r * r - pow(s[n] + reach, 2)));
			const double value = integral(image, line_between(start, end));
			CU_ASSERT(value <= high + 1e-4 && value >= low - 1e-4);
			if (s[n] < 6)
				ISO_ASSERT_NEAR(value, chord(p, d), 0.03); /* h^2/8 * C'' = 0.0078 * 3.4 at 6 mm */
		}
	iso_image_free(image);
}

enum { blob_sigma_mm = 6 };

static double blob(const double p[3], const iso_grid *grid)
{
	(void)grid;
	double r2 = 0;
	for (int k = 0; k < 3; k++) r2 += (p[k] - body_mm[k]) * (p[k] - body_mm[k]);
	return exp(-r2 / (2.0 * blob_sigma_mm * blob_sigma_mm));
}

/* A Gaussian of sigma has the integral sqrt(2 pi) sigma exp(-s^2/(2 sigma^2)). Linear interpolation across errs by up to
 * h^2/8 times the second derivative (1/sigma^2 at the peak) in each of two axes: relative to the peak's integral at most
 * h^2/(4 sigma^2), 6.9e-3 for 1 mm, with corrections of order h^4; and a quarter of that for half the voxel, so that
 * (4 fine - coarse)/3 is right to order h^4/sigma^4: within 1e-3 on any line, and on average over lines (where
 * the place between the voxels evens out) within 1e-4. */
static void smooth_blob(void)
{
	enum { count = 400 };
	iso_image *image[2];
	for (int fine = 0; fine < 2; fine++) {
		const size_t size = fine ? 120 : 60;
		const double h = fine ? 0.5 : 1;
		const iso_grid grid = iso_grid_centred((size_t[]){size, size, size}, (double[]){h, h, h}, body_mm);
		image[fine] = image_of(&grid, blob);
	}
	const double peak = sqrt(2 * acos(-1)) * blob_sigma_mm;
	double mean = 0;
	for (uint64_t n = 0; n < count; n++) {
		iso_random random = iso_random_begin(29, n);
		double d[3], e[3], start[3], end[3], dot = 0, norm = 0;
		iso_random_direction(&random, d);
		iso_random_direction(&random, e);
		const double s = 10 * iso_random_uniform(&random);
		for (int k = 0; k < 3; k++) dot += d[k] * e[k];
		for (int k = 0; k < 3; k++) e[k] -= dot * d[k], norm += e[k] * e[k];
		for (int k = 0; k < 3; k++) {
			start[k] = body_mm[k] + s * e[k] / sqrt(norm) - 60 * d[k];
			end[k] = body_mm[k] + s * e[k] / sqrt(norm) + 60 * d[k];
		}
		const iso_line line = line_between(start, end);
		const double expected = peak * exp(-s * s / (2.0 * blob_sigma_mm * blob_sigma_mm));
		const double coarse = integral(image[0], line), fine = integral(image[1], line);
		ISO_ASSERT_NEAR(coarse / peak, expected / peak, 1.0 / (4 * blob_sigma_mm * blob_sigma_mm));
		ISO_ASSERT_NEAR(fine / peak, expected / peak, 0.25 / (4 * blob_sigma_mm * blob_sigma_mm));
		const double extrapolated = (4 * fine - coarse) / 3;
		ISO_ASSERT_NEAR(extrapolated / peak, expected / peak, 1e-3);
		mean += (extrapolated - expected) / peak / count;
	}
	ISO_ASSERT_NEAR(mean, 0, 1e-4);
	/* Samples on voxel centres need no interpolation, and equal steps integrate a Gaussian to far below float: what
	 * remains is the Gaussian cut off at 29.5 mm = 4.9 sigma (1e-6). This shows any half-voxel shift: it would cost
	 * s h/(2 sigma^2) = 5 % at s = 3.5 mm. */
	for (int axis = 0; axis < 3; axis++) {
		double start[3], end[3];
		for (int k = 0; k < 3; k++)
			start[k] = end[k] = body_mm[k] + (k == axis ? 0 : 3.5 - 6 * (k == (axis + 1) % 3));
		start[axis] -= 50;
		end[axis] += 50;
		const double s2 = 2.5 * 2.5 + 3.5 * 3.5;
		ISO_ASSERT_NEAR(integral(image[0], line_between(start, end)),
				peak * exp(-s2 / (2.0 * blob_sigma_mm * blob_sigma_mm)), 1e-5 * peak);
		for (int k = 0; k < 3; k++) start[k] = body_mm[k] - 40, end[k] = body_mm[k] + 40;
		start[axis] += 80;
		end[axis] -= 80;
		ISO_ASSERT_NEAR(integral(image[0], line_between(start, end)), peak, 1e-5 * peak);
	}
	for (int fine = 0; fine < 2; fine++) iso_image_free(image[fine]);
}

/* Lines in all directions through a point: their back projection has its peak, and the centre of mass of the peak's
 * surroundings, there. Directions come in mirrored sets of eight, so that the surroundings' background is symmetric; unequal voxel
 * edges, the point off the grid's centre. A point between voxels pulls the centre of mass its way. */
static void lines_through_a_point(void)
{
	enum { count = 16000 };
	const iso_grid grid = iso_grid_centred((size_t[]){31, 40, 26}, (double[]){1.0, 0.8, 1.4}, centre_mm);
	static const double index[2][3] = {{9, 28, 15}, {9.3, 27.7, 15.4}};
	iso_line *lines = malloc(count * sizeof *lines);
	float *values = malloc(count * sizeof *values), *image = malloc(iso_grid_voxels(&grid) * sizeof *image);
	iso_projector *projector;
	ISO_ASSERT_OK(iso_projector_create(&grid, NULL, 2, &projector, &err), err);
	for (int between = 0; between < 2; between++) {
		double point[3];
		iso_grid_point_mm(&grid, index[between], point);
		for (uint64_t n = 0; n < count; n++) {
			iso_random random = iso_random_begin(31, n / 8);
			double d[3], start[3], end[3];
			iso_random_direction(&random, d);
			for (int k = 0; k < 3; k++) {
				d[k] *= n >> k & 1 ? -1 : 1;
				start[k] = point[k] - 70 * d[k];
				end[k] = point[k] + 90 * d[k];
			}
			lines[n] = line_between(start, end);
			values[n] = 1;
		}
		memset(image, 0, iso_grid_voxels(&grid) * sizeof *image);
		ISO_ASSERT_OK(iso_projector_adjoint(projector, lines, count, values, image, &err), err);
		size_t peak = 0;
		for (size_t n = 0; n < iso_grid_voxels(&grid); n++)
			if (image[n] > image[peak]) peak = n;
		CU_ASSERT_EQUAL(peak, 9 + 31 * (28 + 40 * 15));
		double mass = 0, moment[3] = {0};
		for (int c = 0; c < 27; c++) {
			const int at[3] = {c % 3 - 1, c / 3 % 3 - 1, c / 9 - 1};
			const double value = (double)image[peak + (size_t)(at[0] + 31 * (at[1] + 40 * at[2]))];
			mass += value;
			for (int k = 0; k < 3; k++) moment[k] += value * at[k];
		}
		for (int k = 0; k < 3; k++) {
			const double shift = index[between][k] - index[0][k];
			if (between) {
				CU_ASSERT(moment[k] / mass / shift > 0.3 && moment[k] / mass / shift < 1.5);
			} else
				ISO_ASSERT_NEAR(moment[k] / mass, 0, 1e-3);
		}
	}
	free(lines), free(values), free(image);
	iso_projector_free(projector);
}

static const iso_test tests[] = {
    {"an image that is linear", linear_image},
    {"a uniform box through its faces", uniform_box_through_faces},
    {"a uniform box along axes, border and diagonals", uniform_box_axes_and_border},
    {"chords of a sphere", sphere_chords},
    {"chords of a cylinder", cylinder_chords},
    {"axis-parallel, off-axis and grazing rays", chosen_rays_of_the_sphere},
    {"a smooth blob", smooth_blob},
    {"lines through a point", lines_through_a_point},
};
ISO_TEST_MAIN("line integrals", tests)
