/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Archives of DICOM objects: who they are, sending to them, fetching from them, and receiving what others push. The files and
 * the verbs are described in docs/pacs.md. */
#ifndef ISOTRACE_PACS_H
#define ISOTRACE_PACS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isotrace/progress.h"
#include "isotrace/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a secret stands: in the first line of a file, or in a variable of the environment. Both "": there is none. The secret itself
 * is read at the moment it is needed and kept nowhere. */
typedef struct iso_secret {
	char file[512], environment[64];
} iso_secret;

/* DICOM over TLS. The peer's certificate must lead to one of `ca` and be made out for `name`. */
typedef struct iso_pacs_tls {
	bool on;
	char ca[512];            /* PEM file of the certificates that are trusted */
	char certificate[512];   /* ours, PEM; "" = none */
	char key[512];           /* its private key, PEM */
	iso_secret key_password; /* when the key is encrypted */
	char name[256];          /* the host that the certificate must name; "" = the host that is called */
} iso_pacs_tls;

/* DICOMweb over HTTP. */
typedef struct iso_pacs_web {
	char url[512];              /* the root of the service, as in https://pacs.example.org/dicom-web; "" = none */
	char ca[512];               /* PEM file of the certificates that are trusted; "" = those of the machine */
	char user[128];             /* basic authentication; "" = none */
	iso_secret password, token; /* a token is sent as Bearer */
} iso_pacs_web;

typedef struct iso_pacs {
	char name[300]; /* as in the configuration file; else as it was parsed, AET@HOST:PORT */
	char ae_title[17], host[256];
	unsigned port;         /* 0: speaks DICOMweb alone */
	char own_ae_title[17]; /* "ISOTRACE" */
	double timeout_s;      /* for connecting and for each answer; 30 unless changed */
	unsigned retries; /* of a connection that fails or breaks, after 1, 2, 4, ... s, at most 60; 3 unless changed */
	iso_pacs_tls tls;
	iso_pacs_web web;
	bool send_by_web; /* STOW-RS instead of C-STORE */
	enum { ISO_FETCH_C_GET, ISO_FETCH_C_MOVE, ISO_FETCH_WADO } fetch_by;
	bool commitment;          /* ask for storage commitment of what was sent */
	double commitment_wait_s; /* and wait so long for the answer; 60 unless changed */
} iso_pacs;

/* Parses "AET@HOST:PORT": ISO_BAD_USAGE when it is not that. */
iso_status iso_pacs_parse(const char *text, iso_pacs *pacs, iso_error *err);

/* One that may speak to us. */
typedef struct iso_pacs_peer {
	char ae_title[17], host[256];
} iso_pacs_peer;

/* How we are called and what we take. */
typedef struct iso_pacs_listener {
	char ae_title[17];
	char address[64]; /* numeric, of the interface to listen at; "" = all */
	unsigned port;    /* 0: the file has no `listen` */
	char folder[512]; /* objects go to FOLDER/STUDY/SERIES/INSTANCE.dcm */
	iso_pacs_tls tls; /* ours: certificate, key; with `ca` the peer must have a certificate, too */
	iso_pacs_peer *peers;
	size_t peer_count;
	uint64_t max_object_bytes;
	unsigned max_objects_per_study, max_associations;
	double timeout_s; /* for the next request of a peer that is connected */
	double quiet_s;   /* a study is complete when nothing has come for so long ... */
	char **needs;     /* ... and there are series of all these modalities */
	size_t needs_count;
	char **command; /* what is then started; {folder} in it becomes the study's folder */
	size_t command_count;
} iso_pacs_listener;

/* The PACS configuration file. */
typedef struct iso_pacs_file {
	char path[512];
	iso_pacs *pacs; /* [count] */
	size_t count;
	char queue[512]; /* folder; "" = none */
	iso_pacs_listener listener;
} iso_pacs_file;
iso_status iso_pacs_file_load(const char *path, iso_pacs_file *out, iso_error *err);
void iso_pacs_file_free(iso_pacs_file *file);
/* The receiver of that name; ISO_BAD_USAGE with the names that there are. */
iso_status iso_pacs_find(const iso_pacs_file *file, const char *name, const iso_pacs **out, iso_error *err);
/* "AET@HOST:PORT", or a name in the file; an empty iso_pacs_file has no names. */
iso_status iso_pacs_choose(const iso_pacs_file *file, const char *text, iso_pacs *out, iso_error *err);

