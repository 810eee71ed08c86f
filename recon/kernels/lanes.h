/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A few planes of a line at once: the handful of operations that the kernels need, for the widest vectors that the file including
 * this is compiled for. LANES is 16 with AVX-512, 8 with AVX2, 4 elsewhere (SSE2, NEON). */
#ifndef ISOTRACE_RECON_KERNELS_LANES_H
#define ISOTRACE_RECON_KERNELS_LANES_H

#include <string.h>

#ifdef __AVX512F__

#include <immintrin.h>
#define LANES 16
typedef __m512 lanes;
typedef __mmask16 lanes_mask;

static inline lanes lanes_all(float x)
{
	return _mm512_set1_ps(x);
}

static inline lanes lanes_numbers(void)
{
	return _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

static inline lanes lanes_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

static inline void lanes_store(float *p, lanes x)
{
	_mm512_storeu_ps(p, x);
}

/* Without its fraction. */
static inline lanes lanes_whole(lanes x)
{
	return _mm512_roundscale_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
	return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

static inline lanes_mask lanes_at_least(lanes a, lanes b)
{
	return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}

static inline lanes_mask lanes_below(lanes a, lanes b)
{
	return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

/* p where the mask says so, else x. */
static inline lanes lanes_load_where(lanes x, lanes_mask where, const float *p)
{
	return _mm512_mask_loadu_ps(x, where, p);
}

/* x + y where the mask says so, else x. */
static inline lanes lanes_add_where(lanes x, lanes_mask where, lanes y)
{
	return _mm512_mask_add_ps(x, where, x, y);
}

/* x where the mask says so, else 0. */
static inline lanes lanes_only(lanes_mask where, lanes x)
{
	return _mm512_maskz_mov_ps(where, x);
}

static inline lanes_mask lanes_nowhere(void)
{
	return 0;
}

static inline float lanes_sum(lanes x)
{
	return _mm512_reduce_add_ps(x);
}

/* Element (r, c) to (c, r). */
static inline void lanes_transpose(lanes row[LANES])
{
	__m512 t[16];
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++) {
		t[2 * i] = _mm512_unpacklo_ps(row[2 * i], row[2 * i + 1]);
		t[2 * i + 1] = _mm512_unpackhi_ps(row[2 * i], row[2 * i + 1]);
	}
	for (int i = 0; i < 4; i++) {
		const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]),
			      c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
		row[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
		row[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
		row[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
		row[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
	}
	for (int i = 0; i < 4; i++)
		for (int half = 0; half < 16; half += 8) {
			t[half + i] = _mm512_shuffle_f32x4(row[half + i], row[half + i + 4], 0x88);
			t[half + i + 4] = _mm512_shuffle_f32x4(row[half + i], row[half + i + 4], 0xdd);
		}
	for (int i = 0; i < 8; i++) {
		row[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
		row[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
	}
}

#else

#ifdef __AVX2__
#define LANES 8
#else
#define LANES 4
#endif
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int lanes_mask __attribute__((vector_size(4 * LANES)));
typedef float lanes_unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline lanes lanes_all(float x)
{
	return x - (lanes){0};
}

static inline lanes lanes_numbers(void)
{
#if LANES == 8
	return (lanes){0, 1, 2, 3, 4, 5, 6, 7};
#else
	return (lanes){0, 1, 2, 3};
#endif
}

static inline lanes lanes_load(const float *p)
{
	return *(const lanes_unaligned *)p;
}

static inline void lanes_store(float *p, lanes x)
{
	*(lanes_unaligned *)p = x;
}

static inline lanes lanes_whole(lanes x)
{
	return __builtin_convertvector(__builtin_convertvector(x, lanes_mask), lanes);
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
	return a == b;
}

static inline lanes_mask lanes_at_least(lanes a, lanes b)
{
	return a >= b;
}

static inline lanes_mask lanes_below(lanes a, lanes b)
{
	return a < b;
}

static inline lanes lanes_only(lanes_mask where, lanes x)
{
	return (lanes)((lanes_mask)x & where);
}

static inline lanes lanes_load_where(lanes x, lanes_mask where, const float *p)
{
	return (lanes)(((lanes_mask)lanes_load(p) & where) | ((lanes_mask)x & ~where));
}

static inline lanes lanes_add_where(lanes x, lanes_mask where, lanes y)
{
	return x + lanes_only(where, y);
}

static inline lanes_mask lanes_nowhere(void)
{
	return (lanes_mask){0};
}

static inline float lanes_sum(lanes x)
{
#if LANES == 8
	return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
#else
	return (x[0] + x[2]) + (x[1] + x[3]);
#endif
}

#ifdef __clang__
#define LANES_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LANES_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (lanes_mask){__VA_ARGS__})
#endif

static inline void lanes_transpose(lanes row[LANES])
{
	lanes t[LANES];
#if LANES == 8
	for (int i = 0; i < 8; i += 2) {
		t[i] = LANES_SHUFFLE(row[i], row[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		t[i + 1] = LANES_SHUFFLE(row[i], row[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
	}
	for (int i = 0; i < 8; i += 4) {
		row[i] = LANES_SHUFFLE(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
		row[i + 1] = LANES_SHUFFLE(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
		row[i + 2] = LANES_SHUFFLE(t[i + 1], t[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
		row[i + 3] = LANES_SHUFFLE(t[i + 1], t[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
	}
	for (int i = 0; i < 4; i++) {
		t[i] = LANES_SHUFFLE(row[i], row[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		t[i + 4] = LANES_SHUFFLE(row[i], row[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
	memcpy(row, t, sizeof t);
#else
	for (int i = 0; i < 4; i += 2) {
		t[i] = LANES_SHUFFLE(row[i], row[i + 1], 0, 4, 1, 5);
		t[i + 1] = LANES_SHUFFLE(row[i], row[i + 1], 2, 6, 3, 7);
	}
	row[0] = LANES_SHUFFLE(t[0], t[2], 0, 1, 4, 5);
	row[1] = LANES_SHUFFLE(t[0], t[2], 2, 3, 6, 7);
	row[2] = LANES_SHUFFLE(t[1], t[3], 0, 1, 4, 5);
	row[3] = LANES_SHUFFLE(t[1], t[3], 2, 3, 6, 7);
#endif
}
#endif
#endif
