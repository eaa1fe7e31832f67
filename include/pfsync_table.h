/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A state table, as pfsync sees it: what an adapter module offers to carp.ko.
 *
 * The protocol knows no table, the table no protocol; this is all that they
 * have in common. An adapter exports one constant of type
 * struct pfsync_table_ops, named pfsync_table_NAME, with EXPORT_SYMBOL_GPL, and
 * has the module alias "pfsync-table-NAME". carp.ko asks for the module when an
 * interface is made, and finds the constant by its name (__symbol_get). That
 * pins the adapter while an interface uses it, and never carp.ko.
 *
 * All numbers are in host order, unless they are bytes of the wire.
 */
#ifndef _PFSYNC_TABLE_H
#define _PFSYNC_TABLE_H

#include <linux/types.h>

struct net;

/* Grows with every change of this file. */
#define PFSYNC_TABLE_VERSION	8

/* One direction: from where to where. */
struct pfsync_tuple {
	/* An IPv4 address is in the first four bytes, zeroes follow. */
	u8	source[16];
	u8	destination[16];
	/*
	 * Ports. ICMP: the id, which is first in both directions, and type
	 * (upper byte) with code. GRE: the keys.
	 */
	u16	ids[2];
};

/* struct ip_ct_tcp_state */
struct pfsync_tcp_side {
	u32	end;
	u32	maxend;
	u32	maxwin;
	u32	maxack;
	u8	scale;
	u8	flags;
};

/* The last packet of a TCP connection, in struct ip_ct_tcp. */
struct pfsync_tcp_last {
	u32	seq;
	u32	ack;
	u32	end;
	u16	win;
	u8	direction;
	u8	retrans;
	u8	index;
	u8	wscale;
	u8	flags;
};

/* struct nf_ct_seqadj */
struct pfsync_seqadj {
	u32	position;
	s32	before;
	s32	after;
};

/* Everything that is known of an entry, without a pointer. */
struct pfsync_plain {
	struct pfsync_tuple	original;
	struct pfsync_tuple	reply;
	/* AF_INET or AF_INET6, of all four addresses. */
	u8			family;
	u8			protocol;
	/* IP_CT_ZONE_DIR_...: 1 original, 2 reply, 3 both. */
	u8			zone_directions;
	u16			zone;
	/* enum ip_conntrack_status */
	u32			status;
	u32			mark;
	/* Seconds until it expires, and since it was made. */
	u32			timeout;
	u32			age;
	/* Nanoseconds since 1970; 0: not known. */
	u64			start;
	/* Of the initiator, of the other side; 0 without accounting. */
	u64			packets[2];
	u64			bytes[2];
	u8			labels[16];
	/* A name, filled up with zeroes; all zeroes: none. */
	u8			helper[16];
	struct pfsync_seqadj	adjust[2];
	/* What packets had made of TCP or SCTP when it was read; see update(). */
	u64			stamp;
	/* The connection that expected this one, or NULL; not counted. */
	void			*master;
	struct {
		u8	present;
		u32	isn;
		u32	its;
		u32	tsoff;
	} synproxy;
	/* As far as `protocol` says so. */
	struct {
		/* enum tcp_conntrack */
		u8			state;
		struct pfsync_tcp_side	seen[2];
		struct pfsync_tcp_last	last;
	} tcp;
	struct {
		u8	state;
		u8	vtag[2][4];
		u8	init[2];
		u8	last_direction;
		u8	flags;
	} sctp;
	/* Seconds. */
	struct {
		u32	timeout;
		u32	stream_timeout;
	} gre;
};

/* A connection that is expected by another one, its master. */
struct pfsync_expected {
	/* Tells it from others of the same master, while it is there. */
	u32	number;
	u8	family;
	u8	protocol;
	u8	source[16];
	u8	destination[16];
	u8	mask_source[16];
	u16	ids[2];
	u16	mask_id;
	/* NAT: address and port before translation; all zeroes: none. */
	u8	nat_address[16];
	u16	nat_id;
	u8	nat_direction;
	/* Seconds until it expires. */
	u32	timeout;
	u32	flags;
	u32	class;
	u8	helper[16];
	u8	assign_helper[16];
	u8	function[32];
};

/*
 * A packet that is held back. The adapter embeds it in what it keeps; while the
 * packet is held, the field belongs to the holder.
 */
struct pfsync_held {
	struct pfsync_held	*next;
};

/* Where a walk is; all zeroes at its beginning. */
struct pfsync_cursor {
	u64	position[2];
};

/*
 * What an adapter tells. Called with softirqs off and RCU held, on any number of
 * processors at once; no lock of the table is held. An entry is the pointer by
 * which the table knows it, of use to who has none of its counts only until the
 * function returns.
 */
