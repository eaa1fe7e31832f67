/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink family "carp": what happens to virtual hosts, groups and
 * their demotion, counters. docs/carp.yaml describes it in the kernel's format.
 */
#ifndef _UAPI_LINUX_CARP_H
#define _UAPI_LINUX_CARP_H

#define CARP_GENL_NAME		"carp"
#define CARP_GENL_VERSION	1

/* The multicast group of CARP_CMD_*_NTF. */
#define CARP_GENL_MCGRP_EVENTS	"events"

/* Operations and events, in the network namespace of the socket. */
enum {
	CARP_CMD_UNSPEC,
	/*
	 * Dump: one message for each virtual host: CARP_A_IFINDEX, IFNAME, VHID,
	 * STATE, ADVBASE, ADVSKEW, DEMOTE; of the parent CARPDEV and CARPDEV_NAME,
	 * and CARPDEV_NETNSID if it is in another network namespace; of one that
	 * has gone and is waited for there is no CARPDEV. DIGEST_DIFFERS, if an
	 * advertisement with another digest came in lately. With CARP_A_IFINDEX in
	 * the request: those of this interface.
	 */
	CARP_CMD_VHOST_GET,
	/*
	 * Do, with CARP_A_GROUP; dump: all groups. CARP_A_GROUP, DEMOTE, and one
	 * CARP_A_MEMBER for each interface in it.
	 */
	CARP_CMD_GROUP_GET,
	/* Do: CARP_A_GROUP, STEP: changes the cause "manual". Needs CAP_NET_ADMIN. */
	CARP_CMD_GROUP_DEMOTE,
	/*
	 * Do: CARP_A_STATS, the sum over the namespace: its interfaces, their
	 * parents, and what belongs to none. Dump: CARP_A_IFINDEX, IFNAME and STATS
	 * of each interface, as IFLA_CARP_STATS has them, but without those that
	 * are 0. With CARP_A_IFINDEX in the request: those of this interface.
	 */
	CARP_CMD_STATS_GET,
	/*
	 * Event: a virtual host changed its state: CARP_A_IFINDEX, IFNAME, VHID,
	 * OLD_STATE, STATE, REASON, DEMOTE.
	 */
	CARP_CMD_STATE_NTF,
	/*
	 * Event: a group's counter changed: CARP_A_GROUP, DEMOTE, STEP, CAUSE, and
	 * CARP_A_CAUSE_REASON if there is one.
	 */
	CARP_CMD_DEMOTE_NTF,
	/*
	 * Event: an interface has lost its parent, or has it again:
	 * CARP_A_IFINDEX, IFNAME, CARPDEV_NAME, and in the latter case CARPDEV.
	 */
	CARP_CMD_CARPDEV_NTF,
	/*
	 * Dump: the addresses that digests cover, in their order: CARP_A_IFINDEX,
	 * IFNAME, and one CARP_A_ADDRESS for each; an interface with many comes
	 * in several messages. With CARP_A_IFINDEX in the request: those of this
	 * interface.
	 */
	CARP_CMD_ADDRESS_GET,
	/*
	 * Dump: why groups are demoted, one message for each cause: CARP_A_GROUP,
	 * CAUSE, AMOUNT, AGE, FOR if it ends by itself, CAUSE_REASON if there is
	 * one; of an interface's own causes IFINDEX and IFNAME. With CARP_A_GROUP
	 * in the request: those of this group.
	 */
	CARP_CMD_CAUSE_GET,
	/*
	 * Do: CARP_A_GROUP, CAUSE, AMOUNT, and perhaps FOR and CAUSE_REASON: the
	 * group is demoted by this amount under this name, whatever it was before.
	 * Needs CAP_NET_ADMIN.
	 */
	CARP_CMD_CAUSE_SET,
	/* Do: CARP_A_GROUP, CAUSE: takes it back. Needs CAP_NET_ADMIN. */
	CARP_CMD_CAUSE_DEL,
	/*
	 * Dump: the last 64 changes of state of each interface, the oldest first:
	 * CARP_A_IFINDEX, IFNAME, VHID, OLD_STATE, STATE, REASON, DEMOTE, AGO. With
	 * CARP_A_IFINDEX in the request: those of this interface.
	 */
	CARP_CMD_HISTORY_GET,
	/*
	 * Dump: who else advertises the virtual hosts, one message for each sender
	 * of each: CARP_A_IFINDEX, IFNAME, VHID, ADDRESS, AGO; of the last
	 * advertisement ADVBASE, ADVSKEW, DEMOTE, DIGEST. With CARP_A_IFINDEX in
	 * the request: those of this interface.
	 */
	CARP_CMD_PEER_GET,
	/*
	 * Dump: how often virtual hosts have changed their state, one message for
	 * each: CARP_A_IFINDEX, IFNAME, VHID, and one nest CARP_A_TRANSITION for
	 * each new state and reason that there were. With CARP_A_IFINDEX in the
	 * request: those of this interface.
	 */
	CARP_CMD_TRANSITION_GET,

