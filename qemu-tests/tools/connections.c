// SPDX-License-Identifier: GPL-2.0
/*
 * connections CLIENT_DEVICE CLIENT_GATEWAY_MAC SERVER_NETNS SERVER_DEVICE
 *	SERVER_GATEWAY_MAC FIRST COUNT RATE
 *
 * Opens TCP connections through a router, both ends played here: SYN, the answer,
 * ACK, each put on the wire as a frame. COUNT of them from number FIRST on, RATE a
 * second (0: one after the other). Number N goes from 10.1.X.Y, port P to 10.2.0.100
 * port 80. Prints the nanoseconds that it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVER	0x0a020064
#define BATCH	100

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static uint32_t add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static int open_device(const char *name)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "%s", name);
	return fd;
}

static void send_frame(int fd, const struct ether_addr *mac, uint32_t from, uint16_t from_port,
		       uint32_t to, uint16_t to_port, uint32_t seq, uint32_t ack, int syn)
{
	struct frame frame = {
		.ethernet.h_proto = htons(ETH_P_IP),
		.ip = {
			.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
			.tot_len = htons(sizeof(frame.ip) + sizeof(frame.tcp)),
			.saddr = htonl(from), .daddr = htonl(to),
		},
		.tcp = {
			.source = htons(from_port), .dest = htons(to_port),
			.seq = htonl(seq), .ack_seq = htonl(ack), .doff = 5,
			.syn = syn, .ack = ack != 0, .window = htons(65535),
		},
	};
	uint32_t pseudo = add(IPPROTO_TCP + sizeof(frame.tcp), &frame.ip.saddr, 8);

	memcpy(frame.ethernet.h_dest, mac, ETH_ALEN);
	frame.ethernet.h_source[0] = 2;
	frame.ip.check = fold(add(0, &frame.ip, sizeof(frame.ip)));
	frame.tcp.check = fold(add(pseudo, &frame.tcp, sizeof(frame.tcp)));
	if (send(fd, &frame, sizeof(frame), 0) != sizeof(frame))
		err(1, "send");
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	struct ether_addr client_mac, server_mac;
	uint32_t first, count, rate;
	int client, server, netns;
	uint64_t start;

	if (argc != 9)
		errx(2, "see the comment at the top of connections.c");
	client_mac = *ether_aton(argv[2]);
	server_mac = *ether_aton(argv[5]);
	first = atoi(argv[6]);
	count = atoi(argv[7]);
	rate = atoi(argv[8]);
	client = open_device(argv[1]);
	netns = open(argv[3], O_RDONLY);
	if (netns < 0 || setns(netns, CLONE_NEWNET))
		err(1, "%s", argv[3]);
	server = open_device(argv[4]);
	start = now();
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = first + i;
		uint32_t address = 0x0a010000 + 1000 + number / 50000;
		uint16_t port = 10000 + number % 50000;

		send_frame(client, &client_mac, address, port, SERVER, 80, 1000, 0, 1);
		send_frame(server, &server_mac, SERVER, 80, address, port, 5000, 1001, 1);
		send_frame(client, &client_mac, address, port, SERVER, 80, 1001, 5001, 0);
		if (rate && (i + 1) % BATCH == 0) {
			uint64_t due = start + (uint64_t)(i + 1) * 1000000000 / rate;
			struct timespec until = { due / 1000000000, due % 1000000000 };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		}
	}
	printf("%llu\n", (unsigned long long)(now() - start));
	return 0;
}
