/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink family "pfsync": the states that the interface of a network
 * namespace knows of, and the peers that it has heard. docs/pfsync.yaml describes it
 * in the kernel's format.
 */
#ifndef _UAPI_LINUX_PFSYNC_H
#define _UAPI_LINUX_PFSYNC_H

#define PFSYNC_GENL_NAME	"pfsync"
#define PFSYNC_GENL_VERSION	1

/* Operations, in the network namespace of the socket. */
enum {
	PFSYNC_CMD_UNSPEC,
	/*
	 * Dump: one message for each connection: all of PFSYNC_A_*. Needs
	 * CAP_NET_ADMIN. The list is not of one moment: who comes or goes while it
	 * is read may be in it or not.
	 */
	PFSYNC_CMD_STATE_GET,
	/*
	 * Dump: one message for each peer that was heard since the interface went
	 * up: all of PFSYNC_PEER_*.
	 */
	PFSYNC_CMD_PEER_GET,

	__PFSYNC_CMD_MAX,
};

#define PFSYNC_CMD_MAX	(__PFSYNC_CMD_MAX - 1)

/* Attributes. */
enum {
	PFSYNC_A_UNSPEC,
	PFSYNC_A_ID,		/* binary, 8 bytes as on the wire */
	PFSYNC_A_CREATORID,	/* binary, 4 bytes as on the wire */
	PFSYNC_A_SECOND_ID,	/* the same of the second name, if there is one: for pf */
	PFSYNC_A_SECOND_CREATORID,
	PFSYNC_A_FLAGS,		/* u32, PFSYNC_STATE_* */
	PFSYNC_A_HEARD,		/* u32, seconds since a peer told of it, or it was found */
	PFSYNC_A_AGE,		/* u32, seconds since it began; at most since boot */
	PFSYNC_A_TIMEOUT,	/* u32, seconds until it expires */
	PFSYNC_A_PROTOCOL,	/* u8, IPPROTO_* */
	PFSYNC_A_ORIGINAL,	/* nest of PFSYNC_TUPLE_*: the first packet */
	PFSYNC_A_REPLY,		/* nest of PFSYNC_TUPLE_*: its answer */
	PFSYNC_A_MARK,		/* u32 */
	PFSYNC_A_ZONE,		/* u16 */

	__PFSYNC_A_MAX,
};

#define PFSYNC_A_MAX	(__PFSYNC_A_MAX - 1)

/* One direction of a connection. */
enum {
	PFSYNC_TUPLE_UNSPEC,
	PFSYNC_TUPLE_SOURCE,		/* binary, 4 or 16 bytes in network order */
	PFSYNC_TUPLE_DESTINATION,	/* likewise */
	PFSYNC_TUPLE_SOURCE_PORT,	/* u16 in host order; ICMP: the id */
	PFSYNC_TUPLE_DESTINATION_PORT,	/* u16; ICMP: type (upper byte) and code */

	__PFSYNC_TUPLE_MAX,
};

#define PFSYNC_TUPLE_MAX	(__PFSYNC_TUPLE_MAX - 1)

/* A peer. */
enum {
	PFSYNC_PEER_UNSPEC,
	PFSYNC_PEER_ADDRESS,	/* binary, 4 or 16 bytes; absent: the many beyond the eighth */
	PFSYNC_PEER_SYSTEM,	/* u8, enum pfsync_system */
	PFSYNC_PEER_HEARD,	/* u64, milliseconds since its last frame */
	PFSYNC_PEER_FRAMES,	/* u64, frames that came from it */
	PFSYNC_PEER_BEHIND,	/* u32, frames with states sent after the last one that it has
				 * confirmed; absent: it confirms states one by one, or none,
				 * or frames have no numbers
				 */
	PFSYNC_PEER_PAD,

	__PFSYNC_PEER_MAX,
};

#define PFSYNC_PEER_MAX	(__PFSYNC_PEER_MAX - 1)

/* PFSYNC_PEER_SYSTEM: what it has shown to be. */
enum pfsync_system {
	PFSYNC_SYSTEM_UNKNOWN,
	PFSYNC_SYSTEM_LINUX,
	PFSYNC_SYSTEM_PF,
};

/* PFSYNC_A_FLAGS, as bits. */
enum pfsync_state {
	PFSYNC_STATE_OWN,	/* this host saw its last packet, or found it, after all peers */
	PFSYNC_STATE_CREATED,	/* this host has given it its name */
	PFSYNC_STATE_QUEUED,	/* something is to be told of it */
	PFSYNC_STATE_UNCONFIRMED, /* it was told, and is not confirmed yet */
	PFSYNC_STATE_HELD,	/* its first packet is held back */
	PFSYNC_STATE_LENIENT,	/* windows are learned from its packets */
};

#endif /* _UAPI_LINUX_PFSYNC_H */
