/*
 * ivt.h: connect a driver in C to an interrupt vector that is its own. One file without dependencies; copy it.
 *
 *	struct ivt c;
 *	const char *vector = "pci:0000:3b:00.0/msix/2";
 *	struct ivt_interrupt i;
 *
 *	if (ivt_connect(&c, &vector, 1, NULL))
 *		errx(1, "%s", c.text);          // 763, who holds it, since when
 *	while (ivt_wait(&c, &i, -1) > 0) {
 *		...                             // i.count interrupts since the last time
 *		ivt_acknowledge(&c, &i, 1);
 *	}
 *	errx(1, "%s", c.text);                  // revoked, unplugged, or ivtd has gone: 1167
 *
 * It speaks Varlink (JSON with a NUL behind it) with ivtd, whose socket is IVT_SOCKET or /run/ivtd/ivtd.sock, and takes the
 * descriptors that come with the reply. `ivt connect --help` says how to have them handed over instead, without any code.
 * The interface is api/io.ivtd.interrupts.varlink. Not for several threads at once. SPDX-License-Identifier: Apache-2.0
 */
#ifndef IVT_H
#define IVT_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IVT_MAX 32 /* vectors of a connection */

/* How to connect; NULL or all zero: alone, irq grant, no waiting. */
struct ivt_options {
	const char *label;   /* text that refusals to others show */
	int device;          /* want the device's descriptors, too (--access device) */
	int consent;         /* beside device: others may have interrupts of it */
	int shared;          /* consent to share */
	long long wait;      /* wait so many milliseconds for the vectors to be free, -1: for ever */
};

/* A connection. What it has no descriptor for is -1. */
struct ivt {
	int code;            /* of the last failure: 763 and so on, or -1 for a system call's */
	char text[1024];     /* and in words, printable */
	int count;           /* of vectors */
	struct { char name[64]; int fd, unmask, stream; } vectors[IVT_MAX];
	int device, container; /* VFIO's, with the device grant */
	char id[64];
	long long generation;
	int session, lifeline; /* to ivtd */
	int turn;
};

struct ivt_interrupt {
	int vector;          /* its place in the request */
	int level;           /* masked until it is acknowledged */
	int rang;            /* rung in doubt: look at the device */
	uint64_t count;      /* interrupts since the last time */
	uint64_t sequence, lost, data, arrived; /* on a stream only */
	int64_t time;        /* likewise: CLOCK_MONOTONIC, ns; of the kernel's own where it has one */
};

/* ---- JSON, as much as ivtd writes. A value is a pointer to its first character, NULL if it is not there. ---- */

static inline const char *ivt__space(const char *p) { return p + strspn(p, " \t\r\n"); }

