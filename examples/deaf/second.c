/*
 * The driver that comes later. It gets the device descriptor from first and
 * connects to the same interrupt, as any library that sets up VFIO would.
 *
 * usage: second SECONDS
 */
#include "edu.h"
#include <time.h>

/* A copy of the device descriptor that first shares. */
static int borrow(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), device = -1;
	char control[CMSG_SPACE(sizeof(int))], text[1];
	struct iovec v = { .iov_base = text, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	if (connect(s, (struct sockaddr *)&at, sizeof(at)) || recvmsg(s, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
		err(1, SOCKET);
	memcpy(&device, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	close(s);
	return device;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: second SECONDS");
	setlinebuf(stdout);
	struct edu e = { .device = handed("device"), .irq = handed("eventfd0") };
	if (e.device < 0)
		e.device = borrow();
	if (e.irq < 0)
		edu_connect(&e);
	printf("second: connected to the same interrupt, VFIO_DEVICE_SET_IRQS returned 0\n");
	int heard = 0;
	for (time_t end = time(NULL) + atoi(argv[1]); time(NULL) < end; )
		heard += edu_wait(&e, 200);
	printf("second: %d interrupts arrived that first was waiting for\n", heard);
	return heard > 0 ? 0 : 3;
}
