/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "simulate/photon.h"

#include <math.h>

#include "simulate/draw.h"
#include "simulate/scatter.h"

#define MM_PER_S       299792458e3
#define FWHM_PER_SIGMA 2.3548200450309493

static void move(iso_photon *photon, double distance_mm)
{
	for (int a = 0; a < 3; a++) photon->point_mm[a] += distance_mm * photon->direction[a];
	photon->path_mm += distance_mm;
}

/* Compton scatter; returns the energy left behind. */
static double scatter_compton(iso_photon *photon, iso_random *random)
{
	double cosine;
	const double left = iso_scatter_compton(photon->energy_kev, random, &cosine);
	const double lost = photon->energy_kev - left;
	photon->energy_kev = left;
	iso_scatter_turn(photon->direction, cosine, random);
	return lost;
}

static void scatter_rayleigh(iso_photon *photon, iso_random *random, const iso_material *material)
{
	iso_scatter_turn(photon->direction, iso_scatter_rayleigh(material, photon->energy_kev, random), random);
}

static void count_scatter(iso_photon *photon)
{
	if (photon->scatters < 255) photon->scatters++;
}

/* Through the body, until the photon is on its last straight way. False: it is absorbed, or has too little energy left to be
 * recorded by itself. */
static bool leave_body(const iso_transport *t, iso_random *random, iso_photon *photon)
{
	iso_collision collision;
	while (iso_matter_collide(t->matter, random, photon->point_mm, photon->direction, photon->energy_kev,
				  &collision)) {
		if (!t->scene->scatter || collision.process == ISO_PROCESS_PHOTOELECTRIC) return false;
		move(photon, collision.distance_mm);
		count_scatter(photon);
		if (collision.process == ISO_PROCESS_COMPTON)
			(void)scatter_compton(photon, random);
		else
			scatter_rayleigh(photon, random, collision.material);
		if (photon->energy_kev < t->least_kev) return false;
	}
	return true;
}

/* Through the crystals with their material's cross-sections. True: back into the bore. */
static bool cross_crystals(const iso_transport *t, iso_random *random, iso_photon *photon, iso_deposits *deposits)
{
	for (;;) {
		double fraction;
		bool inwards;
		const size_t step = iso_material_step(photon->energy_kev, &fraction);
		const double mu = t->crystal_g_mm_cm3 * iso_material_total(t->crystal, step, fraction);
		const double path = -log(draw_uniform(random)) / mu;
		const double end = iso_annulus_leave(&t->annulus, photon->point_mm, photon->direction, &inwards);
		if (path >= end) {
			move(photon, end);
			return inwards;
		}
		move(photon, path);
		const iso_process process = iso_material_process(t->crystal, step, fraction, draw_uniform(random));
		if (process == ISO_PROCESS_RAYLEIGH) {
			scatter_rayleigh(photon, random, t->crystal);
			continue;
		}
		if (process == ISO_PROCESS_COMPTON) {
			const double lost = scatter_compton(photon, random);
			iso_photon_deposit(t, photon, lost, deposits);
			if (photon->energy_kev > ISO_MATERIAL_LOWEST_KEV) continue;
		}
		iso_photon_deposit(t, photon, photon->energy_kev, deposits);
		return false;
	}
}

/* The simple model: one interaction with a coefficient that is the same for all energies, all of the energy or that of one
 * Compton scatter. */
static void stop_in_crystals(const iso_transport *t, iso_random *random, iso_photon *photon, iso_deposits *deposits)
{
	bool inwards;
	const double path = -log(draw_uniform(random)) / t->annulus.mu_per_mm;
	if (path >= iso_annulus_leave(&t->annulus, photon->point_mm, photon->direction, &inwards)) return;
	move(photon, path);
	const double all = photon->energy_kev;
	iso_photon_deposit(
	    t, photon, draw_uniform(random) < t->scene->detector.photofraction ? all : scatter_compton(photon, random),
	    deposits);
}

