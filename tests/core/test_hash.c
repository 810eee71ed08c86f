/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The vectors are those of FIPS 180-2, appendix B: "abc", the 448-bit message, a million times "a"; and of nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/output.h"
#include "tests/harness.h"

static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		  abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		  message[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  message_hash[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
		  million_hash[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static const char *hash_of(const void *bytes, size_t size)
{
	static char hex[65];
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_bytes(&hash, bytes, size);
	iso_hash_end(&hash, hex);
	return hex;
}

static void vectors(void)
{
	CU_ASSERT_STRING_EQUAL(hash_of("", 0), empty);
	CU_ASSERT_STRING_EQUAL(hash_of("abc", 3), abc);
	CU_ASSERT_STRING_EQUAL(hash_of(message, strlen(message)), message_hash);
	iso_hash hash;
	char hex[65];
	iso_hash_begin(&hash);
	for (int i = 0; i < 1000000; i++) iso_hash_bytes(&hash, "a", 1);
	iso_hash_end(&hash, hex);
	CU_ASSERT_STRING_EQUAL(hex, million_hash);
}

/* RFC 4231, test cases 1, 2 and 6: a short key, a shorter one, one longer than a block. */
static void keyed(void)
{
	char hex[65], twenty[20], long_key[131];
	memset(twenty, 0x0b, sizeof twenty);
	iso_hash_keyed(twenty, sizeof twenty, "Hi There", 8, hex);
	CU_ASSERT_STRING_EQUAL(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	iso_hash_keyed("Jefe", 4, "what do ya want for nothing?", 28, hex);
	CU_ASSERT_STRING_EQUAL(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(long_key, 0xaa, sizeof long_key);
	iso_hash_keyed(long_key, sizeof long_key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex);
	CU_ASSERT_STRING_EQUAL(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void files(void)
{
	iso_error err;
	char hex[65];
	static char million[1000000]; /* larger than the read buffer */
	memset(million, 'a', sizeof million);
	const char *path = iso_test_path("million");
	ISO_ASSERT_OK(iso_output_write(path, million, sizeof million, &err), err);
	ISO_ASSERT_OK(iso_hash_file(path, hex, &err), err);
	CU_ASSERT_STRING_EQUAL(hex, million_hash);
	CU_ASSERT_EQUAL(iso_hash_file(iso_test_path("absent"), hex, &err), ISO_BAD_INPUT);
	CU_ASSERT_STRING_EQUAL(err.file, iso_test_path("absent"));
	CU_ASSERT_EQUAL(iso_hash_file(iso_test_folder(), hex, &err), ISO_BAD_INPUT);
}

static const char *of_texts(const char *a, const char *b)
{
	static char buffers[4][65];
	static int next;
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_text(&hash, a);
	iso_hash_text(&hash, b);
	char *hex = buffers[next++ % 4];
	iso_hash_end(&hash, hex);
	return hex;
}

static const char *of_double(double value)
{
	static char buffers[4][65];
	static int next;
	iso_hash hash;
	iso_hash_begin(&hash);
	iso_hash_double(&hash, value);
	char *hex = buffers[next++ % 4];
	iso_hash_end(&hash, hex);
	return hex;
}

static void values(void)
{
	CU_ASSERT(strcmp(of_texts("ab", "c"), of_texts("a", "bc")) != 0);
	CU_ASSERT_STRING_EQUAL(of_double(0.0), of_double(-0.0));
	CU_ASSERT_STRING_EQUAL(of_double((double)NAN), of_double(-(double)NAN));
	CU_ASSERT(strcmp(of_double(1.0), of_double(1.0 + 0x1p-52)) != 0);
	CU_ASSERT(strcmp(of_double((double)INFINITY), of_double(-(double)INFINITY)) != 0);
	/* The same on every machine: little-endian bytes of the number. */
	static const unsigned char one[8] = {0, 0, 0, 0, 0, 0, 0xf0, 0x3f};
	CU_ASSERT_STRING_EQUAL(of_double(1.0), hash_of(one, 8));
}

static const iso_test tests[] = {
    {"the published vectors", vectors},
    {"the published vectors of keyed hashes", keyed},
    {"a file's hash is that of its bytes", files},
    {"texts and numbers are told apart, -0 and every NAN are not", values},
};
ISO_TEST_MAIN("hash", tests)
