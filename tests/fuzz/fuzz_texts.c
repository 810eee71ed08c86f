/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile YAML, JSON, CSV and answers of a PACS: every input goes to every reader, most of which refuse its first line. A
 * study is two files with a line "%%" between them: study.yaml, and the subjects.csv that it may name. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "io/multipart.h"
#include "io/study_file.h"
#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

static void read_study(const char *path)
{
	iso_error err;
	iso_study_file *study;
	iso_study_row *rows;
	size_t count;
	if (iso_study_file_read(path, &study, &err) != ISO_OK) return;
	if (iso_subjects_table_read(study, &rows, &count, &err) == ISO_OK) free(rows);
	iso_study_file_free(study);
}

static void read_yaml(const char *path)
{
	iso_error err;
	iso_dose dose;
	iso_scene *scene;
	iso_pacs_file pacs;
	(void)iso_dose_read(path, &dose, &err);
	if (iso_scene_read(path, &scene, &err) == ISO_OK) iso_scene_free(scene);
	if (iso_pacs_file_load(path, &pacs, &err) == ISO_OK) iso_pacs_file_free(&pacs);
}

static void read_tables(const char *path)
{
	iso_error err;
	iso_organ *organs;
	iso_frame *frames;
	iso_mu_label *labels;
	iso_mu_curve curve;
	iso_scanner *scanner;
	iso_calibration calibration;
	double *trigger_s;
	size_t count;
	if (iso_organ_table_read(path, &organs, &count, &err) == ISO_OK) free(organs);
	if (iso_frame_table_read(path, &frames, &count, &err) == ISO_OK) free(frames);
	if (iso_trigger_table_read(path, &trigger_s, &count, &err) == ISO_OK) {
		iso_gate_plan plan;
		const iso_gate_wish wish = {
		    .gates = 2, .framing = ISO_FRAMING_TIME, .shortest_cycle_s = 0.5, .longest_cycle_s = 2};
		(void)iso_gate_plan_make(trigger_s, count, 100, &wish, &plan, &err);
		iso_gate_plan_release(&plan);
		free(trigger_s);
	}
	if (iso_mu_labels_read(path, &labels, &count, &err) == ISO_OK) free(labels);
	(void)iso_mu_curve_read(path, 50, &curve, &err);
	(void)iso_calibration_read(path, &calibration, &err);
	if (iso_crystal_map_read(path, &scanner, &err) == ISO_OK) iso_scanner_free(scanner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char CUT[] = "\n%%\n";
	const uint8_t *cut = size ? memmem(data, size, CUT, strlen(CUT)) : NULL;
	const size_t first = cut ? (size_t)(cut - data) + 1 : size;
	iso_error err;
	char path[4096], folder[4096], line[256];
	size_t parts;
	if (cut) (void)scratch_file("subjects.csv", cut + strlen(CUT), size - first - (strlen(CUT) - 1));
	strncpy(path, scratch_file("study.yaml", data, first), sizeof path - 1);
	path[sizeof path - 1] = '\0';
	read_study(path);
	read_yaml(path);
	read_tables(path);
	strcpy(folder, path);
	*strrchr(folder, '/') = '\0';
	(void)iso_multipart_split(path, "multipart/related; boundary=a", folder, "part", &parts, &err);
	/* what a command line gives */
	iso_pacs pacs;
	double utc_s;
	const size_t length = first < sizeof line - 1 ? first : sizeof line - 1;
	memcpy(line, data, length);
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	(void)iso_pacs_parse(line, &pacs, &err);
	(void)iso_time_parse(line, "x", &utc_s, &err);
	return 0;
}
