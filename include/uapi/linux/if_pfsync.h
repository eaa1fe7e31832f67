/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The rtnetlink attributes of interfaces of the kind "pfsync": what stands in
 * IFLA_INFO_DATA. OpenBSD's pfsync(4) explains what the words mean.
 */
#ifndef _UAPI_LINUX_IF_PFSYNC_H
#define _UAPI_LINUX_IF_PFSYNC_H

/* How far an interface is with getting all states of its peers. */
enum pfsync_bulk {
	/* The interface is down. */
	PFSYNC_BULK_DOWN,
	/* Waits for its syncdev to have link. */
	PFSYNC_BULK_NO_LINK,
	/* Has asked, nobody has answered yet. */
	PFSYNC_BULK_ASKING,
	/* States are coming in. */
	PFSYNC_BULK_RECEIVING,
	/* Over: all are here, or there was nobody who has them. */
	PFSYNC_BULK_DONE,
};

enum {
	IFLA_PFSYNC_UNSPEC,
	/* u32: index of the syncdev, 0 for none */
	IFLA_PFSYNC_SYNCDEV,
	/* 4 or 16 bytes: address of the peer; empty: 224.0.0.240 */
	IFLA_PFSYNC_SYNCPEER,
	/* u8: updates of a TCP state until that is sent at once, 1 to 255 */
	IFLA_PFSYNC_MAXUPD,
	/* u8: 0 or 1: hold first packets until a peer has the state */
	IFLA_PFSYNC_DEFER,
	/* u32: states with this mark, as far as the mask goes, stay here ... */
	IFLA_PFSYNC_NOSYNC_MARK,
	/* u32: ... and this is the mask; 0: no mark keeps a state here */
	IFLA_PFSYNC_NOSYNC_MASK,
	/* u16: states of this conntrack zone stay here; 0: of none */
	IFLA_PFSYNC_NOSYNC_ZONE,
	/* string: the state table, "conntrack" unless given at creation */
	IFLA_PFSYNC_TABLE,
	/* Read only from here on. u8: enum pfsync_bulk */
	IFLA_PFSYNC_BULK,
	/* u32: by how much it demotes its groups */
	IFLA_PFSYNC_DEMOTE,
	/* u32: states that it knows of */
	IFLA_PFSYNC_STATES,
	/* u32: states of which something is still to be said */
	IFLA_PFSYNC_QUEUED,
	/* u32: states that no peer has confirmed yet */
	IFLA_PFSYNC_UNCONFIRMED,
	/* nest: counters, PFSYNC_STATS_* */
	IFLA_PFSYNC_STATS,
	/* To be set as well. u8: seconds to wait for a first peer when there is link */
	IFLA_PFSYNC_BULKWAIT,
	/* u8: 0 or 1: tell also of connections that begin or end at this host itself */
	IFLA_PFSYNC_LOCAL,
	/* u8: 0 or 1: tell of TCP connections only when they are established */
	IFLA_PFSYNC_ESTABLISHED,
	/*
	 * Authentication of whole frames, as IFLA_CARP_AUTH and those after it are of
	 * advertisements: the values and the elements are if_carp.h's.
	 */
	/* u8, enum carp_auth */
	IFLA_PFSYNC_AUTH,
	/* nest of CARP_AUTH_KEY: keys to add, or to replace; in a dump without what is secret */
	IFLA_PFSYNC_AUTH_KEYS,
	/* u8: the id of a key to remove */
	IFLA_PFSYNC_AUTH_KEY_REMOVE,
	/* u8: the id of the key that signs; 0: none */
	IFLA_PFSYNC_AUTH_ACTIVE,
	/*
	 * u32, 1 to 300: by how many seconds a sender's clock and ours may differ;
	 * 0: 5, the default. In a dump: what is in force
	 */
	IFLA_PFSYNC_AUTH_WINDOW,
	/* u8: 0 or 1: no clocks are compared; a sender's numbers must grow */
	IFLA_PFSYNC_AUTH_MONOTONIC,
	__IFLA_PFSYNC_MAX,
};
#define IFLA_PFSYNC_MAX (__IFLA_PFSYNC_MAX - 1)

