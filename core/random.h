/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counter-based random numbers, Philox 4x32-10 (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC'11): a number depends on (seed, stream, position) alone, so that any thread can draw any of them and
 * the result does not depend on how the work was shared. */
#ifndef ISOTRACE_CORE_RANDOM_H
#define ISOTRACE_CORE_RANDOM_H

#include <stdint.h>

typedef struct iso_random {
	uint32_t key[2];
	uint32_t counter[4]; /* [0..1] position, [2..3] stream */
	uint32_t block[4];
	unsigned left; /* unused words in block */
} iso_random;

iso_random iso_random_begin(uint64_t seed, uint64_t stream);
void iso_random_refill(iso_random *random); /* the next four words; for iso_random_u32 */
static inline uint32_t iso_random_u32(iso_random *random)
{
	if (random->left == 0) iso_random_refill(random);
	return random->block[--random->left];
}
double iso_random_uniform(iso_random *random);     /* (0, 1), 52 bits, never 0 or 1 */
double iso_random_gaussian(iso_random *random);    /* mean 0, standard deviation 1 */
double iso_random_exponential(iso_random *random); /* mean 1 */
/* By products of uniforms below a mean of 30, by transformed rejection (PTRS) up to 1e12, by the normal distribution above. */
uint64_t iso_random_poisson(iso_random *random, double mean);
void iso_random_direction(iso_random *random, double direction[3]); /* isotropic unit vector */

#endif
