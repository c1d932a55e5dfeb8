/* The peers in C that own a VFIO device themselves, and who raises the device's interrupts and takes the time.
 *
 *   irq own ADDRESS GROUP              QEMU's edu: waits for MSI 0 in read(), writes the time of each wake-up to descriptor 3
 *   irq raise RESOURCE COUNT           raises COUNT interrupts of edu for each line on standard input, each when the former's
 *                                      wake-up time was read from descriptor 3; prints median and 99th percentile in ns.
 *                                      It gives way to whoever wakes up, so that the driver goes first at once: else the
 *                                      scheduler's fairness decides that, at times so and at times so
 *   irq connect ADDRESS GROUP VECTOR COUNT
 *                                      connects an eventfd to an MSI-X vector and disconnects it, COUNT times for each line on
 *                                      standard input; prints the mean of a pair in ns
 */
#define _GNU_SOURCE /* SCHED_IDLE */
#include <fcntl.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RAISE = 0x60 / 4, ACK = 0x64 / 4, ANSWERS = 3 };

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int open_device(const char *address, const char *number)
{
	char path[64];
	snprintf(path, sizeof path, "/dev/vfio/%s", number);
	int container = open("/dev/vfio/vfio", O_RDWR), group = open(path, O_RDWR);
	if (container < 0 || group < 0) fail(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) fail("container");
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (device < 0) fail(address);
	return device;
}

static void wire(int device, int index, int vector, int fd)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int32_t)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;
	*set = (struct vfio_irq_set){ .argsz = sizeof buf, .index = index, .start = vector, .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER };
	memcpy(set->data, &fd, sizeof fd);
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, set)) fail("VFIO_DEVICE_SET_IRQS");
}

static void enable(int device)
{
	struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command = 0x0002 | 0x0004; /* memory, bus master */
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) || pwrite(device, &command, 2, config.offset + 4) != 2) fail("enable");
}

static void say(const char *line) { puts(line); fflush(stdout); }

static int own(const char *address, const char *group)
{
	int device = open_device(address, group), fd = eventfd(0, EFD_CLOEXEC);
	uint64_t count, at;
	wire(device, VFIO_PCI_MSI_IRQ_INDEX, 0, fd);
	enable(device);
	say("ready");
	while (read(fd, &count, 8) == 8) {
		at = now();
		if (write(ANSWERS, &at, 8) != 8) return 0;
	}
	return 0;
}

static int raise_all(const char *resource, int count)
{
	uint64_t *took = calloc(count, 8), start, at;
	struct timespec pause = { .tv_nsec = 50000 }; /* the driver is asleep again */
	struct sched_param none = { 0 };
	char line[16];
	int fd = open(resource, O_RDWR);
	volatile uint32_t *regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || regs == MAP_FAILED) fail(resource);
	if (sched_setscheduler(0, SCHED_IDLE, &none)) fail("SCHED_IDLE");
	say("ready");
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < count; i++) {
			nanosleep(&pause, NULL);
			start = now();
			regs[RAISE] = 1;
			if (read(ANSWERS, &at, 8) != 8) fail("answer");
			took[i] = at - start;
			regs[ACK] = 1;
		}
		qsort(took, count, 8, compare);
		printf("%llu %llu\n", (unsigned long long)took[count / 2], (unsigned long long)took[count / 100 * 99]);
		fflush(stdout);
	}
	return 0;
}

static int connect_all(const char *address, const char *group, int vector, int count)
{
	int device = open_device(address, group);
	struct vfio_irq_info info = { .argsz = sizeof info, .index = VFIO_PCI_MSIX_IRQ_INDEX };
	char line[16];
	if (ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info)) fail("VFIO_DEVICE_GET_IRQ_INFO");
	wire(device, VFIO_PCI_MSIX_IRQ_INDEX, info.count - 1, -1); /* sizes a table that cannot grow */
	say("ready");
	while (fgets(line, sizeof line, stdin)) {
		uint64_t start = now();
		for (int i = 0; i < count; i++) {
			int fd = eventfd(0, EFD_CLOEXEC);
			wire(device, VFIO_PCI_MSIX_IRQ_INDEX, vector, fd);
			wire(device, VFIO_PCI_MSIX_IRQ_INDEX, vector, -1);
			close(fd);
		}
		uint64_t each = (now() - start) / count;
		printf("%llu %llu\n", (unsigned long long)each, (unsigned long long)each);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "own")) return own(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "raise")) return raise_all(argv[2], atoi(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "connect")) return connect_all(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	return 2;
}
