/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/output.h"
#include "io/hdf5_disk.h"
#include "io/hdf5_table.h"
#include "io/json.h"
#include "io/listmode.h"
#include "isotrace/time.h"
#include "isotrace/version.h"

const iso_listmode_column iso_listmode_columns[ISO_COLUMNS_WITH_TRUTH] = {
    [ISO_COLUMN_TIME] = {"time_ms", sizeof(uint32_t), 1},     [ISO_COLUMN_ELEMENT] = {"element", sizeof(uint32_t), 2},
    [ISO_COLUMN_TOF] = {"tof_bin", sizeof(int16_t), 1},       [ISO_COLUMN_KIND] = {"kind", sizeof(uint8_t), 1},
    [ISO_COLUMN_WINDOW] = {"window", sizeof(uint8_t), 1},     [ISO_COLUMN_FATE] = {"fate", sizeof(uint8_t), 1},
    [ISO_COLUMN_SCATTERS] = {"scatters", sizeof(uint8_t), 1},
};
const char *const iso_listmode_rejected[ISO_REJECT_REASONS] = {
    [ISO_REJECT_OUTSIDE_SCANNER] = "rejected_outside_scanner",
    [ISO_REJECT_SAME_ELEMENT] = "rejected_same_element",
    [ISO_REJECT_PAIR_RULE] = "rejected_pair_rule",
    [ISO_REJECT_MALFORMED] = "rejected_malformed",
};

void *iso_listmode_block_column(iso_listmode_block *block, int column)
{
	switch (column) {
	case ISO_COLUMN_TIME: return block->time_ms;
	case ISO_COLUMN_ELEMENT: return block->element;
	case ISO_COLUMN_TOF: return block->tof_bin;
	case ISO_COLUMN_KIND: return block->kind;
	case ISO_COLUMN_WINDOW: return block->window;
	case ISO_COLUMN_FATE: return block->fate;
	default: return block->scatters;
	}
}

const char *iso_listmode_event_fault(const iso_event *event, const iso_scanner *scanner, const iso_gantry *gantry)
{
	const int32_t reach = scanner->tof.bins > 0 ? (scanner->tof.bins - 1) / 2 : 0;
	if (event->kind > ISO_EVENT_DELAYED) return "is neither prompt nor delayed";
	if (event->tof_bin > reach || event->tof_bin < -reach) return "has a TOF bin that the scanner does not have";
	if (event->element[0] >= scanner->elements) return "names an element that the scanner does not have";
	if (scanner->modality == ISO_MODALITY_SPECT && gantry && event->element[1] >= gantry->count)
		return "names a gantry position that there is not";
	if (scanner->modality != ISO_MODALITY_PET) return NULL;
	if (event->element[1] >= scanner->elements) return "names an element that the scanner does not have";
	return event->element[0] == event->element[1] ? "has both ends in one element" : NULL;
}

struct iso_listmode_writer {
	iso_output output;
	iso_hdf5_disk disk;
	iso_scanner *scanner;
	iso_acquisition acquisition;
	iso_singles *singles;                       /* NULL: none */
	iso_gantry *gantry;                         /* NULL: none */
	double *gantry_scratch;                     /* [gantry->count], for the end, where memory may be out */
	hid_t file, column[ISO_COLUMNS_WITH_TRUTH]; /* of the truth: -1 until there is some */
	uint64_t written, prompts, delayeds;
	size_t held; /* events waiting in block */
	uint32_t first_ms, last_ms;
	uint64_t *index; /* first event at or after each multiple of ISO_LISTMODE_INDEX_MS */
	size_t index_used, index_room;
	iso_listmode_block block;
};

static hid_t file_type(int column)
{
	switch (column) {
	case ISO_COLUMN_TIME:
	case ISO_COLUMN_ELEMENT: return H5T_STD_U32LE;
	case ISO_COLUMN_TOF: return H5T_STD_I16LE;
	default: return H5T_STD_U8LE;
	}
}

