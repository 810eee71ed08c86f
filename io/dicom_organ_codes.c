/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SNOMED CT codes of organs as in DICOM PS3.16: CID 7151 and the groups that it includes (anatomy), CID 7150 (categories),
 * CID 244 (laterality). Colours are by the habits of anatomical atlases, told apart on a dark image. */
#define _GNU_SOURCE
#include "io/dicom_organ_codes.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"

typedef enum { ANATOMY, TISSUE, SUBSTANCE, ABNORMAL } category;
static const char *const categories[][2] = {
    [ANATOMY] = {"123037004", "Anatomical Structure"},
    [TISSUE] = {"85756007", "Tissue"},
    [SUBSTANCE] = {"91720002", "Body Substance"},
    [ABNORMAL] = {"49755003", "Morphologically Abnormal Structure"},
};

typedef enum { NO_SIDE, LEFT, RIGHT, BOTH } side;
static const char *const sides[][2] = {
    [NO_SIDE] = {NULL, NULL},
    [LEFT] = {"7771000", "Left"},
    [RIGHT] = {"24028007", "Right"},
    [BOTH] = {"51440002", "Right and left"},
};

static const struct {
	const char *name, *value, *meaning;
	category category;
	side side;
	uint8_t srgb[3];
} table[] = {
    {"adrenal", "23451007", "Adrenal gland", ANATOMY, NO_SIDE, {244, 186, 150}},
    {"adrenals", "23451007", "Adrenal gland", ANATOMY, BOTH, {244, 186, 150}},
    {"aorta", "15825003", "Aorta", ANATOMY, NO_SIDE, {224, 97, 76}},
    {"bladder", "89837001", "Bladder", ANATOMY, NO_SIDE, {222, 190, 92}},
    {"blood", "87612001", "Blood", SUBSTANCE, NO_SIDE, {216, 60, 60}},
    {"blood pool", "87612001", "Blood", SUBSTANCE, NO_SIDE, {216, 60, 60}},
    {"body", "38266002", "Entire body", ANATOMY, NO_SIDE, {177, 150, 130}},
    {"bone", "272673000", "Bone", ANATOMY, NO_SIDE, {241, 230, 190}},
    {"bone marrow", "14016003", "Bone marrow", ANATOMY, NO_SIDE, {200, 130, 110}},
    {"brain", "12738006", "Brain", ANATOMY, NO_SIDE, {250, 235, 215}},
    {"cecum", "32713005", "Cecum", ANATOMY, NO_SIDE, {205, 150, 130}},
    {"colon", "71854001", "Colon", ANATOMY, NO_SIDE, {204, 168, 143}},
    {"eye", "81745001", "Eye", ANATOMY, NO_SIDE, {194, 222, 240}},
    {"eyes", "81745001", "Eye", ANATOMY, BOTH, {194, 222, 240}},
    {"faeces", "39477002", "Feces", SUBSTANCE, NO_SIDE, {140, 110, 70}},
    {"fat", "256674009", "Fat", TISSUE, NO_SIDE, {240, 225, 120}},
    {"feces", "39477002", "Feces", SUBSTANCE, NO_SIDE, {140, 110, 70}},
    {"femur", "71341001", "Femur", ANATOMY, NO_SIDE, {241, 214, 145}},
    {"femurs", "71341001", "Femur", ANATOMY, BOTH, {241, 214, 145}},
    {"gall bladder", "28231008", "Gallbladder", ANATOMY, NO_SIDE, {139, 170, 98}},
    {"gallbladder", "28231008", "Gallbladder", ANATOMY, NO_SIDE, {139, 170, 98}},
    {"head", "69536005", "Head", ANATOMY, NO_SIDE, {190, 160, 140}},
    {"heart", "80891009", "Heart", ANATOMY, NO_SIDE, {206, 110, 84}},
    {"intestine", "113276009", "Intestine", ANATOMY, NO_SIDE, {205, 167, 142}},
    {"intestines", "113276009", "Intestine", ANATOMY, NO_SIDE, {205, 167, 142}},
    {"kidney", "64033007", "Kidney", ANATOMY, NO_SIDE, {185, 102, 83}},
    {"kidneys", "64033007", "Kidney", ANATOMY, BOTH, {185, 102, 83}},
    {"large intestine", "14742008", "Large intestine", ANATOMY, NO_SIDE, {200, 160, 140}},
    {"left ventricle", "87878005", "Left ventricle", ANATOMY, NO_SIDE, {200, 90, 80}},
    {"liver", "10200004", "Liver", ANATOMY, NO_SIDE, {221, 130, 101}},
    {"lung", "39607008", "Lung", ANATOMY, NO_SIDE, {172, 200, 214}},
    {"lungs", "39607008", "Lung", ANATOMY, BOTH, {172, 200, 214}},
    {"lymph node", "59441001", "Lymph node", ANATOMY, NO_SIDE, {68, 172, 100}},
    {"muscle", "71616004", "Muscle", ANATOMY, NO_SIDE, {192, 104, 88}},
    {"myocardium", "74281007", "Myocardium", ANATOMY, NO_SIDE, {206, 110, 84}},
    {"ovaries", "15497006", "Ovary", ANATOMY, BOTH, {245, 190, 200}},
    {"ovary", "15497006", "Ovary", ANATOMY, NO_SIDE, {245, 190, 200}},
    {"pancreas", "15776009", "Pancreas", ANATOMY, NO_SIDE, {249, 180, 111}},
    {"salivary glands", "385294005", "Salivary Glands", ANATOMY, NO_SIDE, {230, 200, 160}},
    {"skeletal muscle", "127954009", "Skeletal muscle", ANATOMY, NO_SIDE, {192, 104, 88}},
    {"skeleton", "113192009", "Skeletal system", ANATOMY, NO_SIDE, {241, 230, 190}},
    {"skin", "39937001", "Skin", ANATOMY, NO_SIDE, {177, 122, 101}},
    {"small intestine", "30315005", "Small intestine", ANATOMY, NO_SIDE, {215, 175, 150}},
    {"soft tissue", "87784001", "Soft tissue", TISSUE, NO_SIDE, {180, 140, 120}},
    {"spinal cord", "2748008", "Spinal cord", ANATOMY, NO_SIDE, {244, 214, 49}},
    {"spleen", "78961009", "Spleen", ANATOMY, NO_SIDE, {157, 108, 162}},
    {"stomach", "69695003", "Stomach", ANATOMY, NO_SIDE, {216, 150, 120}},
    {"testes", "40689003", "Testis", ANATOMY, BOTH, {150, 160, 210}},
    {"testis", "40689003", "Testis", ANATOMY, NO_SIDE, {150, 160, 210}},
    {"thymus", "9875009", "Thymus", ANATOMY, NO_SIDE, {120, 180, 180}},
    {"thyroid", "69748006", "Thyroid", ANATOMY, NO_SIDE, {62, 162, 114}},
    {"trunk", "22943007", "Trunk", ANATOMY, NO_SIDE, {180, 150, 130}},
    {"tumor", "108369006", "Neoplasm", ABNORMAL, NO_SIDE, {144, 238, 144}},
    {"tumour", "108369006", "Neoplasm", ABNORMAL, NO_SIDE, {144, 238, 144}},
    {"urine", "78014005", "Urine", SUBSTANCE, NO_SIDE, {220, 220, 60}},
    {"uterus", "35039007", "Uterus", ANATOMY, NO_SIDE, {255, 181, 158}},
    {"whole body", "38266002", "Entire body", ANATOMY, NO_SIDE, {177, 150, 130}},
};
#define ROWS (sizeof table / sizeof *table)

