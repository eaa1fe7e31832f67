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

/* The most virtual hosts in one interface. */
#define CARP_NODES_MAX		32

/* The most unicast peers of an interface in each family. */
#define CARP_PEERS_MAX		16

/* The most addresses that IFLA_CARP_ADDRESSES shows. */
#define CARP_ADDRESSES_SHOWN	16

/* A group's name is an interface's without a digit at its end. */
#define CARP_GROUP_NAME_MAX	15

/* How the virtual hosts of an interface share traffic (IFLA_CARP_BALANCING). */
enum carp_balancing {
	CARP_BALANCING_NONE,
	CARP_BALANCING_ARP,
	CARP_BALANCING_IP,
	CARP_BALANCING_IP_STEALTH,
	CARP_BALANCING_IP_UNICAST,
};

/* How far authentication of whole packets is rolled out (IFLA_CARP_AUTH). */
enum carp_auth {
	CARP_AUTH_OFF,
	CARP_AUTH_RECEIVE,	/* sends nothing, counts what comes */
	CARP_AUTH_PERMISSIVE,	/* sends; believes what has no trailer */
	CARP_AUTH_ENFORCE,	/* believes what is authentic, nothing else */
};

/* Lengths of a key in bytes, and how many an interface has at most. */
#define CARP_AUTH_KEY_MIN	32
#define CARP_AUTH_KEY_MAX	64
#define CARP_AUTH_KEYS_MAX	8

/* The longest window in seconds. */
#define CARP_AUTH_WINDOW_MAX	300

/* Attributes of IFLA_INFO_DATA. */
enum {
	IFLA_CARP_UNSPEC,
	/*
	 * u8, 1-255; 0 is refused. Setting it makes this the only virtual host,
	 * with the advskew that the first one had. In a dump: the lowest of
	 * IFLA_CARP_CARPNODES; absent: not configured yet.
	 */
	IFLA_CARP_VHID,
	/*
	 * u32, ifindex of the parent; 0 detaches. IFLA_LINK means the same.
	 * In a dump it is found in IFLA_LINK as well.
	 */
	IFLA_CARP_CARPDEV,
	/* u8, seconds between advertisements, 0-254. */
	IFLA_CARP_ADVBASE,
	/*
	 * u8, 1/256 seconds added to the interval, 0-254; of several virtual
	 * hosts that of the lowest vhid.
	 */
	IFLA_CARP_ADVSKEW,
	/*
	 * Binary, 0-19 bytes, not NUL-terminated: the pass phrase. Written,
	 * never dumped. An empty one removes it.
	 */
	IFLA_CARP_PASS,
	/*
	 * u8, enum carp_state. Setting it forces all virtual hosts to BACKUP or
	 * MASTER once. In a dump: the highest that one of them has.
	 */
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
	/*
	 * Nest of CARP_NODE: the virtual hosts. Setting it replaces all of them;
	 * not together with IFLA_CARP_VHID.
	 */
	IFLA_CARP_CARPNODES,
	/* u8, enum carp_balancing. In a dump: what is in force. */
	IFLA_CARP_BALANCING,
	/*
	 * Nest of CARP_PEER: to whom advertisements go instead of to the
	 * multicast group. Setting it replaces all; an empty one goes back to
	 * the group.
	 */
	IFLA_CARP_CARPPEERS,
	/* u8, 1-255: the least TTL of a unicast advertisement; 255: on link. */
	IFLA_CARP_MINTTL,
	/* Nest of CARP_GROUP, dump only: the groups, in order of joining. */
	IFLA_CARP_GROUPS,
	/* String, 1-15 bytes: a group to join. */
	IFLA_CARP_GROUP_JOIN,
	/* String: a group to leave. */
	IFLA_CARP_GROUP_LEAVE,
	/*
	 * u8, 0 or 1: advertise the digest over the link-local addresses, too,
	 * as FreeBSD does. Both are accepted.
	 */
	IFLA_CARP_LINKLOCAL,
	/*
	 * u8, 0 or 1 (default): while demoted advertise an advskew of at least
	 * 240, for FreeBSD and ucarp, which do not read the demotion.
	 */
	IFLA_CARP_DEMOTESKEW,
	/*
	 * u32, dump only: milliseconds since the last advertisement for one of
	 * our vhids whose digest was wrong. Absent: none lately.
	 */
	IFLA_CARP_DIGEST_DIFFERS,
	/*
	 * Nest of CARP_ADDRESS, dump only: the addresses that the digest covers,
	 * in its order; the first CARP_ADDRESSES_SHOWN of them. All of them:
	 * CARP_CMD_ADDRESS_GET of the generic netlink family.
	 */
	IFLA_CARP_ADDRESSES,
	/*
	 * s32, dump only: the id of the network namespace in which
	 * IFLA_CARP_CARPDEV counts. Absent: that of the interface.
	 */
	IFLA_CARP_CARPDEV_NETNSID,
	/*
	 * u8: the master announces all addresses again every so many seconds,
	 * 1-255; 0 (default): only when it becomes master, and when they change.
	 */
	IFLA_CARP_ANNOUNCE,
	/*
	 * String, dump only: the name of a parent that went away. A device of
	 * this name becomes the parent again. Then there is no
	 * IFLA_CARP_CARPDEV, and IFLA_CARP_CARPDEV_NETNSID says where it was.
	 */
	IFLA_CARP_CARPDEV_GONE,
	/* u32, dump only: how many addresses the digest covers. */
	IFLA_CARP_ADDRESS_COUNT,
	/* u8, enum carp_auth. */
	IFLA_CARP_AUTH,
	/*
	 * Nest of CARP_AUTH_KEY: keys to add, or to replace. In a dump: which
	 * there are, without what is secret.
	 */
	IFLA_CARP_AUTH_KEYS,
	/* u8: the id of a key to remove. */
	IFLA_CARP_AUTH_KEY_REMOVE,
	/* u8: the id of the key that signs; 0: none. */
	IFLA_CARP_AUTH_ACTIVE,
	/*
	 * u32, 1-300: by how many seconds a sender's clock and ours may differ;
	 * 0 (default): 5, or three intervals if that is more. In a dump: what is
	 * in force.
	 */
	IFLA_CARP_AUTH_WINDOW,
	/*
	 * u8, 0 (default) or 1: no clocks are compared; a sender's numbers must
	 * grow.
	 */
	IFLA_CARP_AUTH_MONOTONIC,