/* u64 each. The first ones are pfsync(4)'s. */
enum {
	PFSYNC_STATS_UNSPEC,
	PFSYNC_STATS_PAD,
	/* frames received, by IP version */
	PFSYNC_STATS_IPACKETS,
	PFSYNC_STATS_IPACKETS6,
	/* frames dropped: not from the syncdev */
	PFSYNC_STATS_BADIF,
	/* TTL not 255 */
	PFSYNC_STATS_BADTTL,
	/* shorter than a header */
	PFSYNC_STATS_HDROPS,
	/* another version */
	PFSYNC_STATS_BADVER,
	/* authentication failed: not from the syncpeer, or dropped for one of PFSYNC_STATS_AUTH_* */
	PFSYNC_STATS_BADAUTH,
	/* a section of an unknown action that is empty */
	PFSYNC_STATS_BADACT,
	/* a length that exceeds what is there */
	PFSYNC_STATS_BADLEN,
	/* messages with a value out of range */
	PFSYNC_STATS_BADVAL,
	/* updates that were behind what this host knows */
	PFSYNC_STATS_STALE,
	/* messages of states that cannot be taken over, are not there, or expect what they cannot */
	PFSYNC_STATS_BADSTATE,
	/* sections skipped: unused, unknown to this version, or too short */
	PFSYNC_STATS_SKIPPED,
	/* frames sent, by IP version */
	PFSYNC_STATS_OPACKETS,
	PFSYNC_STATS_OPACKETS6,
	/* no memory for a frame, a state, an event */
	PFSYNC_STATS_ONOMEM,
	/* frames that could not be sent */
	PFSYNC_STATS_OERRORS,
	/* messages received: what was done with states */
	PFSYNC_STATS_INSERTED,
	PFSYNC_STATS_UPDATED,
	PFSYNC_STATS_DELETED,
	PFSYNC_STATS_ACKNOWLEDGED,
	PFSYNC_STATS_REQUESTED,
	/* states and expectations that did not fit into the table */
	PFSYNC_STATS_FULL,
	/* messages sent */
	PFSYNC_STATS_SENT_INSERTS,
	PFSYNC_STATS_SENT_UPDATES,
	PFSYNC_STATS_SENT_COMPRESSED,
	PFSYNC_STATS_SENT_DELETES,
	PFSYNC_STATS_SENT_ACKS,
	PFSYNC_STATS_SENT_REQUESTS,
	/* of those, sent again for want of a confirmation */
	PFSYNC_STATS_REPEATED,
	/* sent so often that nobody is there */
	PFSYNC_STATS_UNANSWERED,
	/* first packets held, and of those let go without a confirmation */
	PFSYNC_STATS_DEFERRED,
	PFSYNC_STATS_UNDEFERRED,
	/* bulk updates asked for, sent, received to their end */
	PFSYNC_STATS_BULK_ASKED,
	PFSYNC_STATS_BULK_ANSWERED,
	PFSYNC_STATS_BULK_RECEIVED,
	/* states of peers that this host has translated differently, or whose place is taken */
	PFSYNC_STATS_CONFLICTS,
	/* frames that were examined, whether they were believed or not: authentic ones ... */
	PFSYNC_STATS_AUTH_GOOD,
	/* ... those without what authenticates them ... */
	PFSYNC_STATS_AUTH_MISSING,
	PFSYNC_STATS_AUTH_MALFORMED,
	PFSYNC_STATS_AUTH_UNKNOWN_KEY,
	/* ... too old, or clocks differ ... */
	PFSYNC_STATS_AUTH_STALE,
	/* ... received before ... */
	PFSYNC_STATS_AUTH_REPLAYED,
	PFSYNC_STATS_AUTH_BAD_HMAC,
	__PFSYNC_STATS_MAX,
};
#define PFSYNC_STATS_MAX (__PFSYNC_STATS_MAX - 1)

#endif /* _UAPI_LINUX_IF_PFSYNC_H */
