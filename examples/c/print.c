/*
 * print VECTOR...: prints the interrupts of any vectors, until the connection is over or so many as COUNT says have come. It is
 * what `ivt connect VECTOR...` does, and shows all of ivt.h.
 */
#include "ivt.h"
#include <err.h>

int main(int argc, char **argv)
{
	struct ivt c;
	struct ivt_interrupt i;
	struct ivt_options o = { .label = getenv("LABEL"), .shared = getenv("SHARED") != NULL };
	int left = getenv("COUNT") ? atoi(getenv("COUNT")) : -1;

	setlinebuf(stdout);
	if (ivt_connect(&c, (const char *const *)argv + 1, argc - 1, &o))
		errx(c.code == 763 ? 3 : 1, "%s", c.text);
	printf("connected %d\n", c.count);
	while (left != 0 && ivt_wait(&c, &i, -1) > 0) {
		printf("%s sequence %llu count %llu\n", c.vectors[i.vector].name, (unsigned long long)i.sequence, (unsigned long long)i.count);
		if (ivt_acknowledge(&c, &i, 1))
			errx(1, "%s", c.text);
		left--;
	}
	if (left != 0)
		errx(1, "%s", c.text);
	if (ivt_disconnect(&c))
		errx(1, "%s", c.text);
	puts("disconnected");
	return 0;
}
