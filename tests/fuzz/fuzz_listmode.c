/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Hostile HDF5: native list-mode, and the normalisation file, which has the same foundation. */
#include "isotrace/isotrace.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = scratch_file("x.lm.h5", data, size);
	iso_error err;
	iso_events *events = NULL;
	if (iso_listmode_open(path, &events, &err) == ISO_OK) {
		static iso_event batch[4096];
		size_t count = 1;
		/* what compresses well can be long: its beginning and its end */
		for (int b = 0; b < 50 && count; b++)
			if (iso_events_read(events, batch, sizeof batch / sizeof *batch, &count, &err) != ISO_OK) break;
		const uint64_t total = iso_events_total(events);
		if (iso_events_seek(events, total > 2 ? total - 2 : 0, &err) == ISO_OK)
			(void)iso_events_read(events, batch, 2, &count, &err);
		iso_events_close(events);
	}
	iso_normalisation *normalisation;
	if (iso_normalisation_read(path, &normalisation, &err) == ISO_OK) iso_normalisation_free(normalisation);
	return 0;
}