/* --- colours --------------------------------------------------------------------------------------------------- */

static double linear(uint8_t value)
{
	const double v = value / 255.0;
	return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static double lab_curve(double t)
{
	return t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116;
}

void iso_dicom_cielab(const uint8_t srgb[3], uint16_t cielab[3])
{
	/* sRGB (IEC 61966-2-1) to XYZ, adapted from D65 to D50 (Bradford); the rows add up to the white point. */
	static const double to_xyz[3][3] = {
	    {0.4360747, 0.3850649, 0.1430804}, {0.2225045, 0.7168786, 0.0606169}, {0.0139322, 0.0971045, 0.7141733}};
	double f[3];
	for (int row = 0; row < 3; row++) {
		const double *m = to_xyz[row];
		const double value = m[0] * linear(srgb[0]) + m[1] * linear(srgb[1]) + m[2] * linear(srgb[2]);
		f[row] = lab_curve(value / (m[0] + m[1] + m[2]));
	}
	const double lab[3] = {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
	cielab[0] = (uint16_t)rint(fmin(fmax(lab[0] / 100, 0), 1) * 65535);
	for (int c = 1; c < 3; c++) cielab[c] = (uint16_t)rint(fmin(fmax((lab[c] + 128) / 255, 0), 1) * 65535);
}

/* Neighbouring numbers are far apart on the circle of hues. */
static void colour_of_number(unsigned number, uint8_t srgb[3])
{
	const double hue = fmod(number * 0.61803398875, 1) * 6;
	for (int c = 0; c < 3; c++) {
		const double distance = fabs(remainder(hue - 2 * c, 6));
		srgb[c] = (uint8_t)(90 + 150 * fmin(fmax(2 - distance, 0), 1));
	}
}

/* --- names ----------------------------------------------------------------------------------------------------- */

/* Cuts a word off either end of the name. */
static bool cut_word(char *name, const char *word)
{
	const size_t length = strlen(name), part = strlen(word);
	if (length < part + 2) return false;
	if (strncmp(name, word, part) == 0 && name[part] == ' ') {
		memmove(name, name + part + 1, length - part);
		return true;
	}
	if (strcmp(name + length - part, word) != 0 || name[length - part - 1] != ' ') return false;
	name[length - part - 1] = '\0';
	return true;
}

static size_t row_of(const char *name)
{
	size_t row = 0;
	while (row < ROWS && strcmp(table[row].name, name) != 0) row++;
	return row;
}

iso_organ_code iso_organ_code_of(const char *organ, unsigned number)
{
	iso_organ_code code = {.scheme = "SCT"};
	char name[64];
	snprintf(name, sizeof name, "%s", organ);
	for (char *at = name; *at; at++) *at = *at == '_' || *at == '-' ? ' ' : (char)tolower((unsigned char)*at);
	char whole[64];
	strcpy(whole, name);
	size_t row = row_of(name); /* "left ventricle" is no ventricle on the left */
	side which = row < ROWS ? table[row].side : NO_SIDE;
	if (row == ROWS) {
		which = cut_word(name, "left") ? LEFT : cut_word(name, "right") ? RIGHT : NO_SIDE;
		row = row_of(name);
	}
	code.known = row < ROWS;
	const category kind = code.known ? table[row].category : ANATOMY;
	code.category = categories[kind][0];
	code.category_meaning = categories[kind][1];
	if (code.known) {
		strcpy(code.value, table[row].value);
		strcpy(code.meaning, table[row].meaning);
		iso_dicom_cielab(table[row].srgb, code.cielab);
		code.side = sides[which][0];
		code.side_meaning = sides[which][1];
		return code;
	}
	iso_hash hash;
	char hex[65];
	uint8_t srgb[3];
	iso_hash_begin(&hash);
	iso_hash_text(&hash, whole);
	iso_hash_end(&hash, hex);
	snprintf(code.value, sizeof code.value, "ORGAN-%.10s", hex);
	snprintf(code.meaning, sizeof code.meaning, "%s", organ);
	code.scheme = ISO_DICOM_SCHEME;
	colour_of_number(number, srgb);
	iso_dicom_cielab(srgb, code.cielab);
	return code;
}