static hid_t memory_type(int column)
{
	switch (column) {
	case ISO_COLUMN_TIME:
	case ISO_COLUMN_ELEMENT: return H5T_NATIVE_UINT32;
	case ISO_COLUMN_TOF: return H5T_NATIVE_INT16;
	default: return H5T_NATIVE_UINT8;
	}
}

/* A dataset that grows along its first axis. */
static hid_t create_growing(hid_t group, int column)
{
	const iso_listmode_column *c = &iso_listmode_columns[column];
	const int rank = c->per_event > 1 ? 2 : 1;
	const hsize_t none[2] = {0, c->per_event}, limit[2] = {H5S_UNLIMITED, c->per_event},
		      chunk[2] = {ISO_LISTMODE_BLOCK, c->per_event};
	const hid_t space = H5Screate_simple(rank, none, limit), plan = iso_hdf5_plan(H5P_DATASET_CREATE);
	hid_t dataset = -1;
	if (space >= 0 && plan >= 0 && H5Pset_chunk(plan, rank, chunk) >= 0 && H5Pset_shuffle(plan) >= 0 &&
	    H5Pset_deflate(plan, ISO_LISTMODE_DEFLATE_LEVEL) >= 0)
		dataset = H5Dcreate2(group, c->name, file_type(column), space, H5P_DEFAULT, plan, H5P_DEFAULT);
	if (space >= 0) H5Sclose(space);
	if (plan >= 0) H5Pclose(plan);
	return dataset;
}

static bool create_contents(iso_listmode_writer *writer, const char *provenance_json)
{
	const hid_t file = writer->file;
	if (!iso_hdf5_put_text(file, "format", ISO_LISTMODE_FORMAT) ||
	    !iso_hdf5_put_u64(file, "format_version", ISO_LISTMODE_VERSION) ||
	    !iso_hdf5_put_text(file, "software", "isotrace " ISO_VERSION) ||
	    !iso_listmode_put_provenance(file, provenance_json) || !iso_listmode_put_scanner(file, writer->scanner))
		return false;
	const hid_t group = iso_hdf5_create_group(file, "events");
	if (group < 0) return false;
	bool good = true;
	for (int c = 0; good && c < ISO_COLUMNS; c++) good = (writer->column[c] = create_growing(group, c)) >= 0;
	H5Gclose(group);
	return good;
}

/* After a failure of HDF5, or of the disk that HDF5 was not told of. HDF5 to be entered. */
static iso_status write_failure(const iso_listmode_writer *writer, const char *what, iso_error *err)
{
	return iso_hdf5_disk_fail(err, &writer->disk, writer->output.path, what);
}

/* Closes what is open. false: HDF5 could not write the rest. */
static bool close_file(iso_listmode_writer *writer)
{
	bool good = true;
	for (int c = 0; c < ISO_COLUMNS_WITH_TRUTH; c++) {
		if (writer->column[c] >= 0 && H5Dclose(writer->column[c]) < 0) good = false;
		writer->column[c] = -1;
	}
	if (writer->file >= 0 && H5Fclose(writer->file) < 0) good = false;
	writer->file = -1;
	return good;
}

static iso_status check_provenance(const char *json, const char *path, iso_error *err)
{
	if (!json || !json[0]) return ISO_OK;
	json_t *value;
	const iso_status status = iso_json_parse(json, strlen(json), path, &value, err);
	json_decref(value);
	if (status == ISO_BAD_INPUT)
		return iso_fail(err, ISO_BAD_USAGE, path, "give a JSON object", "the provenance is not JSON");
	return status;
}