void iso_photon_follow(const iso_transport *t, iso_random *random, iso_photon *photon, bool in_crystals,
		       iso_deposits *deposits)
{
	for (;;) {
		if (!in_crystals) {
			/* A photon that cannot scatter and misses the crystals need not be followed through the body. */
			double entry;
			const bool straight = !t->scene->scatter;
			if (straight && !iso_annulus_meet(&t->annulus, photon->point_mm, photon->direction, &entry))
				return;
			if (t->matter && !leave_body(t, random, photon)) return;
			if (!straight && !iso_annulus_meet(&t->annulus, photon->point_mm, photon->direction, &entry))
				return;
			move(photon, entry);
		}
		if (!t->crystal) {
			stop_in_crystals(t, random, photon, deposits);
			return;
		}
		if (!cross_crystals(t, random, photon, deposits) || photon->energy_kev < t->least_kev) return;
		/* Across the bore to other crystals: no longer a photon that comes straight from its decay. */
		count_scatter(photon);
		in_crystals = false;
	}
}

void iso_photon_deposit(const iso_transport *t, const iso_photon *photon, double kev, iso_deposits *deposits)
{
	if (deposits->count == ISO_MOST_DEPOSITS) {
		deposits->of[ISO_MOST_DEPOSITS - 1].kev += kev;
		return;
	}
	deposits->of[deposits->count++] = (iso_deposit){.kev = kev,
							.path_mm = photon->path_mm,
							.crystal = iso_annulus_crystal(&t->annulus, photon->point_mm),
							.scatters = photon->scatters,
							.origin = photon->origin};
}

/* What one block collects of a decay. */
typedef struct block_sum {
	uint32_t block, ring, sector;        /* ring and sector of the block's first crystal */
	double kev, path_mm, rings, sectors; /* earliest path; energy-weighted place inside the block */
	double most_kev;                     /* of one deposit, whose photon the single is named after */
	uint8_t scatters, origin;
} block_sum;

static int sum_blocks(const iso_transport *t, const iso_deposits *deposits, block_sum sums[ISO_MOST_SINGLES])
{
	const uint32_t per_ring = t->annulus.crystals_per_ring;
	const uint32_t across = t->block_crystals[0], along = t->block_crystals[1];
	int count = 0;
	for (int d = 0; d < deposits->count; d++) {
		const iso_deposit *deposit = &deposits->of[d];
		const uint32_t ring = deposit->crystal / per_ring, sector = deposit->crystal % per_ring;
		const uint32_t block = ring / along * (per_ring / across) + sector / across;
		int n = 0;
		while (n < count && sums[n].block != block) n++;
		if (n == count) {
			if (count == ISO_MOST_SINGLES) continue;
			sums[count++] = (block_sum){.block = block,
						    .ring = ring / along * along,
						    .sector = sector / across * across,
						    .path_mm = deposit->path_mm};
		}
		block_sum *sum = &sums[n];
		sum->kev += deposit->kev;
		sum->path_mm = fmin(sum->path_mm, deposit->path_mm);
		sum->rings += deposit->kev * (ring - sum->ring);
		sum->sectors += deposit->kev * (sector - sum->sector);
		if (deposit->kev > sum->most_kev) {
			sum->most_kev = deposit->kev;
			sum->scatters = deposit->scatters;
			sum->origin = deposit->origin;
		}
	}
	return count;
}

int iso_photon_singles(const iso_transport *t, iso_random *random, double time_s, uint64_t decay,
		       const iso_deposits *deposits, iso_single out[ISO_MOST_SINGLES])
{
	block_sum sums[ISO_MOST_SINGLES];
	const int blocks = sum_blocks(t, deposits, sums);
	const double resolution = t->scene->detector.energy_resolution / FWHM_PER_SIGMA;
	int count = 0;
	for (int n = 0; n < blocks; n++) {
		const block_sum *sum = &sums[n];
		if (sum->kev < t->least_kev) continue;
		double blur[2];
		draw_gaussian_pair(random, blur);
		/* the variance of scintillation light grows with the energy */
		const double measured = sum->kev + resolution * sqrt(511 * sum->kev) * blur[0];
		if (measured < t->threshold_kev) continue;
		const uint32_t ring = sum->ring + (uint32_t)(sum->rings / sum->kev + 0.5);
		const uint32_t sector = sum->sector + (uint32_t)(sum->sectors / sum->kev + 0.5);
		out[count++] = (iso_single){.time_s = time_s + sum->path_mm / MM_PER_S + t->single_sigma_s * blur[1],
					    .decay = decay,
					    .crystal = ring * t->annulus.crystals_per_ring + sector,
					    .energy_kev = (float)measured,
					    .scatters = sum->scatters,
					    .origin = sum->origin};
	}
	return count;
}