struct pfsync_table_events {
	/*
	 * There is a new entry, of this host's own. `held`, if not NULL, is its
	 * first packet. Returns whether the packet is held: then it belongs to
	 * the receiver until it calls release().
	 */
	bool (*created)(void *context, void *entry, struct pfsync_held *held);
	/*
	 * A packet of a known entry has passed, and may have changed it. Returns
	 * whether the entry is lenient about windows, for what a peer told of
	 * them may be too old: then the table learns them from the packet, if it
	 * can be one of the connection; else it drops the packet.
	 */
	bool (*passed)(void *context, void *entry);
};

/* What an adapter does. Any context but hard interrupts, unless said otherwise. */
struct pfsync_table_ops {
	u32 version;

	/*
	 * Begins to tell of the entries of a namespace. Process context, RTNL is
	 * held. Returns what the functions below call `table`, or an ERR_PTR.
	 * Entries that are there already are not told of: walk() finds them.
	 */
	void *(*attach)(struct net *net, const struct pfsync_table_events *events,
			void *context);
	/*
	 * Ends it. Process context, RTNL is held. No function of `events` runs any
	 * more when it returns. Packets that are held are released, and counts of
	 * entries given back, after that: release() and put() want no table.
	 */
	void (*detach)(void *table);

	/* Whether first packets are offered to be held; not at first. */
	void (*set_defer)(void *table, bool on);

	/*
	 * Whether entries are told of, and found by walk(), that have this host itself at
	 * one of their ends; not at first.
	 */
	void (*set_local)(void *table, bool on);

	/* How many entries there may be, and how many there are. */
	u32 (*limit)(void *table);
	u32 (*count)(void *table);

	/*
	 * Calls `each` with entries from the cursor on, each under RCU, until
	 * about `most` were looked at, also those of other namespaces. Returns
	 * whether there may be more. An entry that is there all the time is met
	 * once at least, even if the table is resized meanwhile.
	 */
	bool (*walk)(void *table, struct pfsync_cursor *cursor, u32 most,
		     void (*each)(void *context, void *entry), void *context);

	/* Counts of an entry: while there is one, its memory stays. */
	void (*hold)(void *entry);
	void (*put)(void *entry);

	/*
	 * In how many seconds it goes from the table, unless packets renew it: rounded
	 * up, and 0 if it is not there any more.
	 */
	u32 (*expires_in)(const void *entry);

	/*
	 * 0, if it is not; else a number that is another one when somebody has
	 * changed the mark, the labels or the status, with a packet or without.
	 * Asked often.
	 */
	u32 (*fingerprint)(const void *entry);

	/* Whether packets of it pass that are not told of. */
	bool (*is_offloaded)(const void *entry);

	/*
	 * Whether one that is there no more went because this host has lost the
	 * address that it was translated to: who has that now goes on with it.
	 */
	bool (*lost_address)(const void *entry);

	/* What is known of it: all of *plain is written. */
	void (*read)(void *entry, struct pfsync_plain *plain);

	/*
	 * The entry with this original tuple or, if `by_reply`, with this reply
	 * tuple, in its zone; counted.
	 */
	void *(*find)(void *table, const struct pfsync_plain *plain, bool by_reply);

	/*
	 * Makes an entry; `*entry` is counted. -EEXIST: one of the tuples is taken.
	 * -ENOSPC: the table is full. Not told as created.
	 */
	int (*insert)(void *table, const struct pfsync_plain *plain, void **entry);

	/*
	 * Changes what may change in an entry: all but tuples, zone, NAT, counters
	 * and master. -EAGAIN: a packet has passed since `stamp` was read; 0 stands
	 * for whatever there is.
	 */
	int (*update)(void *table, void *entry, const struct pfsync_plain *plain);

	/*
	 * An entry that update() or insert() has made lenient about windows, is so
	 * no more.
	 */
	void (*be_strict)(void *table, void *entry);

	/* Takes an entry out of the table. */
	void (*remove)(void *table, void *entry);

	/*
	 * Sends a packet on that was held. No lock may be held that a receiver
	 * takes.
	 */
	void (*release)(struct pfsync_held *held);

	/* The expected connection number `place` of an entry. false: no more. */
	bool (*expected)(void *entry, u32 place, struct pfsync_expected *expected);
	/* Has `entry` expect a connection; not told by anybody twice. */
	int (*expect)(void *table, void *entry, const struct pfsync_expected *expected);
	/* Has it expect none like that any more. */
	void (*unexpect)(void *table, void *entry,
			 const struct pfsync_expected *expected);
};

#endif /* _PFSYNC_TABLE_H */