static inline const char *ivt__string_end(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* What follows a value. */
static inline const char *ivt__skip(const char *p)
{
	int depth = 0;
	do {
		p = ivt__space(p);
		if (*p == '"')
			p = ivt__string_end(p);
		else if (*p && strchr("{[", *p))
			depth++, p++;
		else if (*p && strchr("}]", *p))
			depth--, p++;
		else if (*p)
			p += 1 + strcspn(p + 1, "\"{}[],: \t\r\n");
	} while (depth > 0 && *p);
	return p;
}

static inline const char *ivt__member(const char *p, const char *name)
{
	if (!p || *(p = ivt__space(p)) != '{')
		return NULL;
	do {
		const char *key = ivt__space(p + 1), *end;
		if (*key != '"')
			return NULL;
		end = ivt__string_end(key);
		if (*(p = ivt__space(end)) != ':')
			return NULL;
		p = ivt__space(p + 1);
		if ((size_t)(end - key) == strlen(name) + 2 && !strncmp(key + 1, name, strlen(name)))
			return strncmp(p, "null", 4) ? p : NULL;
		p = ivt__space(ivt__skip(p));
	} while (*p == ',');
	return NULL;
}

/* The first element of an array, or the one after an element; NULL at the end. */
static inline const char *ivt__element(const char *array, const char *before)
{
	const char *p = before ? ivt__space(ivt__skip(before)) : array;
	if (!p || *(p = ivt__space(p)) != (before ? ',' : '['))
		return NULL;
	p = ivt__space(p + 1);
	return *p && *p != ']' ? p : NULL;
}

static inline long long ivt__number(const char *p, long long otherwise) { return p ? strtoll(p, NULL, 10) : otherwise; }

/* Copies a string; what does not print or is not ASCII becomes a question mark, so it can go to a terminal. */
static inline const char *ivt__text(const char *p, char *to, size_t size)
{
	size_t n = 0;
	if (p && *p == '"')
		for (p++; *p && *p != '"' && n + 1 < size; p++) {
			unsigned char c = (unsigned char)*p;
			if (c == '\\' && p[1]) {
				c = (unsigned char)*++p;
				if (c == 'u') {
					unsigned u = 0;
					for (int i = 0; i < 4 && p[1] && strchr("0123456789abcdefABCDEF", p[1]); i++, p++)
						u = u * 16 + (unsigned)(p[1] <= '9' ? p[1] - '0' : (p[1] | 32) - 'a' + 10);
					c = u < 0x7f ? (unsigned char)u : '?';
				} else if (!strchr("\"\\/", c)) {
					c = '?';
				}
			}
			if ((c & 0xc0) != 0x80) /* one for each sequence of UTF-8 */
				to[n++] = c < 0x20 || c > 0x7e ? '?' : (char)c;
		}
	to[n] = 0;
	return to;
}

/* ---- Messages ---- */

/* Text that grows to the end of its room and no further. */
struct ivt__out { char *at, *end; };

#define IVT__SAY(out, ...) do { int n_ = snprintf((out)->at, (size_t)((out)->end - (out)->at), __VA_ARGS__); \
	if (n_ > 0) (out)->at += n_ < (out)->end - (out)->at ? n_ : (out)->end - (out)->at - 1; } while (0)

static inline void ivt__quote(struct ivt__out *o, const char *s)
{
	IVT__SAY(o, "\"");
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\')
			IVT__SAY(o, "\\u%04x", (unsigned char)*s);
		else
			IVT__SAY(o, "%c", *s);
	IVT__SAY(o, "\"");
}

static inline int ivt__system(struct ivt *c, const char *tried)
{
	snprintf(c->text, sizeof(c->text), "%s: %s", tried, strerror(errno));
	return c->code = -1;
}

static inline void ivt__holder(struct ivt__out *o, const char *holder)
{
	char command[64], label[160], since[40];
	if (ivt__member(holder, "driver"))
		IVT__SAY(o, "kernel driver %s", ivt__text(ivt__member(holder, "driver"), command, sizeof(command)));
	else if (ivt__member(holder, "pid"))
		IVT__SAY(o, "pid %lld (%s, uid %lld)", ivt__number(ivt__member(holder, "pid"), 0),
			ivt__text(ivt__member(holder, "command"), command, sizeof(command)), ivt__number(ivt__member(holder, "uid"), -1));
	else
		IVT__SAY(o, "somebody unknown");
	if (*ivt__text(ivt__member(holder, "label"), label, sizeof(label)))
		IVT__SAY(o, " \"%s\"", label);
	if (*ivt__text(ivt__member(holder, "since"), since, sizeof(since)))
		IVT__SAY(o, " since %s", since);
}

/* Puts a refusal into words: what was tried, the code and its name, why, and who has what. */
static inline int ivt__refusal(struct ivt *c, const char *error, const char *parameters)
{
	struct ivt__out o = { c->text, c->text + sizeof(c->text) };
	char a[64], b[64], d[256];
	c->code = (int)ivt__number(ivt__member(parameters, "code"), -1);
	if (c->code < 0) {
		IVT__SAY(&o, "ivtd: %s", ivt__text(error, d, sizeof(d)));
		return c->code;
	}
	const char *about = ivt__member(parameters, ivt__member(parameters, "vector") ? "vector" : "subject");
	IVT__SAY(&o, "%s %s: ", ivt__text(ivt__member(parameters, "operation"), a, sizeof(a)), ivt__text(about, d, sizeof(d)));
	IVT__SAY(&o, "%d %s", c->code, ivt__text(ivt__member(parameters, "name"), a, sizeof(a)));
	if (*ivt__text(ivt__member(parameters, "detail"), d, sizeof(d)))
		IVT__SAY(&o, ": %s", d);
	const char *conflicts = ivt__member(parameters, "conflicts");
	for (const char *e = ivt__element(conflicts, NULL); e; e = ivt__element(conflicts, e)) {
		const char *holders = ivt__member(e, "holders"), *sep = " is held by ";
		IVT__SAY(&o, "; %s", ivt__text(ivt__member(e, "vector"), b, sizeof(b)));
		for (const char *h = ivt__element(holders, NULL); h; h = ivt__element(holders, h), sep = " and ") {
			IVT__SAY(&o, "%s", sep);
			ivt__holder(&o, h);
		}
	}
	return c->code;
}

