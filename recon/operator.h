/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All that an iterative algorithm sees of the physics: linear operators, and data that come block by block. */
#ifndef ISOTRACE_RECON_OPERATOR_H
#define ISOTRACE_RECON_OPERATOR_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/status.h"

/* y = A x and x += A' y. What the vectors are long is for the maker and the user to agree on. */
typedef struct iso_operator {
	void *self;
	iso_status (*forward)(void *self, const float *x, float *y, iso_error *err);
	iso_status (*adjoint)(void *self, const float *y, float *x, iso_error *err);
	void (*free)(void *self); /* may be NULL */
} iso_operator;

/* NULL-safe on a zeroed operator. */
static inline void iso_operator_free(iso_operator *op)
{
	if (op->free) op->free(op->self);
	*op = (iso_operator){0};
}

/* Measured lines; valid until the next call. How many make a block is up to the data and never depends on threads or memory: the
 * order of sums, hence every bit of the result, follows from the blocks. */
typedef struct iso_data_block {
	size_t count;
	const iso_operator *lines; /* image -> these lines: [count] */
	const float *additive; /* expected background of each line in units of the lines operator; INFINITY: the line
				    * cannot count and tells nothing */
	const float *counts;   /* measured on each line; NULL: 1 each (list-mode) */
} iso_data_block;

/* The measured data, by subsets. */
typedef struct iso_data {
	void *self;
	double total; /* counts over all subsets */
	size_t most;  /* lines in any block */
	/* The next block is subset's first. */
	iso_status (*rewind)(void *self, unsigned subset, iso_error *err);
	/* count 0: the end of the subset. */
	iso_status (*next)(void *self, iso_data_block *block, iso_error *err);
} iso_data;

#endif