/* Sends every DICOM file below a path (file or folder, in the order of the names) by C-ECHO and C-STORE, or by STOW-RS. What is no DICOM file
 * is skipped and noted. All stored: ISO_OK; some: ISO_PARTIAL with the first failure in err; no connection or none stored: ISO_IO. stored
 * and failed may be NULL. Nothing is remembered: iso_pacs_queue_* do that. DCMTK, which does this, keeps its log level and its timeouts for
 * the whole process: they are set here. */
iso_status iso_dicom_send(const char *path, const iso_pacs *pacs, const iso_progress *progress, size_t *stored,
			  size_t *failed, iso_error *err);

/* A queue on disk remembers what is to be sent and what was sent, through crashes of this machine and of the PACS: nothing is lost, and nothing that
 * the receiver has acknowledged is sent to it again. */

/* Copies the DICOM files below a path into the queue. added and known (may be NULL): how many are new, and how many this receiver has or will get
 * already. */
iso_status iso_pacs_queue_add(const char *queue, const char *path, const iso_pacs *pacs, const iso_progress *progress,
			      size_t *added, size_t *known, iso_error *err);
/* Sends what waits for this receiver, and asks for commitment when pacs says so. listener (may be NULL): where the receiver's answers to
 * that come to. Errors as with iso_dicom_send; what could not be sent still waits. */
iso_status iso_pacs_queue_send(const char *queue, const iso_pacs *pacs, const iso_pacs_listener *listener,
			       const iso_progress *progress, size_t *stored, size_t *failed, iso_error *err);

typedef struct iso_pacs_queue_status {
	char receiver[300];
	size_t waiting, sent, refused;          /* all that there are */
	size_t asked, committed, not_committed; /* of those sent: asked and no answer yet; both answers */
	char oldest_utc[32];                    /* since when the oldest waits; "" = nothing waits */
	char last_problem[200];                 /* of what waits or was refused */
} iso_pacs_queue_status;
/* One per receiver, *status owned by the caller (free()). */
iso_status iso_pacs_queue_look(const char *queue, iso_pacs_queue_status **status, size_t *count, iso_error *err);

/* What to fetch: "" = whatever. One of patient, study and accession must be given. */
typedef struct iso_fetch_key {
	char patient_id[65], study[65], accession[17], series[65], modality[17];
} iso_fetch_key;
/* Fetches the series that fit into a folder, FOLDER/MODALITY_SERIES/INSTANCE.dcm, which appears whole or not at all and replaces an earlier
 * one of the same series. Nothing fits: ISO_BAD_INPUT. listener: where C-MOVE is to bring the objects to; NULL for the other ways. */
iso_status iso_pacs_fetch(const iso_pacs *pacs, const iso_fetch_key *key, const iso_pacs_listener *listener,
			  const char *folder, const iso_progress *progress, size_t *series, size_t *objects,
			  iso_error *err);

/* The receiver. `complete` is told of a study that is complete: its folder, and how many objects it has; false: ask again later. `stop` is asked several
 * times a second. Studies whose completeness was told are marked in their folder, so that a new start does not tell it again unless more has come. Each
 * association is a process of its own (fork): call this from a program of one thread. Only receivers and peers that the file names are answered. */
typedef struct iso_pacs_events {
	void *user;
	bool (*complete)(void *user, const char *folder, const char *study, size_t objects);
	bool (*stop)(void *user);
} iso_pacs_events;
iso_status iso_pacs_listen(const iso_pacs_file *file, const iso_pacs_events *events, const iso_progress *progress,
			   iso_error *err);

#ifdef __cplusplus
}
#endif
#endif
