/*
 * edu-c VECTOR < numbers: the same driver as edu, in C with ivt.h. It is granted QEMU's edu device, maps its registers, gives it
 * memory, and is interrupted when a factorial or a transfer is done.
 */
#include "../../c/ivt.h"
#include <err.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* The registers of BAR 0 (docs/specs/edu.rst of QEMU), in words. */
enum { ID = 0, FACTORIAL = 0x08 / 4, STATUS = 0x20 / 4, RAISED = 0x24 / 4, ACKNOWLEDGE = 0x64 / 4,
       DMA_SOURCE = 0x80 / 4, DMA_DESTINATION = 0x88 / 4, DMA_COUNT = 0x90 / 4, DMA_COMMAND = 0x98 / 4 };
enum { INTERRUPT_WHEN_COMPUTED = 0x80, COMPUTED = 1, TRANSFERRED = 0x100 };
enum { DMA_START = 1, DMA_TO_MEMORY = 2, DMA_INTERRUPT = 4 };
enum { BUFFER = 0x40000, IOVA = 0x10000 }; /* the device's own memory, and where it sees ours */

static struct ivt c;
static volatile uint32_t *regs;
static char *memory;

static void start(void)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = IOVA, .size = 4096 };
	uint16_t command = 0x0002 | 0x0004; /* memory, bus master */

	if (ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &bar) || ioctl(c.device, VFIO_DEVICE_GET_REGION_INFO, &config))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	if (pwrite(c.device, &command, 2, (off_t)config.offset + 4) != 2)
		err(1, "enable the device");
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, c.device, (off_t)bar.offset);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (regs == MAP_FAILED || memory == MAP_FAILED)
		err(1, "mmap");
	if ((regs[ID] & 0xff) != 0xed)
		errx(1, "this is no edu: its identification is %#x", regs[ID]);
	map.vaddr = (uintptr_t)memory;
	if (ioctl(c.container, VFIO_IOMMU_MAP_DMA, &map))
		err(1, "VFIO_IOMMU_MAP_DMA");
}

/* Waits for an interrupt of the device, and acknowledges it there and at the kernel. One may come for nothing, when ivt rings in
 * doubt. */
static void await(uint32_t cause)
{
	struct ivt_interrupt i;
	uint32_t now = 0;
	while (!(now & cause)) {
		if (ivt_wait(&c, &i, -1) < 0)
			errx(1, "%s", c.text);
		regs[ACKNOWLEDGE] = now = regs[RAISED];
		if (ivt_acknowledge(&c, &i, 1))
			errx(1, "%s", c.text);
	}
}

static void transfer(uint32_t from, uint32_t to, uint32_t n, uint32_t command)
{
	*(volatile uint64_t *)&regs[DMA_SOURCE] = from;
	*(volatile uint64_t *)&regs[DMA_DESTINATION] = to;
	*(volatile uint64_t *)&regs[DMA_COUNT] = n;
	regs[DMA_COMMAND] = command;
	await(TRANSFERRED);
}

int main(int argc, char **argv)
{
	struct ivt_options o = { .label = "edu-c", .device = 1 };
	char text[] = "there and back";
	unsigned n;

	setlinebuf(stdout);
	if (argc != 2)
		errx(2, "usage: edu-c VECTOR < numbers");
	if (ivt_connect(&c, (const char *const *)argv + 1, 1, &o))
		errx(1, "%s", c.text); /* 763: who has it, since when */
	start();
	printf("connected %s\n", c.vectors[0].name);
	while (scanf("%u", &n) == 1) {
		regs[STATUS] = INTERRUPT_WHEN_COMPUTED;
		regs[FACTORIAL] = n;
		await(COMPUTED);
		printf("%u! = %u, interrupted\n", n, regs[FACTORIAL]);
	}
	strcpy(memory, text);
	transfer(IOVA, BUFFER, sizeof(text), DMA_START | DMA_INTERRUPT);
	transfer(BUFFER, IOVA + 2048, sizeof(text), DMA_START | DMA_INTERRUPT | DMA_TO_MEMORY);
	printf("\"%s\" by DMA, interrupted twice\n", memory + 2048);
	return 0; /* the end of the process ends the connection */
}
