/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the receiver has filed: STUDY/MODALITY_SERIES/INSTANCE.dcm. */
#ifndef ISOTRACE_IO_ARRIVED_H
#define ISOTRACE_IO_ARRIVED_H

#include <stddef.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many objects a study has, 0 when it is not there. newest (may be NULL): when the last one got its name. */
size_t iso_arrived_objects(const char *study_folder, struct timespec *newest);

#ifdef __cplusplus
}
#endif
#endif
