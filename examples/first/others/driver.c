/* A driver in C: run it as  ivt connect soft:demo/3 -- ./driver  and its first vector is descriptor 3. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct { uint32_t generation, flags; uint64_t sequence, count; int64_t time; uint64_t lost, data, arrived; } r;

	while (read(3, &r, sizeof r) == sizeof r) {
		printf("interrupt %llu count %llu\n", (unsigned long long)r.sequence, (unsigned long long)r.count);
		fflush(stdout);
	}
	return 0;
}
