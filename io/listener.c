/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "io/dicom/serve.h"

enum { MOST_ADDRESSES = 8, LONGEST_LINE = 512 };

/* What a peer's host is called by the network. */
typedef struct address_list {
	struct in_addr address[MOST_ADDRESSES];
	size_t count;
} address_list;

struct iso_listener {
	const iso_pacs_listener *settings;
	const iso_pacs_peer *peers;
	address_list *addresses; /* [peer_count] */
	size_t peer_count;
	char folder[512], queue[512];
	int socket, notes[2];
	pid_t *child; /* [max_associations], 0 = free */
	char line[LONGEST_LINE];
	size_t length; /* of the line that is not yet whole */
};

/* DCMTK, which takes the connections over, speaks IPv4 alone. */
static void look_up(const char *host, address_list *to)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	to->count = 0;
	if (getaddrinfo(host, NULL, &hints, &found) != 0) return;
	for (const struct addrinfo *a = found; a && to->count < MOST_ADDRESSES; a = a->ai_next)
		to->address[to->count++] = ((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr;
	freeaddrinfo(found);
}

static iso_status open_socket(iso_listener *l, bool *busy, iso_error *err)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->settings->port)};
	const char *address = l->settings->address;
	if (*address && inet_pton(AF_INET, address, &here.sin_addr) != 1)
		return iso_fail(err, ISO_BAD_INPUT, NULL, "give the number of an interface, as in 192.168.1.20",
				"listen.address '%s' is no IPv4 address", address);
	l->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->socket < 0) return iso_fail_errno(err, NULL, "cannot make a socket");
	const int yes = 1;
	(void)setsockopt(l->socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(l->socket, (const struct sockaddr *)&here, sizeof here) != 0 || listen(l->socket, 32) != 0) {
		const int code = errno;
		if (busy) *busy = code == EADDRINUSE;
		return iso_fail(err, ISO_IO, NULL, "choose another port, or end the program that uses it",
				"cannot listen at port %u: %s", l->settings->port, strerror(code));
	}
	return ISO_OK;
}

iso_status iso_listener_open(const iso_pacs_listener *settings, const iso_pacs_peer *peers, size_t peer_count,
			     const char *folder, const char *queue, iso_listener **out, bool *busy, iso_error *err)
{
	*out = NULL;
	if (busy) *busy = false;
	iso_listener *l = calloc(1, sizeof *l);
	if (!l) return iso_fail_memory(err, "the listener", sizeof *l);
	l->settings = settings;
	l->peers = peers;
	l->peer_count = peer_count;
	l->socket = l->notes[0] = l->notes[1] = -1;
	snprintf(l->folder, sizeof l->folder, "%s", folder ? folder : "");
	snprintf(l->queue, sizeof l->queue, "%s", queue ? queue : "");
	l->addresses = calloc(peer_count + 1, sizeof *l->addresses);
	l->child = calloc(settings->max_associations, sizeof *l->child);
	iso_status status = l->addresses && l->child ? ISO_OK : iso_fail_memory(err, "the listener", peer_count);
	for (size_t p = 0; status == ISO_OK && p < peer_count; p++) look_up(peers[p].host, &l->addresses[p]);
	if (status == ISO_OK && pipe2(l->notes, O_CLOEXEC | O_NONBLOCK) != 0)
		status = iso_fail_errno(err, NULL, "cannot make a pipe");
	/* Without a reader that keeps up, an association waits rather than loses what it has to tell. */
	if (status == ISO_OK) (void)fcntl(l->notes[1], F_SETFL, 0);
	if (status == ISO_OK) status = open_socket(l, busy, err);
	if (status == ISO_OK)
		*out = l;
	else
		iso_listener_close(l);
	return status;
}

void iso_listener_close(iso_listener *l)
{
	if (!l) return;
	for (unsigned c = 0; l->child && c < l->settings->max_associations; c++)
		if (l->child[c] > 0) {
			kill(l->child[c], SIGTERM);
			(void)waitpid(l->child[c], NULL, 0);
		}
	if (l->socket >= 0) close(l->socket);
	if (l->notes[0] >= 0) close(l->notes[0]);
	if (l->notes[1] >= 0) close(l->notes[1]);
	free(l->addresses);
	free(l->child);
	free(l);
}

