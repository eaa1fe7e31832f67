// SPDX-License-Identifier: GPL-2.0
/*
 * pinger ADDRESS MICROSECONDS FILE: sends an ICMP or ICMPv6 echo request every
 * so many microseconds until SIGTERM, then writes FILE: for each request two
 * native 64-bit words, when it was sent and when its reply came, in
 * nanoseconds of CLOCK_REALTIME; 0 stands for no reply. The latter is the
 * kernel's own timestamp, taken on the reply's way in.
 *
 * It prints "ready" after the first request has left.
 *
 * In C, since in virtual time every instruction is a nanosecond, and a test of
 * a millisecond must not spend it on its own bookkeeping: replies are fetched
 * just before the next request, when their timestamps are long made.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUESTS	(4u << 20)

/* What follows the ICMP header: all of a request's number, 16 bits are few. */
struct echo {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
	uint32_t number;
} __attribute__((packed));

static struct record {
	uint64_t sent, received;
} records[MAX_REQUESTS];
static uint32_t count;
static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

static uint64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * 1000000000ull + t->tv_nsec;
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (; len; len -= 2)
		sum += *word++;
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

static int open_socket(int family)
{
	int fd = socket(family, SOCK_RAW, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	int on = 1, room = 1 << 20;

	if (fd < 0)
		err(1, "a raw socket");
	if (family == AF_INET) {
		struct icmp_filter replies = { ~(1u << ICMP_ECHOREPLY) };

		if (setsockopt(fd, SOL_RAW, ICMP_FILTER, &replies, sizeof(replies)))
			err(1, "ICMP_FILTER");
	} else {
		struct icmp6_filter replies;

		memset(&replies, 0xff, sizeof(replies));
		replies.data[ICMPV6_ECHO_REPLY >> 5] &= ~(1u << (ICMPV6_ECHO_REPLY & 31));
		if (setsockopt(fd, SOL_ICMPV6, ICMPV6_FILTER, &replies, sizeof(replies)))
			err(1, "ICMPV6_FILTER");
	}
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		err(1, "setsockopt");
	return fd;
}

static void take_replies(int fd, int family, uint16_t id)
{
	for (;;) {
		char data[256], control[128];
		struct iovec iov = { data, sizeof(data) };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t len = recvmsg(fd, &msg, MSG_DONTWAIT);
		size_t skip = 0;
		struct cmsghdr *c;
		struct echo echo;

		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (len < 0)
			continue;	/* an ICMP error, reported once */
		if (family == AF_INET && len > 0)
			skip = (data[0] & 15) * 4;
		if ((size_t)len < skip + sizeof(echo))
			continue;
		memcpy(&echo, data + skip, sizeof(echo));
		if (echo.id != id || echo.number >= count || records[echo.number].received)
			continue;
		for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			struct timespec t;

			if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
				continue;
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			records[echo.number].received = nanoseconds(&t);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sigaction action = { .sa_handler = on_term };
	struct timespec next, now;
	struct sockaddr *to;
	uint16_t id = getpid();
	socklen_t to_len;
	long interval;
	int fd, family;
	FILE *out;

	if (argc != 4)
		errx(2, "usage: pinger ADDRESS MICROSECONDS FILE");
	if (inet_pton(AF_INET, argv[1], &to4.sin_addr) == 1) {
		family = AF_INET;
		to = (struct sockaddr *)&to4;
		to_len = sizeof(to4);
	} else if (inet_pton(AF_INET6, argv[1], &to6.sin6_addr) == 1) {
		family = AF_INET6;
		to = (struct sockaddr *)&to6;
		to_len = sizeof(to6);
	} else {
		errx(2, "%s is no address", argv[1]);
	}
	interval = atol(argv[2]) * 1000;
	if (interval <= 0)
		errx(2, "%s is no number of microseconds", argv[2]);
	sigaction(SIGTERM, &action, NULL);
	fd = open_socket(family);

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!stop && count < MAX_REQUESTS) {
		struct echo echo = {
			.type = family == AF_INET ? ICMP_ECHO : ICMPV6_ECHO_REQUEST,
			.id = id, .sequence = htons(count), .number = count,
		};

		take_replies(fd, family, id);
		if (family == AF_INET)
			echo.checksum = checksum(&echo, sizeof(echo));
		clock_gettime(CLOCK_REALTIME, &now);
		records[count++].sent = nanoseconds(&now);
		/* Whatever fails here is a request without a reply. */
		sendto(fd, &echo, sizeof(echo), 0, to, to_len);
		if (count == 1) {
			puts("ready");
			fflush(stdout);
		}
		next.tv_nsec += interval;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	/* The last replies may be on their way. */
	usleep(100000);
	take_replies(fd, family, id);

	out = fopen(argv[3], "w");
	if (!out || fwrite(records, sizeof(*records), count, out) != count || fclose(out))
		err(1, "%s", argv[3]);
	return 0;
}
