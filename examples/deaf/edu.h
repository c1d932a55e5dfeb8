/*
 * A driver's view of QEMU's edu device (docs/specs/edu.rst of QEMU) through
 * VFIO, in the few lines that first.c and second.c have in common.
 */
#ifndef EDU_H
#define EDU_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET "/run/edu.sock" /* where first passes the device on */

struct edu {
	int device;              /* VFIO device descriptor */
	int irq;                 /* eventfd of MSI 0 */
	volatile uint32_t *regs; /* BAR 0 */
};

enum { FACTORIAL = 0x08 / 4, STATUS = 0x20 / 4, IRQ = 0x24 / 4, ACK = 0x64 / 4 };
enum { COMPUTING = 1, INTERRUPT_WHEN_DONE = 0x80 };

/* A descriptor that was handed to us under that name, or -1. */
static inline int handed(const char *name)
{
	const char *pid = getenv("LISTEN_PID"), *names = getenv("LISTEN_FDNAMES");
	if (!pid || !names || atoi(pid) != getpid())
		return -1;
	for (int fd = 3; ; fd++) {
		size_t n = strcspn(names, ":");
		if (strlen(name) == n && !strncmp(names, name, n))
			return fd;
		if (!names[n])
			return -1;
		names += n + 1;
	}
}

/* Maps the registers and lets the device send messages. */
static inline void edu_start(struct edu *e)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	if (ioctl(e->device, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(e->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	uint16_t command = 0x0002 | 0x0004; /* memory, bus master */
	if (pwrite(e->device, &command, 2, config.offset + 4) != 2)
		err(1, "enable the device");
	e->regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, e->device, bar.offset);
	if (e->regs == MAP_FAILED)
		err(1, "map BAR 0");
}

/* Connects an eventfd of ours to MSI 0. Nothing tells us if somebody has it. */
static inline void edu_connect(struct edu *e)
{
	char buf[sizeof(struct vfio_irq_set) + sizeof(int32_t)] = { 0 };
	struct vfio_irq_set *set = (struct vfio_irq_set *)buf;
	if ((e->irq = eventfd(0, EFD_CLOEXEC)) < 0)
		err(1, "eventfd");
	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSI_IRQ_INDEX;
	set->start = 0;
	set->count = 1;
	memcpy(set->data, &e->irq, sizeof(int32_t));
	if (ioctl(e->device, VFIO_DEVICE_SET_IRQS, set))
		err(1, "VFIO_DEVICE_SET_IRQS");
}

/* Waits for the interrupt and takes it; 0 if none came in time. */
static inline int edu_wait(struct edu *e, int milliseconds)
{
	struct pollfd p = { .fd = e->irq, .events = POLLIN };
	uint64_t count;
	if (poll(&p, 1, milliseconds) <= 0 || !(p.revents & POLLIN))
		return 0;
	return read(e->irq, &count, sizeof(count)) == sizeof(count);
}

#endif
