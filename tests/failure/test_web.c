/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PACS: configuration, queue, and DICOMweb with a small server of our own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/output.h"
#include "io/dicomweb.h"
#include "isotrace/pacs.h"
#include "tests/failure/inject.h"
#include "tests/failure/small_dicom.h"
#include "tests/harness.h"

static const char *in(const char *folder, const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static iso_status load_pacs(const char *folder, iso_error *err)
{
	(void)folder;
	iso_pacs_file file;
	const iso_status status = iso_pacs_file_load(iso_test_path("pacs.yaml"), &file, err);
	if (status == ISO_OK) iso_pacs_file_free(&file);
	return status;
}

static iso_status use_queue(const char *folder, iso_error *err)
{
	iso_pacs pacs;
	iso_pacs_queue_status *look = NULL;
	size_t count, sent, failed;
	iso_status status = iso_pacs_parse("A@127.0.0.1:1", &pacs, err);
	pacs.send_by_web = true; /* to where nobody is */
	pacs.retries = 0;
	strcpy(pacs.web.url, "http://127.0.0.1:1");
	if (status == ISO_OK)
		status = iso_pacs_queue_add(in(folder, "queue"), iso_test_path("sent"), &pacs, NULL, NULL, NULL, err);
	if (status == ISO_OK) status = iso_pacs_queue_send(in(folder, "queue"), &pacs, NULL, NULL, &sent, &failed, err);
	if (status == ISO_IO) status = ISO_OK;
	if (status == ISO_OK) status = iso_pacs_queue_look(in(folder, "queue"), &look, &count, err);
	free(look);
	return status;
}

static void pacs(void)
{
	static const char *const queue[] = {"queue", NULL};
	static const char text[] =
	    "receivers:\n  - {name: a, aet: A, host: h, port: 104}\n"
	    "listen: {port: 1, folder: in, peers: [{aet: B, host: h}], needs: [CT], command: [a, b]}\n";
	iso_error err;
	ISO_ASSERT_OK(iso_output_write(iso_test_path("pacs.yaml"), text, strlen(text), &err), err);
	small_ct(iso_test_path("sent"));
	iso_fail_every_allocation(&(iso_scenario){.run = load_pacs});
	iso_fail_every_allocation(&(iso_scenario){.run = use_queue, .may_remain = queue, .max_runs = 200});
}

/* --- DICOMweb ------------------------------------------------------------------------------------------------------- */

static iso_pacs web_pacs;
static pid_t server;
static int door;
static unsigned char part[4096]; /* a DICOM file */
static size_t part_size;

static void answer(int peer, const char *type, const void *body, size_t size)
{
	char head[300];
	const int n = snprintf(
	    head, sizeof head,
	    "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", type, size);
	/* One who ran out of memory hangs up in the middle. */
	if (send(peer, head, (size_t)n, MSG_NOSIGNAL) == n) (void)!send(peer, body, size, MSG_NOSIGNAL);
}

/* One request of each connection; it says yes to everything. */
static void serve(int peer)
{
	static char request[16384], body[8192];
	static const char study[] = "[{\"0020000D\":{\"vr\":\"UI\",\"Value\":[\"1.2\"]},"
				    "\"00100020\":{\"vr\":\"LO\",\"Value\":[\"M01\"]}}]",
			  series[] = "[{\"0020000E\":{\"vr\":\"UI\",\"Value\":[\"1.2.3\"]},"
				     "\"00080060\":{\"vr\":\"CS\",\"Value\":[\"CT\"]},"
				     "\"00201209\":{\"vr\":\"IS\",\"Value\":[1]}}]",
			  instance[] = "[{\"00080018\":{\"vr\":\"UI\",\"Value\":[\"1.2.3.1\"]}}]",
			  stored[] = "{\"00081199\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":"
				     "[\"1.2.3.1\"]}}]}}",
			  begin[] = "--B\r\nContent-Type: application/dicom\r\n\r\n", end[] = "\r\n--B--\r\n";
	size_t got = 0;
	request[0] = '\0';
	for (ssize_t n; got < sizeof request - 1 && !strstr(request, "\r\n\r\n"); got += (size_t)n) {
		if ((n = read(peer, request + got, sizeof request - 1 - got)) <= 0) return;
		request[got + (size_t)n] = '\0';
	}
	if (strncmp(request, "POST ", 5) == 0) {
		/* to the end of what is sent, or the client is cut off while it speaks */
		while (!memmem(request, got, "--\r\n", 4) && got < sizeof request - 1) {
			const ssize_t n = read(peer, request + got, sizeof request - 1 - got);
			if (n <= 0) return;
			got += (size_t)n;
		}
		answer(peer, "application/dicom+json", stored, sizeof stored - 1);
	} else if (strncmp(request, "GET /studies/1.2/series/1.2.3/instances", 39) == 0)
		answer(peer, "application/dicom+json", instance, sizeof instance - 1);
	else if (strncmp(request, "GET /studies/1.2/series/1.2.3 ", 30) == 0) {
		memcpy(body, begin, sizeof begin - 1);
		memcpy(body + sizeof begin - 1, part, part_size);
		memcpy(body + sizeof begin - 1 + part_size, end, sizeof end - 1);
		answer(peer, "multipart/related; type=\"application/dicom\"; boundary=B", body,
		       sizeof begin - 1 + part_size + sizeof end - 1);
	} else if (strncmp(request, "GET /studies/1.2/series?", 24) == 0)
		answer(peer, "application/dicom+json", series, sizeof series - 1);
	else
		answer(peer, "application/dicom+json", study, sizeof study - 1);
}

/* In a process of its own, so that its files and memory are not ours. */
static void start_server(void)
{
	iso_error err;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof address;
	door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(door >= 0 && bind(door, (struct sockaddr *)&address, size) == 0 && listen(door, 8) == 0 &&
			getsockname(door, (struct sockaddr *)&address, &size) == 0);
	fflush(NULL);
	server = fork();
	CU_ASSERT_FATAL(server >= 0);
	if (server == 0) {
		for (int peer; (peer = accept(door, NULL, NULL)) >= 0; close(peer)) serve(peer);
		_exit(0);
	}
	ISO_ASSERT_OK(iso_pacs_parse("A@127.0.0.1:1", &web_pacs, &err), err);
	snprintf(web_pacs.web.url, sizeof web_pacs.web.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
	web_pacs.send_by_web = true;
	web_pacs.fetch_by = ISO_FETCH_WADO;
	web_pacs.retries = 0;
}

static char object_path[PATH_MAX];
static const iso_dcm_object object = {
    .sop_class = "1.2.840.10008.5.1.4.1.1.2", .sop_instance = "1.2.3.1", .study = "1.2", .series = "1.2.3"};

/* What was not stored for want of memory is never refused: that would be for good. */
static iso_status store(const char *folder, iso_error *err)
{
	(void)folder;
	char problem[300] = "";
	iso_web_session *session = NULL;
	const iso_status status = iso_web_session_open(&web_pacs.web, 5, &session, err);
	if (status != ISO_OK) return status;
	const iso_delivery delivery = iso_web_store(session, object_path, &object, problem, sizeof problem);
	iso_web_session_close(session);
	if (delivery == ISO_DELIVERED) return ISO_OK;
	if (delivery != ISO_REFUSED && strstr(problem, "memory")) return iso_fail_memory(err, "a test", 1);
	return iso_fail(err, ISO_BAD_INPUT, NULL, "", "delivery %d: %s", (int)delivery, problem);
}

static iso_status has(const char *folder, iso_error *err)
{
	(void)folder;
	bool there = false;
	const iso_status status = iso_web_has(&web_pacs.web, 5, &object, &there, err);
	if (status == ISO_OK && !there) return iso_fail(err, ISO_BAD_INPUT, NULL, "", "it is said not to be there");
	return status;
}

static iso_status fetch(const char *folder, iso_error *err)
{
	const iso_fetch_key key = {.patient_id = "M01"};
	size_t series, objects;
	return iso_pacs_fetch(&web_pacs, &key, NULL, in(folder, "fetched"), NULL, &series, &objects, err);
}

static void dicomweb(void)
{
	small_ct(iso_test_path("ct"));
	snprintf(object_path, sizeof object_path, "%s", iso_test_path("ct/0.dcm"));
	FILE *file = fopen(object_path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	part_size = fread(part, 1, sizeof part, file);
	CU_ASSERT_FATAL(fclose(file) == 0 && part_size > 0 && part_size < sizeof part);
	start_server();
	iso_fail_every_allocation(&(iso_scenario){.run = store, .max_runs = 200});
	iso_fail_every_allocation(&(iso_scenario){.run = has, .max_runs = 200});
	iso_fail_every_allocation(&(iso_scenario){.run = fetch, .max_runs = 200});
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(door);
}

static const iso_test tests[] = {
    {"DICOMweb", dicomweb},
    {"PACS configuration and queue", pacs},
};
ISO_TEST_MAIN("memory, web", tests)
