/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The netlink contract of the link kind "carp": what stands in
 * IFLA_INFO_DATA. It is the only thing that carp.ko and user space share.
 */
#ifndef _UAPI_LINUX_IF_CARP_H
#define _UAPI_LINUX_IF_CARP_H

#include <linux/types.h>

/* OpenBSD keys its HMAC with at most 19 bytes of the pass phrase. */
#define CARP_PASS_MAX		19

/* What a virtual host is doing (IFLA_CARP_STATE). */
enum carp_state {
	CARP_STATE_INIT,
	CARP_STATE_BACKUP,
	CARP_STATE_MASTER,
};

/* Attributes of IFLA_INFO_DATA. */
enum {
	IFLA_CARP_UNSPEC,
	/* u8, 1-255; 0 is refused. Absent in a dump: not configured yet. */
	IFLA_CARP_VHID,
	/*
	 * u32, ifindex of the parent; 0 detaches. IFLA_LINK means the same.
	 * In a dump it is found in IFLA_LINK as well.
	 */
	IFLA_CARP_CARPDEV,
	/* u8, seconds between advertisements, 0-254. */
	IFLA_CARP_ADVBASE,
	/* u8, 1/256 seconds added to the interval, 0-254. */
	IFLA_CARP_ADVSKEW,
	/*
	 * Binary, 0-19 bytes, not NUL-terminated: the pass phrase. Written,
	 * never dumped. An empty one removes it.
	 */
	IFLA_CARP_PASS,
	/* u8, enum carp_state. Setting it forces BACKUP or MASTER once. */
	IFLA_CARP_STATE,
	/*
	 * u32, dump only: the demotion that this interface's advertisements
	 * carry, the sum over its groups.
	 */
	IFLA_CARP_DEMOTE,
	/* Alignment of the 64-bit values in nests. */
	IFLA_CARP_PAD,
	/* Nest, dump only: the counters of carp(4), CARP_STATS_*. */
	IFLA_CARP_STATS,

	__IFLA_CARP_MAX,
};

#define IFLA_CARP_MAX	(__IFLA_CARP_MAX - 1)

/* Counters in IFLA_CARP_STATS, each a u64, in the order of carp(4). */
enum {
	CARP_STATS_UNSPEC,
	CARP_STATS_PAD,
	CARP_STATS_RX_IPV4,		/* advertisements received, IPv4 */
	CARP_STATS_RX_IPV6,		/* advertisements received, IPv6 */
	CARP_STATS_RX_BAD_INTERFACE,	/* on an interface without carp */
	CARP_STATS_RX_BAD_TTL,		/* TTL or hop limit not 255 */
	CARP_STATS_RX_SHORT,		/* shorter than the IP header says */
	CARP_STATS_RX_BAD_CHECKSUM,
	CARP_STATS_RX_BAD_VERSION,
	CARP_STATS_RX_BAD_LENGTH,	/* shorter than an advertisement */
	CARP_STATS_RX_BAD_AUTH,		/* digest differs, or our own echo */
	CARP_STATS_RX_BAD_VHID,		/* no such vhid here, or not running */
	CARP_STATS_RX_BAD_ADDRESS_LIST,
	CARP_STATS_TX_IPV4,
	CARP_STATS_TX_IPV6,
	CARP_STATS_TX_NO_MEMORY,
	CARP_STATS_TX_ERROR,
	CARP_STATS_TX_STATE_UPDATES,
	CARP_STATS_PREEMPT,		/* transitions to master */
	CARP_STATS_RX_ECHO,		/* own advertisements that came back */
	CARP_STATS_RX_NOT_ALLOWED,	/* net.inet.carp.allow was 0 */

	__CARP_STATS_MAX,
};

#define CARP_STATS_MAX	(__CARP_STATS_MAX - 1)

#endif /* _UAPI_LINUX_IF_CARP_H */