iso_status iso_listmode_create(const char *path, const iso_scanner *scanner, const iso_acquisition *acquisition,
			       const char *provenance_json, iso_listmode_writer **out, iso_error *err)
{
	*out = NULL;
	iso_status status = iso_scanner_check(scanner, path, err);
	if (status == ISO_OK) status = check_provenance(provenance_json, path, err);
	if (status != ISO_OK) return status;
	iso_listmode_writer *writer = calloc(1, sizeof *writer);
	if (!writer) return iso_fail_memory(err, "writing list-mode", sizeof *writer);
	writer->file = -1;
	for (int c = 0; c < ISO_COLUMNS_WITH_TRUTH; c++) writer->column[c] = -1;
	writer->acquisition = *acquisition;
	status = iso_scanner_copy(scanner, &writer->scanner, err);
	if (status == ISO_OK) status = iso_output_begin(&writer->output, path, err);
	if (status == ISO_OK) {
		iso_hdf5_guard guard;
		iso_hdf5_enter(&guard);
		writer->file = iso_hdf5_create(writer->output.temporary, &writer->disk);
		if (writer->file < 0)
			status = write_failure(writer, "cannot create", err);
		else if (!create_contents(writer, provenance_json) || writer->disk.error)
			status = write_failure(writer, "cannot write", err);
		iso_hdf5_leave(&guard);
	}
	if (status != ISO_OK) {
		iso_listmode_discard(writer);
		return status;
	}
	*out = writer;
	return ISO_OK;
}

