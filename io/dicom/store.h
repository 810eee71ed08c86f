/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C side of C-ECHO and C-STORE. */
#ifndef ISOTRACE_IO_DICOM_STORE_H
#define ISOTRACE_IO_DICOM_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "isotrace/pacs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a file is, by its header. "" = does not say. */
typedef struct iso_dcm_object {
	char sop_class[65], sop_instance[65], study[65], series[65], syntax[65], modality[17];
} iso_dcm_object;

/* False: no DICOM file, or none that could be sent. */
iso_status iso_dcm_look(const char *path, iso_dcm_object *object, bool *found, iso_error *err);

typedef enum iso_delivery {
	ISO_DELIVERED,
	ISO_REFUSED, /* trying again would change nothing */
	ISO_LATER,   /* the receiver cannot take it now */
	ISO_LOST     /* the connection is gone; whether the object arrived is not known */
} iso_delivery;

typedef struct iso_dcm_session iso_dcm_session;
/* Associates with the presentation contexts that these objects need, and tries C-ECHO. */
iso_status iso_dcm_session_open(const iso_pacs *pacs, const iso_dcm_object *objects, size_t count,
				iso_dcm_session **out, iso_error *err);
/* One file. problem (of `size`) receives why not; a warning of the receiver counts as stored. */
iso_delivery iso_dcm_session_store(iso_dcm_session *session, const char *path, const iso_dcm_object *object,
				   char *problem, size_t size);
/* Releases the association, or aborts it. */
void iso_dcm_session_close(iso_dcm_session *session, bool abort);

#ifdef __cplusplus
}
#endif
#endif
