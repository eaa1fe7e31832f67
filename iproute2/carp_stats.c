// SPDX-License-Identifier: GPL-2.0
/* The counters of carp(4). */
#include "carp_plugin.h"

/* The names are an interface: scripts read them from ip -json. */
static const struct counter counters[] = {
	{ CARP_STATS_RX_IPV4,			"rx_ipv4", true },
	{ CARP_STATS_RX_IPV6,			"rx_ipv6", false },
	{ CARP_STATS_RX_ECHO,			"rx_echo", false },
	{ CARP_STATS_RX_NOT_ALLOWED,		"rx_not_allowed", false },
	{ CARP_STATS_RX_BAD_INTERFACE,		"rx_bad_interface", true },
	{ CARP_STATS_RX_BAD_TTL,		"rx_bad_ttl", false },
	{ CARP_STATS_RX_SHORT,			"rx_short", false },
	{ CARP_STATS_RX_BAD_CHECKSUM,		"rx_bad_checksum", false },
	{ CARP_STATS_RX_BAD_VERSION,		"rx_bad_version", true },
	{ CARP_STATS_RX_BAD_LENGTH,		"rx_bad_length", false },
	{ CARP_STATS_RX_BAD_AUTH,		"rx_bad_auth", false },
	{ CARP_STATS_RX_BAD_VHID,		"rx_bad_vhid", false },
	{ CARP_STATS_RX_BAD_ADDRESS_LIST,	"rx_bad_address_list", false },
	{ CARP_STATS_RX_AUTH_GOOD,		"rx_auth_good", true },
	{ CARP_STATS_RX_AUTH_MISSING,		"rx_auth_missing", false },
	{ CARP_STATS_RX_AUTH_MALFORMED,		"rx_auth_malformed", false },
	{ CARP_STATS_RX_AUTH_UNKNOWN_KEY,	"rx_auth_unknown_key", false },
	{ CARP_STATS_RX_AUTH_STALE,		"rx_auth_stale", true },
	{ CARP_STATS_RX_AUTH_REPLAYED,		"rx_auth_replayed", false },
	{ CARP_STATS_RX_AUTH_BAD_HMAC,		"rx_auth_bad_hmac", false },
	{ CARP_STATS_TX_IPV4,			"tx_ipv4", true },
	{ CARP_STATS_TX_IPV6,			"tx_ipv6", false },
	{ CARP_STATS_TX_NO_MEMORY,		"tx_no_memory", false },
	{ CARP_STATS_TX_ERROR,			"tx_error", false },
	{ CARP_STATS_TX_STATE_UPDATES,		"tx_state_updates", false },
	{ CARP_STATS_PREEMPT,			"preempt", true },
};

_Static_assert(ARRAY_SIZE(counters) == CARP_STATS_MAX - CARP_STATS_PAD,
	       "a counter of if_carp.h has no name here");
_Static_assert(CARP_STATS_MAX <= COUNTERS_MAX, "COUNTERS_MAX is too small");

void print_stats(const struct rtattr *nest)
{
	print_counters(nest, counters, ARRAY_SIZE(counters));
}