/* Receives one message and its descriptors. */
static inline int ivt__receive(struct ivt *c, char *text, size_t size, int *fds, int *count)
{
	size_t n = 0;
	*count = 0;
	do {
		union { char room[CMSG_SPACE(253 * sizeof(int))]; struct cmsghdr align; } control;
		struct iovec v = { text + n, size - n };
		struct msghdr m;
		memset(&m, 0, sizeof(m));
		m.msg_iov = &v, m.msg_iovlen = 1, m.msg_control = control.room, m.msg_controllen = sizeof(control.room);
		ssize_t got = recvmsg(c->session, &m, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || m.msg_flags & MSG_CTRUNC) {
			errno = got < 0 ? errno : got ? EMFILE : ECONNRESET;
			return ivt__system(c, "ivtd's reply");
		}
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
			if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
				int k = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
				k = k < 253 - *count ? k : 253 - *count;
				memcpy(fds + *count, CMSG_DATA(h), (size_t)k * sizeof(int));
				*count += k;
			}
		n += (size_t)got;
	} while ((n == 0 || text[n - 1]) && n < size);
	if (text[n - 1]) {
		errno = EMSGSIZE;
		return ivt__system(c, "ivtd's reply");
	}
	return 0;
}

/* Calls a method and leaves its parameters in text. */
static inline int ivt__call(struct ivt *c, const char *call, char *text, size_t size, const char **parameters, int *fds, int *count)
{
	for (size_t n = 0, all = strlen(call) + 1; n < all; ) {
		ssize_t sent = send(c->session, call + n, all - n, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return ivt__system(c, "call ivtd");
		n += sent > 0 ? (size_t)sent : 0;
	}
	int failed = ivt__receive(c, text, size, fds, count);
	*parameters = failed ? NULL : ivt__member(text, "parameters");
	if (!failed && ivt__member(text, "error"))
		failed = ivt__refusal(c, ivt__member(text, "error"), *parameters);
	return failed;
}

/* ---- The connection ---- */

/* Takes the descriptor that a member of the reply names by its index. */
static inline int ivt__take(const char *p, const char *member, int *fds, int count)
{
	long long i = ivt__number(ivt__member(p, member), -1);
	if (i < 0 || i >= count)
		return -1;
	int fd = fds[i];
	fds[i] = -1;
	return fd;
}

static inline void ivt__close_device(struct ivt *c)
{
	if (c->device >= 0)
		close(c->device);
	if (c->container >= 0)
		close(c->container);
	c->device = c->container = -1;
}

static inline void ivt__close(struct ivt *c)
{
	ivt__close_device(c);
	for (int i = 0; i < c->count; i++) {
		if (c->vectors[i].fd >= 0)
			close(c->vectors[i].fd);
		if (c->vectors[i].unmask >= 0)
			close(c->vectors[i].unmask);
	}
	if (c->lifeline >= 0)
		close(c->lifeline);
	if (c->session >= 0)
		close(c->session);
	c->count = 0;
	c->lifeline = c->session = -1;
}

static inline int ivt__dial(struct ivt *c)
{
	const char *path = getenv("IVT_SOCKET");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path && *path ? path : "/run/ivtd/ivtd.sock");
	if ((c->session = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 && !connect(c->session, (struct sockaddr *)&at, sizeof(at)))
		return 0;
	return ivt__system(c, at.sun_path);
}

/* Takes over what the reply to Connect grants. */
static inline int ivt__granted(struct ivt *c, const char *reply, int *fds, int count)
{
	const char *deliveries = ivt__member(reply, "deliveries");
	char kind[16];
	ivt__text(ivt__member(reply, "connection"), c->id, sizeof(c->id));
	c->generation = ivt__number(ivt__member(reply, "generation"), 0);
	c->lifeline = ivt__take(reply, "lifelineFileDescriptor", fds, count);
	c->device = ivt__take(reply, "deviceFileDescriptor", fds, count);
	c->container = ivt__take(reply, "containerFileDescriptor", fds, count);
	for (const char *d = ivt__element(deliveries, NULL); d && c->count < IVT_MAX; d = ivt__element(deliveries, d)) {
		int n = c->count++;
		ivt__text(ivt__member(d, "vector"), c->vectors[n].name, sizeof(c->vectors[n].name));
		c->vectors[n].stream = !strcmp(ivt__text(ivt__member(d, "kind"), kind, sizeof(kind)), "stream");
		c->vectors[n].fd = ivt__take(d, "deliveryFileDescriptor", fds, count);
		c->vectors[n].unmask = ivt__take(d, "unmaskFileDescriptor", fds, count);
		if (c->vectors[n].fd < 0)
			c->lifeline = -1;
	}
	if (c->lifeline >= 0 && c->count > 0)
		return 0;
	errno = EPROTO;
	return ivt__system(c, "ivtd's reply");
}

/* Connects to vectors, all or none. 0, or the code of the refusal, -1 for a system call's; then c->text has it in words. */
static inline int ivt_connect(struct ivt *c, const char *const *vectors, int n, const struct ivt_options *o)
{
	const struct ivt_options none = { NULL, 0, 0, 0, 0 };
	char call[8192], reply[65536];
	const char *parameters = NULL;
	int fds[253], count = 0, failed;
	struct ivt__out out = { call, call + sizeof(call) };

	o = o ? o : &none;
	memset(c, 0, sizeof(*c));
	c->session = c->lifeline = c->device = c->container = -1;
	IVT__SAY(&out, "{\"method\":\"io.ivtd.interrupts.Connect\",\"parameters\":{\"vectors\":[");
	for (int i = 0; i < n; i++) {
		IVT__SAY(&out, i ? "," : "");
		ivt__quote(&out, vectors[i]);
	}
	IVT__SAY(&out, "],\"access\":\"%s\",\"consent\":%s,\"shared\":%s", o->device ? "device" : "irq", o->consent ? "true" : "false", o->shared ? "true" : "false");
	if (o->wait)
		IVT__SAY(&out, ",\"wait\":true");
	if (o->wait > 0)
		IVT__SAY(&out, ",\"timeoutMilliseconds\":%lld", o->wait);
	IVT__SAY(&out, ",\"label\":");
	ivt__quote(&out, o->label ? o->label : "");
	IVT__SAY(&out, "}}");
	if (n < 1 || n > IVT_MAX || out.at == out.end - 1) {
		errno = E2BIG;
		return ivt__system(c, "connect");
	}
	if ((failed = ivt__dial(c)) == 0 && (failed = ivt__call(c, call, reply, sizeof(reply), &parameters, fds, &count)) == 0)
		failed = ivt__granted(c, parameters, fds, count);
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (failed)
		ivt__close(c);
	return failed;
}

/* Reads the lifeline: 1 if the connection is over, and then c->text says why. */
static inline int ivt__over(struct ivt *c)
{
	struct { uint32_t kind, code; uint64_t generation; int64_t deadline; char why[488]; } notice; /* why: a word, 0, and the detail */
	memset(&notice, 0, sizeof(notice));
	ssize_t n = recv(c->lifeline, &notice, sizeof(notice) - 2, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 24 && notice.kind != 2)
		return 0; /* it will end, and this announces it */
	for (char *p = notice.why; p < notice.why + sizeof(notice.why) - 2; p++)
		*p = *p && (*p < 0x20 || *p > 0x7e) ? '?' : *p;
	snprintf(c->text, sizeof(c->text), "1167 ERROR_DEVICE_NOT_CONNECTED: %s%s%s", n > 24 ? notice.why : "ivtd hung up",
		n > 24 ? ", " : ": it was stopped or killed", n > 24 ? notice.why + strlen(notice.why) + 1 : "");
	c->code = 1167;
	return 1;
}

/* Reads what a vector has: 1 if that was an interrupt. */
static inline int ivt__read(struct ivt *c, int n, struct ivt_interrupt *i)
{
	struct { uint32_t generation, flags; uint64_t sequence, count; int64_t time; uint64_t lost, data, arrived; } r;
	ssize_t got = read(c->vectors[n].fd, &r, c->vectors[n].stream ? sizeof(r) : 8);
	memset(i, 0, sizeof(*i));
	i->vector = n;
	if (got == 0) { /* its end, for which the lifeline has the reason */
		close(c->vectors[n].fd);
		c->vectors[n].fd = -1;
	}
	if (!c->vectors[n].stream && got == 8) {
		memcpy(&i->count, &r, 8);
		i->level = c->vectors[n].unmask >= 0;
		return 1;
	}
	if (got != (ssize_t)sizeof(r))
		return 0;
	i->rang = r.flags & 1, i->level = !!(r.flags & 2), i->sequence = r.sequence, i->count = r.count;
	i->time = r.time, i->lost = r.lost, i->data = r.data, i->arrived = r.arrived;
	return 1;
}

/* Waits for the next interrupt of any of the vectors: 1 if there is one, 0 if none came within so many milliseconds (-1: for
 * ever) or a signal did, -1 if the connection is over, which c->code and c->text explain. */
static inline int ivt_wait(struct ivt *c, struct ivt_interrupt *i, int milliseconds)
{
	struct pollfd p[IVT_MAX + 1];
	if (c->lifeline < 0) {
		errno = ENOTCONN; /* nothing would ever come */
		return ivt__system(c, "wait");
	}
	for (;;) {
		for (int k = 0; k < c->count; k++)
			p[k] = (struct pollfd){ .fd = c->vectors[k].fd, .events = POLLIN };
		p[c->count] = (struct pollfd){ .fd = c->lifeline, .events = POLLIN };
		int n = poll(p, (nfds_t)c->count + 1, milliseconds);
		if (n <= 0)
			return n == 0 || errno == EINTR ? 0 : ivt__system(c, "wait");
		if (p[c->count].revents && ivt__over(c))
			return -1;
		for (int k = 0; k < c->count; k++) {
			int v = (c->turn + k) % c->count; /* each has its turn */
			if (p[v].revents & POLLIN && ivt__read(c, v, i)) {
				c->turn = v + 1;
				return 1;
			}
		}
	}
}

/* Acknowledges an interrupt: on a level line nothing more comes until then, elsewhere it costs nothing. handled 0 says that it
 * was not this driver's device. 0, or -1. */
static inline int ivt_acknowledge(struct ivt *c, const struct ivt_interrupt *i, int handled)
{
	struct { uint32_t generation, verdict; uint64_t sequence; } ack = { (uint32_t)c->generation, !handled, i->sequence };
	uint64_t one = 1;
	int stream = c->vectors[i->vector].stream, fd = stream ? c->vectors[i->vector].fd : c->vectors[i->vector].unmask;
	if (fd < 0 || (stream && !i->level && handled))
		return 0;
	size_t size = stream ? sizeof(ack) : sizeof(one);
	return write(fd, stream ? (void *)&ack : (void *)&one, size) == (ssize_t)size ? 0 : ivt__system(c, "acknowledge");
}

/* Ends the connection. When it returns nothing more is delivered. The caller unmaps the device's registers first. */
static inline int ivt_disconnect(struct ivt *c)
{
	char call[256], reply[65536];
	const char *parameters;
	int fds[253], count = 0;
	struct ivt__out out = { call, call + sizeof(call) };
	IVT__SAY(&out, "{\"method\":\"io.ivtd.interrupts.Disconnect\",\"parameters\":{\"connection\":");
	ivt__quote(&out, c->id);
	IVT__SAY(&out, ",\"generation\":%lld}}", c->generation);
	ivt__close_device(c); /* before ivtd looks who still has it */
	int failed = ivt__call(c, call, reply, sizeof(reply), &parameters, fds, &count);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	ivt__close(c); /* should ivtd not have answered, the lifeline tells it */
	return failed;
}

#endif
