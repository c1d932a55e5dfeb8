/* The peers in C: a loop on epoll_wait, as drivers are written, and who measures the round trip.
 *
 *   wake handle IN OUT          waits for eventfd IN, answers each wake-up on eventfd OUT
 *   wake relay IN OUT SIZE      waits for records on socket IN, sends one of SIZE bytes on socket OUT for each
 *   wake ring OUT IN COUNT SIZE sends (eventfd: SIZE 8, socket: a record of SIZE bytes), waits for the answer, COUNT
 *                               times for each line on standard input; prints the median and the 99th percentile in ns
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) { perror(what); exit(1); }

static int watch(int fd)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) fail("epoll");
	return ep;
}

static int await(int ep)
{
	struct epoll_event e;
	int n;
	do n = epoll_wait(ep, &e, 1, -1); while (n < 0 && errno == EINTR);
	return n;
}

static int handle(int in, int out)
{
	uint64_t count, one = 1;
	int ep = watch(in);
	while (await(ep) == 1) {
		if (read(in, &count, 8) != 8) fail("read");
		if (write(out, &one, 8) != 8) fail("write");
	}
	return 0;
}

static int relay(int in, int out, int size)
{
	char record[64] = { 0 };
	int ep = watch(in);
	while (await(ep) == 1) {
		ssize_t n = recv(in, record, sizeof record, MSG_DONTWAIT);
		if (n <= 0) return 0;
		if (send(out, record, size, MSG_DONTWAIT | MSG_NOSIGNAL) != size) fail("send");
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int ring(int out, int in, int count, int size)
{
	uint64_t *took = calloc(count, 8), one[8] = { 1 }, answer[16];
	char line[16];
	int ep = watch(in);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < count; i++) {
			uint64_t start = now();
			if (write(out, one, size) != size) fail("write");
			if (await(ep) != 1 || read(in, answer, sizeof answer) <= 0) fail("answer");
			took[i] = now() - start;
		}
		qsort(took, count, 8, compare);
		printf("%llu %llu\n", (unsigned long long)took[count / 2], (unsigned long long)took[count / 100 * 99]);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "handle")) { puts("ready"); fflush(stdout); return handle(atoi(argv[2]), atoi(argv[3])); }
	if (argc == 5 && !strcmp(argv[1], "relay")) { puts("ready"); fflush(stdout); return relay(atoi(argv[2]), atoi(argv[3]), atoi(argv[4])); }
	if (argc == 6 && !strcmp(argv[1], "ring")) return ring(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	return 2;
}
