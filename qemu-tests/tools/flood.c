// SPDX-License-Identifier: GPL-2.0
/*
 * flood DEVICE FILE [PROCESSOR]: sends the Ethernet frames in FILE, each after its
 * length as a native 16-bit word, and prints how many there were.
 *
 * In bursts with a pause after each, so that nothing on the way is dropped for
 * want of room: what is sent can be accounted for to the last packet. With a
 * processor, on which it stays, again and again without a pause until it is killed,
 * whatever becomes of it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BURST		64
#define PAUSE		1000	/* microseconds */

static void send_all(int fd, struct mmsghdr *messages, unsigned int count)
{
	while (count) {
		int sent = sendmmsg(fd, messages, count, 0);

		if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
			err(1, "sendmmsg");
		if (sent > 0) {
			messages += sent;
			count -= sent;
		}
		usleep(PAUSE);
	}
}

static void stay_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "processor %d", processor);
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct mmsghdr messages[BURST] = { 0 };
	struct iovec iov[BURST];
	unsigned int burst = 0;
	unsigned long total = 0;
	struct stat stat;
	char *start, *at, *end;
	int fd, file;

	if (argc != 3 && argc != 4)
		errx(2, "usage: flood DEVICE FILE [PROCESSOR]");
	if (argc == 4)
		stay_on(atoi(argv[3]));
	file = open(argv[2], O_RDONLY);
	if (file < 0 || fstat(file, &stat))
		err(1, "%s", argv[2]);
	start = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (start == MAP_FAILED)
		err(1, "%s", argv[2]);
	at = start;
	end = at + stat.st_size;
	to.sll_ifindex = if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "%s", argv[1]);
	while (end - at >= 2) {
		uint16_t len;

		memcpy(&len, at, 2);
		at += 2;
		if (end - at < len)
			errx(1, "%s ends in the middle of a frame", argv[2]);
		iov[burst] = (struct iovec){ at, len };
		messages[burst].msg_hdr.msg_iov = &iov[burst];
		messages[burst].msg_hdr.msg_iovlen = 1;
		at += len;
		total++;
		if (++burst == BURST) {
			if (argc == 4)
				sendmmsg(fd, messages, burst, 0);
			else
				send_all(fd, messages, burst);
			burst = 0;
		}
		if (argc == 4 && end - at < 2)
			at = start;
	}
	send_all(fd, messages, burst);
	printf("%lu\n", total);
	return 0;
}