static bool write_column(iso_listmode_writer *writer, int column)
{
	const unsigned per_event = iso_listmode_columns[column].per_event;
	const int rank = per_event > 1 ? 2 : 1;
	const hsize_t extent[2] = {writer->written + writer->held, per_event}, start[2] = {writer->written, 0},
		      count[2] = {writer->held, per_event};
	const hid_t set = writer->column[column];
	if (H5Dset_extent(set, extent) < 0) return false;
	const hid_t where = H5Dget_space(set), memory = H5Screate_simple(rank, count, NULL);
	const bool good = where >= 0 && memory >= 0 &&
			  H5Sselect_hyperslab(where, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
			  H5Dwrite(set, memory_type(column), memory, where, H5P_DEFAULT,
				   iso_listmode_block_column(&writer->block, column)) >= 0;
	if (!good) return false; /* the ids go with the file; closing them here would clear the error stack */
	H5Sclose(where);
	H5Sclose(memory);
	return true;
}

static iso_status flush_block(iso_listmode_writer *writer, iso_error *err)
{
	if (writer->held == 0) return ISO_OK;
	iso_hdf5_guard guard;
	iso_status status = ISO_OK;
	iso_hdf5_enter(&guard);
	for (int c = 0; status == ISO_OK && c < ISO_COLUMNS_WITH_TRUTH; c++)
		if (writer->column[c] >= 0 && (!write_column(writer, c) || writer->disk.error))
			status = write_failure(writer, "cannot write events", err);
	iso_hdf5_leave(&guard);
	writer->written += writer->held;
	writer->held = 0;
	return status;
}

static iso_status extend_index(iso_listmode_writer *writer, uint32_t time_ms, iso_error *err)
{
	const size_t needed = time_ms / ISO_LISTMODE_INDEX_MS + 1;
	if (needed <= writer->index_used) return ISO_OK;
	if (needed > writer->index_room) {
		const size_t room = needed > 2 * writer->index_room ? needed + 64 : 2 * writer->index_room;
		uint64_t *more = realloc(writer->index, room * sizeof *more);
		if (!more) return iso_fail_memory(err, "the time index", room * sizeof *more);
		writer->index = more;
		writer->index_room = room;
	}
	while (writer->index_used < needed) writer->index[writer->index_used++] = writer->written + writer->held;
	return ISO_OK;
}

static hid_t open_truth(const iso_listmode_writer *writer)
{
	return H5Lexists(writer->file, "truth", H5P_DEFAULT) > 0 ? H5Gopen2(writer->file, "truth", H5P_DEFAULT)
								 : iso_hdf5_create_group(writer->file, "truth");
}

/* Every event has its truth or none has. */
static iso_status begin_truth(iso_listmode_writer *writer, bool given, iso_error *err)
{
	const bool before = writer->column[ISO_COLUMN_FATE] >= 0, first = writer->written + writer->held == 0;
	if (given == before) return ISO_OK;
	if (!first)
		return iso_fail(err, ISO_BAD_USAGE, writer->output.path, "give the truth of all events or of none",
				"events with their truth and events without are mixed");
	iso_status status = ISO_OK;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	const hid_t group = open_truth(writer);
	for (int c = ISO_COLUMN_FATE; group >= 0 && c < ISO_COLUMNS_WITH_TRUTH; c++)
		writer->column[c] = create_growing(group, c);
	if (group < 0 || writer->column[ISO_COLUMN_FATE] < 0 || writer->column[ISO_COLUMN_SCATTERS] < 0)
		status = write_failure(writer, "cannot write the truth", err);
	if (group >= 0) H5Gclose(group);
	iso_hdf5_leave(&guard);
	return status;
}

iso_status iso_listmode_set_true_efficiencies(iso_listmode_writer *writer, const float *efficiency, iso_error *err)
{
	iso_status status = ISO_OK;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	const hid_t group = open_truth(writer);
	if (group < 0 ||
	    !iso_listmode_put_floats(group, "efficiency", "relative, 1 = nominal", writer->scanner->elements, 0,
				     efficiency) ||
	    writer->disk.error)
		status = write_failure(writer, "cannot write the true efficiencies", err);
	if (group >= 0) H5Gclose(group);
	iso_hdf5_leave(&guard);
	return status;
}

static const char *event_fault(const iso_listmode_writer *writer, const iso_event *event, const iso_event_truth *truth)
{
	if (event->time_ms < writer->last_ms) return "comes before the one ahead of it in time";
	if (truth && truth->fate >= ISO_EVENT_FATES) return "has a fate that there is not";
	return iso_listmode_event_fault(event, writer->scanner, writer->gantry);
}

iso_status iso_listmode_append(iso_listmode_writer *writer, const iso_event *events, const iso_event_truth *truth,
			       size_t count, iso_error *err)
{
	const iso_status begun = count > 0 ? begin_truth(writer, truth != NULL, err) : ISO_OK;
	if (begun != ISO_OK) return begun;
	for (size_t n = 0; n < count; n++) {
		const iso_event *event = &events[n];
		const char *fault = event_fault(writer, event, truth ? truth + n : NULL);
		if (fault)
			return iso_fail(err, ISO_BAD_USAGE, writer->output.path,
					"write events in time order that the scanner can make",
					"event %llu (element %u, %u at %u ms) %s",
					(unsigned long long)(writer->written + writer->held), event->element[0],
					event->element[1], event->time_ms, fault);
		const iso_status indexed = extend_index(writer, event->time_ms, err);
		if (indexed != ISO_OK) return indexed;
		if (writer->written + writer->held == 0) writer->first_ms = event->time_ms;
		writer->last_ms = event->time_ms;
		const size_t at = writer->held++;
		writer->block.time_ms[at] = event->time_ms;
		writer->block.element[at][0] = event->element[0];
		writer->block.element[at][1] = event->element[1];
		writer->block.tof_bin[at] = event->tof_bin;
		writer->block.kind[at] = event->kind;
		writer->block.window[at] = event->window;
		if (truth) {
			writer->block.fate[at] = truth[n].fate;
			writer->block.scatters[at] = truth[n].scatters;
		}
		if (event->kind == ISO_EVENT_DELAYED)
			writer->delayeds++;
		else
			writer->prompts++;
		if (writer->held < ISO_LISTMODE_BLOCK) continue;
		const iso_status flushed = flush_block(writer, err);
		if (flushed != ISO_OK) return flushed;
	}
	return ISO_OK;
}

static iso_status sink_write(void *self, const iso_event *events, const iso_event_truth *truth, size_t count,
			     iso_error *err)
{
	return iso_listmode_append(self, events, truth, count, err);
}

static iso_status sink_singles(void *self, const iso_singles *singles, iso_error *err)
{
	return iso_listmode_set_singles(self, singles, err);
}

static iso_status sink_efficiencies(void *self, const float *efficiency, iso_error *err)
{
	return iso_listmode_set_true_efficiencies(self, efficiency, err);
}

iso_event_sink iso_listmode_sink(iso_listmode_writer *writer)
{
	return (iso_event_sink){
	    .write = sink_write, .singles = sink_singles, .efficiencies = sink_efficiencies, .self = writer};
}

/* The last things of the file: index, acquisition, counts and then the mark that it is whole. */
static bool finish_contents(iso_listmode_writer *writer, const iso_event_counts *counts)
{
	const hid_t group = H5Gopen2(writer->file, "events", H5P_DEFAULT);
	if (group < 0) return false;
	const iso_hdf5_table index = {.name = "index",
				      .units = "number of the first event at or after each whole second",
				      .stored = H5T_STD_U64LE,
				      .memory = H5T_NATIVE_UINT64,
				      .rows = writer->index_used,
				      .chunk_rows = ISO_LISTMODE_BLOCK};
	const bool good =
	    iso_hdf5_put_table(group, &index, writer->index) &&
	    (!writer->singles || iso_listmode_put_singles(writer->file, writer->singles)) &&
	    (!writer->gantry || iso_listmode_put_gantry(writer->file, writer->gantry, writer->gantry_scratch));
	H5Gclose(group);
	return good && iso_listmode_put_acquisition(writer->file, &writer->acquisition) &&
	       iso_listmode_put_counts(writer->file, counts) && H5Fflush(writer->file, H5F_SCOPE_GLOBAL) >= 0 &&
	       iso_hdf5_put_u64(writer->file, "complete", 1) && H5Fflush(writer->file, H5F_SCOPE_GLOBAL) >= 0;
}

static iso_status check_finish(const iso_listmode_writer *writer, const iso_event_counts *counts, iso_error *err)
{
	if (counts->prompts != writer->prompts || counts->delayeds != writer->delayeds)
		return iso_fail(err, ISO_BAD_USAGE, writer->output.path, "count what was written",
				"%llu prompts and %llu delayeds were written, the counts say %llu and %llu",
				(unsigned long long)writer->prompts, (unsigned long long)writer->delayeds,
				(unsigned long long)counts->prompts, (unsigned long long)counts->delayeds);
	const double duration_s = writer->acquisition.duration_s;
	if (isfinite(duration_s) && writer->written > 0 && writer->last_ms > 1000 * duration_s + 1)
		return iso_fail(err, ISO_BAD_USAGE, writer->output.path, "give the duration that the events cover",
				"the last event is at %.3f s of an acquisition of %.3f s", 1e-3 * writer->last_ms,
				duration_s);
	return writer->singles
		   ? iso_singles_check(writer->singles, writer->scanner, duration_s, writer->output.path, err)
		   : ISO_OK;
}

iso_status iso_listmode_set_singles(iso_listmode_writer *writer, const iso_singles *singles, iso_error *err)
{
	iso_singles_free(writer->singles);
	writer->singles = NULL;
	return singles ? iso_singles_copy(singles, &writer->singles, err) : ISO_OK;
}

iso_status iso_listmode_set_gantry(iso_listmode_writer *writer, const iso_gantry *gantry, iso_error *err)
{
	iso_gantry_free(writer->gantry);
	free(writer->gantry_scratch);
	writer->gantry = NULL;
	writer->gantry_scratch = NULL;
	if (!gantry) return ISO_OK;
	const iso_status status = iso_gantry_check(gantry, writer->output.path, err);
	if (status != ISO_OK) return status;
	writer->gantry_scratch = malloc(gantry->count * sizeof *writer->gantry_scratch);
	if (!writer->gantry_scratch)
		return iso_fail_memory(err, "gantry positions", gantry->count * sizeof *writer->gantry_scratch);
	return iso_gantry_copy(gantry, &writer->gantry, err);
}

iso_status iso_listmode_commit(iso_listmode_writer *writer, const iso_event_counts *counts, double duration_s,
			       iso_error *err)
{
	iso_event_counts own = {.records = writer->prompts + writer->delayeds,
				.prompts = writer->prompts,
				.delayeds = writer->delayeds,
				.duration_s = 1e-3 * (writer->last_ms - writer->first_ms)};
	iso_status status = flush_block(writer, err);
	if (!isnan(duration_s)) writer->acquisition.duration_s = duration_s;
	if (!counts) counts = &own;
	if (status == ISO_OK) status = check_finish(writer, counts, err);
	if (status == ISO_OK) {
		iso_hdf5_guard guard;
		iso_hdf5_enter(&guard);
		if (!finish_contents(writer, counts) || !close_file(writer) || writer->disk.error)
			status = write_failure(writer, "cannot finish the file", err);
		iso_hdf5_leave(&guard);
	}
	if (status == ISO_OK) status = iso_output_commit(&writer->output, err);
	iso_listmode_discard(writer);
	return status;
}

void iso_listmode_discard(iso_listmode_writer *writer)
{
	if (!writer) return;
	iso_hdf5_guard guard;
	iso_hdf5_enter(&guard);
	(void)close_file(writer);
	iso_hdf5_release_disk(&writer->disk);
	iso_hdf5_leave(&guard);
	iso_output_discard(&writer->output);
	iso_scanner_free(writer->scanner);
	iso_singles_free(writer->singles);
	iso_gantry_free(writer->gantry);
	free(writer->gantry_scratch);
	free(writer->index);
	free(writer);
}

static iso_status copy_events(iso_listmode_writer *writer, iso_events *events, iso_event *batch,
			      const iso_progress *progress, iso_error *err)
{
	const uint64_t total = iso_events_total(events);
	uint64_t done = 0;
	for (;;) {
		size_t count;
		iso_status status = iso_events_read(events, batch, ISO_LISTMODE_BLOCK, &count, err);
		if (status == ISO_OK) status = iso_listmode_append(writer, batch, NULL, count, err);
		if (status != ISO_OK || count == 0) return status;
		done += count;
		const double fraction = total == UINT64_MAX || total == 0 ? 0 : (double)done / (double)total;
		if (progress && progress->report && progress->report(progress->user, "writing list-mode", fraction))
			return iso_fail(err, ISO_CANCELLED, writer->output.path, "start again", "stopped on request");
	}
}

iso_status iso_listmode_write_all(const char *path, iso_events *events, const char *provenance_json,
				  const iso_progress *progress, iso_event_counts *counts, iso_error *err)
{
	iso_listmode_writer *writer = NULL;
	iso_event_counts fates;
	iso_event *batch = malloc(ISO_LISTMODE_BLOCK * sizeof *batch);
	if (!batch) return iso_fail_memory(err, "copying events", ISO_LISTMODE_BLOCK * sizeof *batch);
	iso_status status = iso_events_seek(events, 0, err);
	if (status == ISO_OK)
		status = iso_listmode_create(path, iso_events_scanner(events), iso_events_acquisition(events),
					     provenance_json, &writer, err);
	if (status == ISO_OK) status = iso_listmode_set_singles(writer, iso_events_singles(events), err);
	if (status == ISO_OK) status = iso_listmode_set_gantry(writer, iso_events_gantry(events), err);
	if (status == ISO_OK) status = copy_events(writer, events, batch, progress, err);
	free(batch);
	if (status != ISO_OK) {
		iso_listmode_discard(writer);
		return status;
	}
	iso_events_counts(events, &fates);
	double duration_s = iso_events_acquisition(events)->duration_s;
	if (isnan(duration_s) && fates.tags_time > 0) duration_s = fates.duration_s;
	if (counts) *counts = fates;
	return iso_listmode_commit(writer, &fates, duration_s, err);
}
