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
typedef __m512i lanes_whole_numbers;

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

/* Without its fraction, as whole numbers. */
static inline void lanes_store_whole(int *p, lanes x)
{
	_mm512_storeu_si512(p, _mm512_cvttps_epi32(x));
}

static inline lanes lanes_smaller(lanes a, lanes b)
{
	return _mm512_min_ps(a, b);
}

static inline lanes lanes_larger(lanes a, lanes b)
{
	return _mm512_max_ps(a, b);
}

static inline float lanes_smallest(lanes x)
{
	return _mm512_reduce_min_ps(x);
}

static inline float lanes_largest(lanes x)
{
	return _mm512_reduce_max_ps(x);
}

static inline lanes lanes_floor(lanes x)
{
	return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

/* a where the mask says so, else b. */
static inline lanes lanes_select(lanes_mask where, lanes a, lanes b)
{
	return _mm512_mask_mov_ps(b, where, a);
}

static inline lanes lanes_load_as_float(const int *p)
{
	return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

static inline lanes_whole_numbers lanes_to_whole(lanes x)
{
	return _mm512_cvttps_epi32(x);
}

/* first, first + 1, ... */
static inline lanes_whole_numbers lanes_counted(int first)
{
	return _mm512_add_epi32(_mm512_set1_epi32(first),
				_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
}

/* The first `count` lanes, all of them if it is larger. */
static inline lanes_mask lanes_first(int count)
{
	return count >= LANES ? 0xffff : (lanes_mask)((1u << count) - 1);
}

/* low <= x < high */
static inline lanes_mask lanes_between(const int *low, const int *high, int x)
{
	const __m512i at = _mm512_set1_epi32(x);
	return _mm512_mask_cmple_epi32_mask(_mm512_cmpgt_epi32_mask(_mm512_loadu_si512(high), at),
					    _mm512_loadu_si512(low), at);
}

static inline int lanes_count(lanes_mask where)
{
	return __builtin_popcount(where);
}

/* The lanes that the mask has, one after the other, and something behind them: LANES numbers are written. */
static inline void lanes_pack(lanes_mask where, lanes x, float *p)
{
	_mm512_storeu_ps(p, _mm512_maskz_compress_ps(where, x));
}

static inline void lanes_pack_whole(lanes_mask where, lanes_whole_numbers x, int *p)
{
	_mm512_storeu_si512(p, _mm512_maskz_compress_epi32(where, x));
}

/* Quadruples (a, b, c, d)[k] for all k: that of k is quadruple k / 4 of out[k mod 4]. */
static inline void lanes_interleave(lanes a, lanes b, lanes c, lanes d, lanes out[4])
{
	const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)),
		      ab2 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b)),
		      cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)),
		      cd2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
	out[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab0, cd0));
	out[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab0, cd0));
	out[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2));
	out[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2));
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
typedef lanes_mask lanes_whole_numbers;
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

static inline void lanes_store_whole(int *p, lanes x)
{
	const lanes_mask whole = __builtin_convertvector(x, lanes_mask);
	memcpy(p, &whole, sizeof whole);
}

static inline lanes lanes_select(lanes_mask where, lanes a, lanes b)
{
	return (lanes)(((lanes_mask)a & where) | ((lanes_mask)b & ~where));
}

static inline lanes lanes_smaller(lanes a, lanes b)
{
	return lanes_select(a < b, a, b);
}

static inline lanes lanes_larger(lanes a, lanes b)
{
	return lanes_select(a > b, a, b);
}

static inline float lanes_smallest(lanes x)
{
	float least = x[0];
	for (int k = 1; k < LANES; k++) least = x[k] < least ? x[k] : least;
	return least;
}

static inline float lanes_largest(lanes x)
{
	float most = x[0];
	for (int k = 1; k < LANES; k++) most = x[k] > most ? x[k] : most;
	return most;
}

static inline lanes lanes_floor(lanes x)
{
	const lanes whole = lanes_whole(x);
	return whole - lanes_only(whole > x, lanes_all(1));
}

static inline lanes_whole_numbers lanes_load_whole(const int *p)
{
	lanes_whole_numbers x;
	memcpy(&x, p, sizeof x);
	return x;
}

static inline lanes lanes_load_as_float(const int *p)
{
	return __builtin_convertvector(lanes_load_whole(p), lanes);
}

static inline lanes_whole_numbers lanes_to_whole(lanes x)
{
	return __builtin_convertvector(x, lanes_mask);
}

static inline lanes_whole_numbers lanes_counted(int first)
{
#if LANES == 8
	return (lanes_whole_numbers){0, 1, 2, 3, 4, 5, 6, 7} + first;
#else
	return (lanes_whole_numbers){0, 1, 2, 3} + first;
#endif
}

static inline lanes_mask lanes_first(int count)
{
	return lanes_counted(0) < count;
}

static inline lanes_mask lanes_between(const int *low, const int *high, int x)
{
	return (lanes_load_whole(low) <= x) & (lanes_load_whole(high) > x);
}

