/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "core/random.h"

#include <math.h>

iso_random iso_random_begin(uint64_t seed, uint64_t stream)
{
	return (iso_random){
	    .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
	    .counter = {0, 0, (uint32_t)stream, (uint32_t)(stream >> 32)},
	};
}

/* Philox 4x32 with ten rounds; the constants are those of the paper. */
void iso_random_refill(iso_random *random)
{
	uint32_t k0 = random->key[0], k1 = random->key[1];
	uint32_t c0 = random->counter[0], c1 = random->counter[1], c2 = random->counter[2], c3 = random->counter[3];
	for (int round = 0; round < 10; round++) {
		const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
		const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c1 = (uint32_t)p1;
		c3 = (uint32_t)p0;
		c0 = n0;
		c2 = n2;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	random->block[0] = c0;
	random->block[1] = c1;
	random->block[2] = c2;
	random->block[3] = c3;
	random->left = 4;
	if (++random->counter[0] == 0) random->counter[1]++;
}

double iso_random_uniform(iso_random *random)
{
	const uint64_t high = iso_random_u32(random) >> 6, low = iso_random_u32(random) >> 6; /* 26 + 26 bits */
	return ((double)((high << 26) | low) + 0.5) * 0x1p-52;
}

double iso_random_gaussian(iso_random *random)
{
	/* Box-Muller without keeping the second number: the state stays a pure function of the position. */
	const double radius = sqrt(-2.0 * log(iso_random_uniform(random)));
	return radius * cos(6.283185307179586 * iso_random_uniform(random));
}

double iso_random_exponential(iso_random *random)
{
	return -log(iso_random_uniform(random));
}

uint64_t iso_random_poisson(iso_random *random, double mean)
{
	if (!(mean > 0)) return 0;
	if (mean < 30) {
		const double limit = exp(-mean);
		double product = iso_random_uniform(random);
		uint64_t count = 0;
		while (product > limit) {
			product *= iso_random_uniform(random);
			count++;
		}
		return count;
	}
	/* Above, log(k!) loses the digits that the rejection needs, and a relative skewness of 1e-6 is nobody's concern. */
	if (mean > 1e12) return (uint64_t)fmin(mean + sqrt(mean) * iso_random_gaussian(random), 0x1p63);
	/* W. Hormann, "The transformed rejection method for generating Poisson random variables", Insurance:
	 * Mathematics and Economics 12 (1993) 39-45, algorithm PTRS. */
	const double slope = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * slope;
	const double inverse_alpha = 1.1239 + 1.1328 / (slope - 3.4), limit = 0.9277 - 3.6224 / (slope - 2);
	for (;;) {
		const double u = iso_random_uniform(random) - 0.5, v = iso_random_uniform(random);
		const double us = 0.5 - fabs(u), k = floor((2 * a / us + slope) * u + mean + 0.43);
		if (us >= 0.07 && v <= limit) return (uint64_t)k;
		if (k < 0 || (us < 0.013 && v > us)) continue;
		int sign; /* lgamma() itself would write a global */
		if (log(v) + log(inverse_alpha) - log(a / (us * us) + slope) <=
		    -mean + k * log(mean) - lgamma_r(k + 1, &sign))
			return (uint64_t)k;
	}
}

void iso_random_direction(iso_random *random, double direction[3])
{
	const double z = 2 * iso_random_uniform(random) - 1, azimuth = 6.283185307179586 * iso_random_uniform(random);
	const double rho = sqrt(1 - z * z);
	direction[0] = rho * cos(azimuth);
	direction[1] = rho * sin(azimuth);
	direction[2] = z;
}