static void reap(iso_listener *l, void (*line)(void *, const char *), void *user)
{
	for (unsigned c = 0; c < l->settings->max_associations; c++) {
		int how;
		if (l->child[c] <= 0 || waitpid(l->child[c], &how, WNOHANG) != l->child[c]) continue;
		l->child[c] = 0;
		char text[120];
		if (!WIFSIGNALED(how)) continue;
		snprintf(text, sizeof text, "!an association was ended by signal %d (%s)", WTERMSIG(how),
			 WTERMSIG(how) == SIGALRM ? "it stood still" : strsignal(WTERMSIG(how)));
		line(user, text);
	}
}

/* Takes one connection over and ends with it. */
static void be_child(iso_listener *l, int connection, const char *const *titles, size_t title_count)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	close(l->socket);
	close(l->notes[0]);
	const iso_dcm_service service = {.listener = l->settings,
					 .titles = titles,
					 .title_count = title_count,
					 .folder = l->folder[0] ? l->folder : NULL,
					 .queue = l->queue[0] ? l->queue : NULL,
					 .notes = l->notes[1]};
	iso_dcm_serve(connection, &service);
	_exit(0);
}

static void take_connection(iso_listener *l, void (*line)(void *, const char *), void *user)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	socklen_t size = sizeof from;
	const int connection = accept4(l->socket, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
	if (connection < 0) return;
	char text[160], address[INET_ADDRSTRLEN] = "";
	(void)inet_ntop(AF_INET, &from.sin_addr, address, sizeof address);
	const char **titles = calloc(l->peer_count + 1, sizeof *titles);
	size_t title_count = 0;
	for (size_t p = 0; titles && p < l->peer_count; p++)
		for (size_t a = 0; a < l->addresses[p].count; a++)
			if (l->addresses[p].address[a].s_addr == from.sin_addr.s_addr) {
				titles[title_count++] = l->peers[p].ae_title;
				break;
			}
	unsigned slot = 0;
	while (slot < l->settings->max_associations && l->child[slot] > 0) slot++;
	const char *problem = title_count == 0                        ? "the configuration does not name it"
			      : slot == l->settings->max_associations ? "there are max_associations already"
								      : NULL;
	if (!problem) {
		const pid_t process = fork();
		if (process == 0) be_child(l, connection, titles, title_count);
		if (process > 0)
			l->child[slot] = process;
		else
			problem = "no process can be started";
	}
	if (problem) {
		snprintf(text, sizeof text, "!%s: hung up, %s", address, problem);
		line(user, text);
	}
	free(titles);
	close(connection);
}

static void read_notes(iso_listener *l, void (*line)(void *, const char *), void *user)
{
	char piece[4096];
	ssize_t n;
	while ((n = read(l->notes[0], piece, sizeof piece)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (piece[i] != '\n') {
				if (l->length < sizeof l->line - 1) l->line[l->length++] = piece[i];
				continue;
			}
			l->line[l->length] = '\0';
			l->length = 0;
			line(user, l->line);
		}
}

void iso_listener_step(iso_listener *l, int wait_ms, void (*line)(void *user, const char *text), void *user)
{
	struct pollfd ready[2] = {{.fd = l->socket, .events = POLLIN}, {.fd = l->notes[0], .events = POLLIN}};
	(void)poll(ready, 2, wait_ms);
	if (ready[1].revents & POLLIN) read_notes(l, line, user);
	reap(l, line, user);
	if (ready[0].revents & POLLIN) take_connection(l, line, user);
}

static void ignore_line(void *user, const char *text)
{
	(void)user, (void)text;
}

static volatile sig_atomic_t ending;
static void end_soon(int number)
{
	(void)number;
	ending = 1;
}

iso_status iso_listener_start(iso_listener *l, pid_t *process, iso_error *err)
{
	*process = fork();
	if (*process < 0) return iso_fail_errno(err, NULL, "cannot start a process");
	if (*process > 0) return ISO_OK;
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGTERM, end_soon);
	signal(SIGINT, SIG_IGN);
	while (!ending) iso_listener_step(l, 100, ignore_line, NULL);
	iso_listener_close(l);
	_exit(0);
}

void iso_listener_end(pid_t process)
{
	if (process <= 0) return;
	kill(process, SIGTERM);
	(void)waitpid(process, NULL, 0);
}
