// SPDX-License-Identifier: GPL-2.0
/* The counters of pfsync(4). */
#include "pfsync_plugin.h"

/* The names are an interface: scripts read them from ip -json. */
static const struct counter counters[] = {
	{ PFSYNC_STATS_IPACKETS,		"ipackets", true },
	{ PFSYNC_STATS_IPACKETS6,		"ipackets6", false },
	{ PFSYNC_STATS_SKIPPED,			"skipped", false },
	{ PFSYNC_STATS_BADIF,			"badif", true },
	{ PFSYNC_STATS_BADTTL,			"badttl", false },
	{ PFSYNC_STATS_HDROPS,			"hdrops", false },
	{ PFSYNC_STATS_BADVER,			"badver", false },
	{ PFSYNC_STATS_BADAUTH,			"badauth", false },
	{ PFSYNC_STATS_BADACT,			"badact", false },
	{ PFSYNC_STATS_BADLEN,			"badlen", false },
	{ PFSYNC_STATS_BADVAL,			"badval", false },
	{ PFSYNC_STATS_AUTH_GOOD,		"auth_good", true },
	{ PFSYNC_STATS_AUTH_MISSING,		"auth_missing", false },
	{ PFSYNC_STATS_AUTH_MALFORMED,		"auth_malformed", false },
	{ PFSYNC_STATS_AUTH_UNKNOWN_KEY,	"auth_unknown_key", false },
	{ PFSYNC_STATS_AUTH_STALE,		"auth_stale", true },
	{ PFSYNC_STATS_AUTH_REPLAYED,		"auth_replayed", false },
	{ PFSYNC_STATS_AUTH_BAD_HMAC,		"auth_bad_hmac", false },
	{ PFSYNC_STATS_STALE,			"stale", true },
	{ PFSYNC_STATS_BADSTATE,		"badstate", false },
	{ PFSYNC_STATS_CONFLICTS,		"conflicts", false },
	{ PFSYNC_STATS_FULL,			"full", false },
	{ PFSYNC_STATS_INSERTED,		"inserted", true },
	{ PFSYNC_STATS_UPDATED,			"updated", false },
	{ PFSYNC_STATS_DELETED,			"deleted", false },
	{ PFSYNC_STATS_ACKNOWLEDGED,		"acknowledged", false },
	{ PFSYNC_STATS_REQUESTED,		"requested", false },
	{ PFSYNC_STATS_OPACKETS,		"opackets", true },
	{ PFSYNC_STATS_OPACKETS6,		"opackets6", false },
	{ PFSYNC_STATS_ONOMEM,			"onomem", false },
	{ PFSYNC_STATS_OERRORS,			"oerrors", false },
	{ PFSYNC_STATS_SENT_INSERTS,		"sent_inserts", true },
	{ PFSYNC_STATS_SENT_UPDATES,		"sent_updates", false },
	{ PFSYNC_STATS_SENT_COMPRESSED,		"sent_compressed", false },
	{ PFSYNC_STATS_SENT_DELETES,		"sent_deletes", false },
	{ PFSYNC_STATS_SENT_ACKS,		"sent_acks", false },
	{ PFSYNC_STATS_SENT_REQUESTS,		"sent_requests", false },
	{ PFSYNC_STATS_REPEATED,		"repeated", true },
	{ PFSYNC_STATS_UNANSWERED,		"unanswered", false },
	{ PFSYNC_STATS_DEFERRED,		"deferred", false },
	{ PFSYNC_STATS_UNDEFERRED,		"undeferred", false },
	{ PFSYNC_STATS_BULK_ASKED,		"bulk_asked", true },
	{ PFSYNC_STATS_BULK_ANSWERED,		"bulk_answered", false },
	{ PFSYNC_STATS_BULK_RECEIVED,		"bulk_received", false },
};

_Static_assert(ARRAY_SIZE(counters) == PFSYNC_STATS_MAX - PFSYNC_STATS_PAD,
	       "a counter of if_pfsync.h has no name here");
_Static_assert(PFSYNC_STATS_MAX <= COUNTERS_MAX, "COUNTERS_MAX is too small");

void print_stats(const struct rtattr *nest)
{
	print_counters(nest, counters, ARRAY_SIZE(counters));
}
