/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/scatter.h"

#include <math.h>

#include "simulate/draw.h"

#define ELECTRON_KEV 510.99895
#define KEV_ANGSTROM 12.39841984

double iso_scatter_compton(double energy_kev, iso_random *random, double *cosine)
{
	/* O. Klein and Y. Nishina, Z. Phys. 52 (1929) 853: with e = E'/E the density of e is proportional to
	 * (1/e + e) (1 - e sin^2 / (1 + e^2)). J. C. Butcher and H. Messel, Nucl. Phys. 20 (1960) 15: draw e from 1/e or from
	 * e, in proportion to their integrals, and accept with the second factor. */
	const double alpha = energy_kev / ELECTRON_KEV, least = 1 / (1 + 2 * alpha);
	const double inverse = -log(least), linear = 0.5 * (1 - least * least);
	for (;;) {
		double e;
		if (draw_uniform(random) * (inverse + linear) < inverse)
			e = exp(-inverse * draw_uniform(random));
		else
			e = sqrt(least * least + (1 - least * least) * draw_uniform(random));
		const double turn = (1 - e) / (alpha * e); /* 1 - cosine */
		if (draw_uniform(random) * (1 + e * e) > 1 + e * e - e * turn * (2 - turn)) continue;
		*cosine = fmax(1 - turn, -1);
		return e * energy_kev;
	}
}

double iso_scatter_rayleigh(const iso_material *material, double energy_kev, iso_random *random)
{
	/* x^2 from the squared form factor, by the inverse of its integral up to backscatter; then Thomson's
	 * (1 + cosine^2)/2 by rejection. x^2 = (E/hc)^2 (1 - cosine)/2. */
	const double *integral = material->form2_integral, *transfer2 = material->transfer2;
	const double most = energy_kev * energy_kev / (KEV_ANGSTROM * KEV_ANGSTROM);
	int last = 1;
	while (last < ISO_MATERIAL_TRANSFERS - 1 && transfer2[last] < most) last++;
	const double all = integral[last];
	for (;;) {
		const double level = all * draw_uniform(random);
		int low = 0, high = last;
		while (high - low > 1) {
			const int middle = (low + high) / 2;
			if (integral[middle] > level)
				high = middle;
			else
				low = middle;
		}
		const double part = (level - integral[low]) / (integral[high] - integral[low]);
		const double x2 = transfer2[low] + part * (transfer2[high] - transfer2[low]);
		if (x2 > most) continue;
		const double cosine = 1 - 2 * x2 / most;
		if (2 * draw_uniform(random) <= 1 + cosine * cosine) return cosine;
	}
}

void iso_scatter_turn(double d[3], double cosine, iso_random *random)
{
	double a, b;
	const double r2 = draw_in_disc(random, &a, &b);
	const double scale = sqrt(fmax(1 - cosine * cosine, 0) / r2), u = a * scale, v = b * scale;
	const double across2 = d[0] * d[0] + d[1] * d[1];
	if (across2 < 1e-12) {
		const double z = d[2] < 0 ? -1 : 1;
		d[0] = u;
		d[1] = z * v;
		d[2] = z * cosine;
		return;
	}
	const double across = sqrt(across2), x = d[0], y = d[1], z = d[2];
	d[0] = x * cosine + (x * z * u - y * v) / across;
	d[1] = y * cosine + (y * z * u + x * v) / across;
	d[2] = z * cosine - across * u;
	const double norm = 1 / sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
	for (int i = 0; i < 3; i++) d[i] *= norm;
}