static inline int lanes_count(lanes_mask where)
{
	int count = 0;
	for (int k = 0; k < LANES; k++) count -= where[k];
	return count;
}

static inline void lanes_pack(lanes_mask where, lanes x, float *p)
{
	for (int k = 0, n = 0; k < LANES; k++) {
		p[n] = x[k];
		n -= where[k];
	}
}

static inline void lanes_pack_whole(lanes_mask where, lanes_whole_numbers x, int *p)
{
	for (int k = 0, n = 0; k < LANES; k++) {
		p[n] = x[k];
		n -= where[k];
	}
}

#if LANES == 8
#define LANES_UNPACK_LOW(a, b)  LANES_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define LANES_UNPACK_HIGH(a, b) LANES_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LANES_PAIRS_LOW(a, b)   LANES_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define LANES_PAIRS_HIGH(a, b)  LANES_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define LANES_UNPACK_LOW(a, b)  LANES_SHUFFLE(a, b, 0, 4, 1, 5)
#define LANES_UNPACK_HIGH(a, b) LANES_SHUFFLE(a, b, 2, 6, 3, 7)
#define LANES_PAIRS_LOW(a, b)   LANES_SHUFFLE(a, b, 0, 1, 4, 5)
#define LANES_PAIRS_HIGH(a, b)  LANES_SHUFFLE(a, b, 2, 3, 6, 7)
#endif

static inline void lanes_interleave(lanes a, lanes b, lanes c, lanes d, lanes out[4])
{
	const lanes ab0 = LANES_UNPACK_LOW(a, b), ab2 = LANES_UNPACK_HIGH(a, b), cd0 = LANES_UNPACK_LOW(c, d),
		    cd2 = LANES_UNPACK_HIGH(c, d);
	out[0] = LANES_PAIRS_LOW(ab0, cd0);
	out[1] = LANES_PAIRS_HIGH(ab0, cd0);
	out[2] = LANES_PAIRS_LOW(ab2, cd2);
	out[3] = LANES_PAIRS_HIGH(ab2, cd2);
}

static inline void lanes_transpose(lanes row[LANES])
{
#if LANES == 8
	lanes t[LANES];
	for (int i = 0; i < 8; i += 4) lanes_interleave(row[i], row[i + 1], row[i + 2], row[i + 3], t + i);
	for (int i = 0; i < 4; i++) {
		row[i] = LANES_SHUFFLE(t[i], t[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		row[i + 4] = LANES_SHUFFLE(t[i], t[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
#else
	lanes_interleave(row[0], row[1], row[2], row[3], row);
#endif
}
#endif

/* The TOF kernel's series at `start`, one plane further on at start + slope and so on; in units of the cut. terms: an even number. Even
 * and odd powers are two sums that do not wait for one another. */
static inline lanes lanes_tof_weight(const float *term, int terms, float start, float slope)
{
	const lanes x = lanes_all(slope) * lanes_numbers() + lanes_all(start);
	const lanes square = x * x, t = square - lanes_all(0.5f), tt = t * t;
	lanes even = lanes_all(term[terms - 2]), odd = lanes_all(term[terms - 1]);
	for (int n = terms - 4; n >= 0; n -= 2) {
		even = even * tt + lanes_all(term[n]);
		odd = odd * tt + lanes_all(term[n + 1]);
	}
	return lanes_only(lanes_below(square, lanes_all(1)), even + odd * t);
}

/* Two neighbouring voxels from each of two rows: near[0], near[1], far[0], far[1]. */
typedef float four __attribute__((vector_size(16)));

static inline four four_none(void)
{
	return (four){0};
}

static inline four four_all(float x)
{
	return (four){x, x, x, x};
}

static inline four four_load(const float *p)
{
	four x;
	memcpy(&x, p, sizeof x);
	return x;
}

#ifdef __SSE2__
#include <immintrin.h>
static inline four four_pairs(const float *near, const float *far)
{
	/* these take any alignment */
	const __m128 low = _mm_loadl_pi(_mm_setzero_ps(), (const __m64 *)(const void *)near);
	return (four)_mm_loadh_pi(low, (const __m64 *)(const void *)far);
}

static inline void four_set_pairs(float *near, float *far, four x)
{
	_mm_storel_pi((__m64 *)(void *)near, (__m128)x);
	_mm_storeh_pi((__m64 *)(void *)far, (__m128)x);
}
#elif defined __ARM_NEON
#include <arm_neon.h>
static inline four four_pairs(const float *near, const float *far)
{
	return (four)vcombine_f32(vld1_f32(near), vld1_f32(far));
}

static inline void four_set_pairs(float *near, float *far, four x)
{
	vst1_f32(near, vget_low_f32((float32x4_t)x));
	vst1_f32(far, vget_high_f32((float32x4_t)x));
}
#else
static inline four four_pairs(const float *near, const float *far)
{
	return (four){near[0], near[1], far[0], far[1]};
}

static inline void four_set_pairs(float *near, float *far, four x)
{
	near[0] = x[0], near[1] = x[1];
	far[0] = x[2], far[1] = x[3];
}
#endif
#endif
