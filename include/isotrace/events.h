/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISOTRACE_EVENTS_H
#define ISOTRACE_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "isotrace/acquisition.h"
#include "isotrace/scanner.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum iso_event_kind {
	ISO_EVENT_PROMPT = 0, /* PET: a coincidence in the prompt window; SPECT: a detected photon */
	ISO_EVENT_DELAYED = 1 /* PET: a coincidence in the delayed window, an estimate of randoms */
} iso_event_kind;

/* One list-mode event, 16 bytes. What element[] means depends on the modality:
 *   PET:   the two crystals in coincidence;
 *   SPECT: element[0] the detector pixel, element[1] the gantry position's number. */
typedef struct iso_event {
	uint32_t time_ms; /* since the start of the acquisition */
	uint32_t element[2];
	int16_t tof_bin; /* see iso_tof; 0 when the scanner has no TOF */
	uint8_t kind;    /* iso_event_kind */
	uint8_t window;  /* energy window, from 0 */
} iso_event;

/* The fate of every record that a reader saw. prompts + delayeds + tags_time + tags_other + sum(rejected) = records. */
enum {
	ISO_REJECT_OUTSIDE_SCANNER = 0, /* names an element that the scanner does not have */
	ISO_REJECT_SAME_ELEMENT,        /* both ends in the same element */
	ISO_REJECT_PAIR_RULE,           /* a pair that the scanner's rule excludes */
	ISO_REJECT_MALFORMED,           /* bits that the format does not define */
	ISO_REJECT_REASONS
};
typedef struct iso_event_counts {
	uint64_t records, prompts, delayeds, tags_time, tags_other;
	uint64_t rejected[ISO_REJECT_REASONS];
	double duration_s; /* last time tag minus first (0 when there are none) */
} iso_event_counts;
const char *iso_reject_text(int reason); /* e.g. "element outside the scanner" */

/* A stream of events in time order, pulled in batches. The reconstruction knows files only through this. */
typedef struct iso_events iso_events;
typedef struct iso_events_methods {
	/* Fills at most `capacity` events, sets *count (0 = the end). */
	iso_status (*read)(void *self, iso_event *events, size_t capacity, size_t *count, iso_error *err);
	/* The next read starts at event number `first` (0 = from the start); beyond the end is the end. */
	iso_status (*seek)(void *self, uint64_t first, iso_error *err);
	/* Number of events in the stream, or UINT64_MAX when it is not known before the end. */
	uint64_t (*total)(void *self);
	/* What happened to the records read so far. */
	void (*counts)(void *self, iso_event_counts *counts);
	void (*close)(void *self);
} iso_events_methods;

/* Wraps a source; takes ownership of self, scanner (both freed by iso_events_close; on failure too). */
iso_status iso_events_open(const iso_events_methods *methods, void *self, iso_scanner *scanner,
			   const iso_acquisition *acquisition, iso_events **out, iso_error *err);
/* A stream over an array that the caller keeps alive. The scanner is copied. */
iso_status iso_events_from_array(const iso_event *events, size_t count, const iso_scanner *scanner,
				 const iso_acquisition *acquisition, iso_events **out, iso_error *err);
iso_status iso_events_read(iso_events *events, iso_event *buffer, size_t capacity, size_t *count, iso_error *err);
iso_status iso_events_seek(iso_events *events, uint64_t first, iso_error *err);
uint64_t iso_events_total(iso_events *events);
void iso_events_counts(iso_events *events, iso_event_counts *counts);
const iso_scanner *iso_events_scanner(const iso_events *events);
const iso_acquisition *iso_events_acquisition(const iso_events *events);
void iso_events_close(iso_events *events);

/* What a simulation knows of an event and a scanner does not. No reconstruction reads it. */
typedef enum iso_event_fate {
	ISO_EVENT_TRUE = 0,     /* both photons of one annihilation, neither scattered in the body */
	ISO_EVENT_SCATTERED,    /* the same, at least one scattered in the body */
	ISO_EVENT_RANDOM,       /* of two decays, whatever they are; every delayed coincidence */
	ISO_EVENT_PROMPT_GAMMA, /* of one decay of the tracer, at least one of them a gamma that came with it */
	ISO_EVENT_BACKGROUND,   /* of one decay of the crystals' own activity */
	ISO_EVENT_FATES
} iso_event_fate;
typedef struct iso_event_truth {
	uint8_t fate;     /* iso_event_fate */
	uint8_t scatters; /* in the body, of both photons; 255 = 255 or more */
} iso_event_truth;

struct iso_singles;

/* Where a producer of events puts them, in time order. Calls come one at a time, but not always from the same thread. */
typedef struct iso_event_sink {
	/* truth: one per event, or NULL when the producer does not know. */
	iso_status (*write)(void *self, const iso_event *events, const iso_event_truth *truth, size_t count,
			    iso_error *err);
	/* Once, after the last event, when the producer counts singles. NULL: nobody wants them. */
	iso_status (*singles)(void *self, const struct iso_singles *singles, iso_error *err);
	/* Once, after the last event, when the elements of the simulated scanner are not alike: their true relative
	 * efficiencies, which belong to the truth and not to the scanner. NULL: nobody wants them. */
	iso_status (*efficiencies)(void *self, const float *efficiency, iso_error *err);
	void *self;
} iso_event_sink;

#ifdef __cplusplus
}
#endif
#endif