	__CARP_CMD_MAX,
};

#define CARP_CMD_MAX	(__CARP_CMD_MAX - 1)

/* Attributes. */
enum {
	CARP_A_UNSPEC,
	CARP_A_IFINDEX,		/* u32 */
	CARP_A_IFNAME,		/* string */
	CARP_A_VHID,		/* u8 */
	CARP_A_STATE,		/* u8, enum carp_state of if_carp.h */
	CARP_A_OLD_STATE,	/* u8, enum carp_state */
	CARP_A_REASON,		/* u8, enum carp_reason */
	CARP_A_ADVBASE,		/* u8, seconds */
	CARP_A_ADVSKEW,		/* u8, 1/256 seconds */
	CARP_A_DEMOTE,		/* u32: of an interface at most 255 */
	CARP_A_CARPDEV,		/* u32, ifindex of the parent */
	CARP_A_GROUP,		/* string */
	CARP_A_STEP,		/* s32, -128 to 128 */
	CARP_A_MEMBER,		/* u32, ifindex; several */
	CARP_A_CAUSE,		/* string, at most 31 bytes */
	CARP_A_STATS,		/* nest of CARP_STATS_* of if_carp.h */
	CARP_A_CARPDEV_NAME,	/* string, in the parent's network namespace */
	CARP_A_ADDRESS,		/* binary, 4 or 16 bytes in network order; several */
	CARP_A_AMOUNT,		/* u32, 1-255 of a cause that was set by name */
	CARP_A_AGE,		/* u32, seconds since it is so */
	CARP_A_FOR,		/* u32, seconds until it ends */
	CARP_A_CAUSE_REASON,	/* string, at most 127 bytes of UTF-8 */
	CARP_A_AGO,		/* u64, nanoseconds since it happened */
	CARP_A_PAD,
	CARP_A_DIGEST,		/* u8, enum carp_digest */
	CARP_A_TRANSITION,	/* nest of CARP_TRANSITION_*; several */
	CARP_A_CARPDEV_NETNSID,	/* s32, of the parent's network namespace */
	CARP_A_DIGEST_DIFFERS,	/* u32, milliseconds since a wrong digest came in */

	__CARP_A_MAX,
};

#define CARP_A_MAX	(__CARP_A_MAX - 1)

/* How often a virtual host has come into a state for a reason. */
enum {
	CARP_TRANSITION_UNSPEC,
	CARP_TRANSITION_STATE,	/* u8, enum carp_state */
	CARP_TRANSITION_REASON,	/* u8, enum carp_reason */
	CARP_TRANSITION_COUNT,	/* u32, begins anew when it is full */

	__CARP_TRANSITION_MAX,
};

#define CARP_TRANSITION_MAX	(__CARP_TRANSITION_MAX - 1)

/* Whether an advertisement is to be believed. */
enum carp_digest {
	CARP_DIGEST_GOOD,
	CARP_DIGEST_DIFFERS,		/* another passphrase, or other addresses */
};

/* Why a virtual host changed its state. */
enum carp_reason {
	CARP_REASON_STARTED,		/* all that it needs is there */
	CARP_REASON_STOPPED,		/* interface or parent is down */
	CARP_REASON_NO_ADDRESS,		/* the last address went */
	CARP_REASON_RECONFIGURED,	/* its vhid changed */
	CARP_REASON_MASTER_TIMED_OUT,	/* in IPv4 */
	CARP_REASON_MASTER_TIMED_OUT_IPV6,
	CARP_REASON_MASTER_BOWED_OUT,
	CARP_REASON_PREEMPTING,		/* a slower master */
	CARP_REASON_MASTER_DEMOTED,	/* further than we are */
	CARP_REASON_MASTER_TOO_SLOW,	/* to keep us quiet */
	CARP_REASON_BETTER_MASTER,	/* a faster one */
	CARP_REASON_EQUAL_MASTER,
	CARP_REASON_LESS_DEMOTED_MASTER,
	CARP_REASON_ADMINISTRATOR,	/* asked for it */
};

#endif /* _UAPI_LINUX_CARP_H */
