/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SNOMED CT codes as in DICOM PS3.16: species CID 7454, routes of administration CID 11, orientation CID 20. */
#define _GNU_SOURCE
#include "io/dicom_codes.h"

#include <stddef.h>
#include <string.h>

#include "isotrace/dicom.h"

static const iso_dicom_code species[] = {
    {"mouse", "447612001", "SCT", "Mus musculus"},          {"rat", "371565004", "SCT", "Rattus norvegicus"},
    {"rabbit", "36571002", "SCT", "Oryctolagus cuniculus"}, {"guinea pig", "125076001", "SCT", "Cavia porcellus"},
    {"dog", "448771007", "SCT", "Canis lupus familiaris"},  {"pig", "78678003", "SCT", "Sus scrofa"},
    {"human", "337915000", "SCT", "Homo sapiens"},          {NULL, NULL, NULL, NULL},
};
static const iso_dicom_code routes[] = {
    {"intravenous", "47625008", "SCT", "Intravenous route"},
    {"intraperitoneal", "38239002", "SCT", "Intraperitoneal route"},
    {"subcutaneous", "34206005", "SCT", "Subcutaneous route"},
    {"intratumoral", "447122006", "SCT", "Intratumor route"},
    {"intratumor", "447122006", "SCT", "Intratumor route"},
    {NULL, NULL, NULL, NULL},
};
static const iso_dicom_code positions[] = {
    {"prone", "1240000", "SCT", "prone"},
    {"supine", "40199007", "SCT", "supine"},
    {NULL, NULL, NULL, NULL},
};

static const iso_dicom_code *find(const iso_dicom_code *table, const char *name)
{
	for (; table->name; table++)
		if (strcasecmp(table->name, name) == 0 || strcasecmp(table->meaning, name) == 0) return table;
	return NULL;
}

const iso_dicom_code *iso_dicom_species_code(const char *name)
{
	return find(species, name);
}

const iso_dicom_code *iso_dicom_route_code(const char *name)
{
	return find(routes, name);
}

const iso_dicom_code *iso_dicom_position_code(const char *name)
{
	return find(positions, name);
}

const char *iso_dicom_species_names(void)
{
	return "mouse, rat, rabbit, guinea pig, dog, pig, human";
}