	__IFLA_CARP_MAX,
};

#define IFLA_CARP_MAX	(__IFLA_CARP_MAX - 1)

/* Elements of nests. */
enum {
	CARP_ELEMENT_UNSPEC,
	CARP_NODE,		/* nest of CARP_NODE_* */
	CARP_PEER,		/* binary, 4 or 16 bytes in network order */
	CARP_GROUP,		/* string */
	CARP_ADDRESS,		/* binary, 4 or 16 bytes in network order */
	CARP_AUTH_KEY,		/* nest of CARP_AUTH_KEY_* */

	__CARP_ELEMENT_MAX,
};

#define CARP_ELEMENT_MAX	(__CARP_ELEMENT_MAX - 1)

/* A virtual host in IFLA_CARP_CARPNODES. */
enum {
	CARP_NODE_UNSPEC,
	CARP_NODE_VHID,		/* u8, 1-255 */
	CARP_NODE_ADVSKEW,	/* u8, 0-254, default 0 */
	CARP_NODE_STATE,	/* u8, enum carp_state, dump only */

	__CARP_NODE_MAX,
};

#define CARP_NODE_MAX	(__CARP_NODE_MAX - 1)

/* A key in IFLA_CARP_AUTH_KEYS. */
enum {
	CARP_AUTH_KEY_UNSPEC,
	CARP_AUTH_KEY_ID,	/* u8, 1-255, the same on all hosts */
	CARP_AUTH_KEY_SECRET,	/* binary, 32-64 bytes; written, never dumped */

	__CARP_AUTH_KEY_MAX,
};

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
	CARP_STATS_RX_AUTH_GOOD,	/* authentic */
	CARP_STATS_RX_AUTH_MISSING,	/* without trailer */
	CARP_STATS_RX_AUTH_MALFORMED,
	CARP_STATS_RX_AUTH_UNKNOWN_KEY,
	CARP_STATS_RX_AUTH_STALE,	/* too old, or clocks differ */
	CARP_STATS_RX_AUTH_REPLAYED,
	CARP_STATS_RX_AUTH_BAD_HMAC,

	__CARP_STATS_MAX,
};

#define CARP_STATS_MAX	(__CARP_STATS_MAX - 1)

#endif /* _UAPI_LINUX_IF_CARP_H */
