/*
 * The driver that was there first. It computes factorials on the device and is
 * interrupted when each is done. Whoever connects to SOCKET gets a copy of the
 * device descriptor, as a secondary process of a DPDK primary does. SIGTERM ends
 * it after the round that it is in.
 *
 * usage: first ADDRESS GROUP ROUNDS      (0000:00:04.0, number of its IOMMU group)
 */
#include "edu.h"
#include <pthread.h>
#include <signal.h>

static int open_device(const char *address, const char *group_number)
{
	char path[64];
	snprintf(path, sizeof(path), "/dev/vfio/%s", group_number);
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), group = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0 || group < 0)
		err(1, "%s", path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "set up the container");
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (device < 0)
		err(1, "VFIO_GROUP_GET_DEVICE_FD %s", address);
	return device;
}

/* Passes the device on to all who ask. */
static void *share(void *device)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(SOCKET);
	if (bind(s, (struct sockaddr *)&at, sizeof(at)) || listen(s, 1))
		err(1, SOCKET);
	for (;;) {
		int c = accept(s, NULL, NULL);
		char control[CMSG_SPACE(sizeof(int))] = { 0 };
		struct iovec text = { .iov_base = "d", .iov_len = 1 };
		struct msghdr m = { .msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), device, sizeof(int));
		if (c < 0 || sendmsg(c, &m, 0) != 1)
			warn("pass the device on");
		close(c);
	}
	return NULL;
}

static int told_to_end(void)
{
	sigset_t pending;
	return sigpending(&pending) || sigismember(&pending, SIGTERM);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		errx(2, "usage: first ADDRESS GROUP ROUNDS");
	setlinebuf(stdout);
	sigset_t end;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	struct edu e = { .device = handed("device"), .irq = handed("eventfd0") };
	if (e.device < 0)
		e.device = open_device(argv[1], argv[2]);
	edu_start(&e);
	if (e.irq < 0)
		edu_connect(&e);
	pthread_t sharing;
	pthread_create(&sharing, NULL, share, &e.device);

	int most = atoi(argv[3]), rounds = 0, heard = 0;
	for (int i = 0; i < most && !told_to_end(); i++) {
		rounds++;
		e.regs[STATUS] = INTERRUPT_WHEN_DONE;
		e.regs[FACTORIAL] = 3 + i;
		int interrupted = edu_wait(&e, 1500);
		printf("first:  %d! = %u, %s\n", 3 + i, e.regs[FACTORIAL],
		       interrupted ? "interrupted" : "NO INTERRUPT in 1.5 s, and no error");
		e.regs[ACK] = e.regs[IRQ];
		heard += interrupted;
		usleep(400000);
	}
	printf("first:  %d of %d interrupts arrived\n", heard, rounds);
	return heard == rounds ? 0 : 3;
}
