// SPDX-License-Identifier: GPL-2.0
/* From attributes to words: text for people, JSON for programs. */
#include "carp_plugin.h"

/* The least authwindow by default, in seconds. */
#define WINDOW_DEFAULT	5

static void print_state(const struct rtattr *rta)
{
	const __u8 *state = payload(rta, sizeof(*state));
	char number[4];

	if (!state)
		return;
	if (*state < ARRAY_SIZE(carp_states)) {
		print_string(PRINT_JSON, "state", NULL, carp_states[*state].lower);
		print_string(PRINT_FP, NULL, "state %s ", carp_states[*state].upper);
	} else {
		snprintf(number, sizeof(number), "%u", *state);
		print_string(PRINT_ANY, "state", "state %s ", number);
	}
}

static void print_balancing(const struct rtattr *rta)
{
	const __u8 *value = payload(rta, sizeof(*value));
	char number[4];
	const char *name;

	if (!value)
		return;
	snprintf(number, sizeof(number), "%u", *value);
	name = *value < ARRAY_SIZE(carp_balancings) ? carp_balancings[*value] : number;
	print_string(PRINT_JSON, "balancing", NULL, name);
	if (*value != CARP_BALANCING_NONE)
		print_string(PRINT_FP, NULL, "balancing %s ", name);
}

static void print_carpdev(struct rtattr *tb[])
{
	const __u32 *ifindex = payload(tb[IFLA_CARP_CARPDEV], sizeof(*ifindex));
	const __s32 *nsid = payload(tb[IFLA_CARP_CARPDEV_NETNSID], sizeof(*nsid));
	const struct rtattr *gone = tb[IFLA_CARP_CARPDEV_GONE];
	char number[16], name[16];

	if (gone) {
		snprintf(name, sizeof(name), "%.*s", (int)RTA_PAYLOAD(gone),
			 (const char *)RTA_DATA(gone));
		print_string(PRINT_ANY, "carpdev", "carpdev %s ", name);
		if (nsid)
			print_int(PRINT_ANY, "carpdev_netnsid", "carpdev-netnsid %d ",
				  *nsid);
		print_bool(PRINT_JSON, "carpdev_gone", NULL, true);
		print_string(PRINT_FP, NULL, "%s ", "(gone)");
		return;
	}
	if (!ifindex || !*ifindex)
		return;
	if (!nsid) {
		print_string(PRINT_ANY, "carpdev", "carpdev %s ",
			     ll_index_to_name(*ifindex));
		return;
	}
	/* Here the index may be another's, or nobody's. */
	snprintf(number, sizeof(number), "if%u", *ifindex);
	print_string(PRINT_ANY, "carpdev", "carpdev %s ", number);
	print_int(PRINT_ANY, "carpdev_netnsid", "carpdev-netnsid %d ", *nsid);
}

static int count_nodes(const struct rtattr *nest)
{
	struct rtattr *rta;
	int count = 0;

	for_each_element(rta, nest, CARP_NODE)
		count++;
	return count;
}

/* In text a line for each, where there are several. */
static void print_nodes(const struct rtattr *nest, bool several)
{
	struct rtattr *tb[CARP_NODE_MAX + 1];
	struct rtattr *rta;

	if (!nest)
		return;
	open_json_array(PRINT_JSON, "carpnodes");
	for_each_element(rta, nest, CARP_NODE) {
		if (!is_json_context() && !several)
			break;
		parse_rtattr(tb, CARP_NODE_MAX, RTA_DATA(rta), RTA_PAYLOAD(rta));
		if (several) {
			print_nl();
			print_string(PRINT_FP, NULL, "%s", "      ");
		}
		open_json_object(NULL);
		print_state(tb[CARP_NODE_STATE]);
		print_u8("vhid", "vhid %u ", tb[CARP_NODE_VHID]);
		print_u8("advskew", "advskew %u ", tb[CARP_NODE_ADVSKEW]);
		close_json_object();
	}
	close_json_array(PRINT_JSON, NULL);
}

static void print_groups(const struct rtattr *nest)
{
	struct rtattr *rta;
	char name[CARP_GROUP_NAME_MAX + 1];
	const char *before = "groups ";

	if (!nest)
		return;
	open_json_array(PRINT_JSON, "groups");
	for_each_element(rta, nest, CARP_GROUP) {
		snprintf(name, sizeof(name), "%.*s", (int)RTA_PAYLOAD(rta),
			 (const char *)RTA_DATA(rta));
		print_string(PRINT_FP, NULL, "%s", before);
		print_string(PRINT_ANY, NULL, "%s", name);
		before = ",";
	}
	close_json_array(PRINT_JSON, NULL);
	if (*before == ',')
		print_string(PRINT_FP, NULL, "%s", " ");
}

/* Addresses of an element's kind; @before goes before the first one in text. */
static void print_addresses(const char *key, const struct rtattr *nest, int kind,
			    enum output_type t, const char *before)
{
	struct rtattr *rta;
	char text[INET6_ADDRSTRLEN];

	if (!nest)
		return;
	open_json_array(PRINT_JSON, key);
	for_each_element(rta, nest, kind) {
		if (!address_text(rta, text))
			continue;
		if (t != PRINT_JSON)
			print_string(PRINT_FP, NULL, "%s", before);
		print_string(t, NULL, "%s", text);
		before = ",";
	}
	close_json_array(PRINT_JSON, NULL);
	if (t != PRINT_JSON && *before == ',')
		print_string(PRINT_FP, NULL, "%s", " ");
}

/* How many addresses there are beside those that a message about a link shows. */
static unsigned int addresses_left_out(struct rtattr *tb[])
{
	const __u32 *count = payload(tb[IFLA_CARP_ADDRESS_COUNT], sizeof(*count));
	const struct rtattr *nest = tb[IFLA_CARP_ADDRESSES];
	unsigned int shown = 0;
	struct rtattr *rta;

	if (!count || !nest)
		return 0;
	for_each_element(rta, nest, CARP_ADDRESS)
		shown++;
	return *count > shown ? *count - shown : 0;
}

/* What authwindow is where nobody chose one: three of the longest interval. */
static unsigned int default_window(struct rtattr *tb[])
{
	const __u8 *advbase = payload(tb[IFLA_CARP_ADVBASE], sizeof(*advbase));
	const __u8 *advskew = payload(tb[IFLA_CARP_ADVSKEW], sizeof(*advskew));
	struct rtattr *node[CARP_NODE_MAX + 1];
	unsigned int skew = advskew ? *advskew : 0, window;
	struct rtattr *rta;

	for_each_element(rta, tb[IFLA_CARP_CARPNODES], CARP_NODE) {
		parse_rtattr(node, CARP_NODE_MAX, RTA_DATA(rta), RTA_PAYLOAD(rta));
		advskew = payload(node[CARP_NODE_ADVSKEW], sizeof(*advskew));
		if (advskew && *advskew > skew)
			skew = *advskew;
	}
	/* advskew counts in 1/256 s; a part of a second is a whole one. */
	window = ((advbase ? *advbase : 0) * 256 + skew) * 3;
	window = (window + 255) / 256;
	if (window < WINDOW_DEFAULT)
		return WINDOW_DEFAULT;
	return window < CARP_AUTH_WINDOW_MAX ? window : CARP_AUTH_WINDOW_MAX;
}

/* The best known trouble with carp: what it may be, and what we have. */
static void print_digest(struct rtattr *tb[])
{
	const __u32 *since = payload(tb[IFLA_CARP_DIGEST_DIFFERS], sizeof(*since));
	const __u32 *count = payload(tb[IFLA_CARP_ADDRESS_COUNT], sizeof(*count));
	const unsigned int left_out = addresses_left_out(tb);

	if (count)
		print_uint(PRINT_JSON, "address_count", NULL, *count);
	if (!since) {
		print_addresses("addresses", tb[IFLA_CARP_ADDRESSES], CARP_ADDRESS,
				PRINT_JSON, "");
		return;
	}
	print_uint(PRINT_JSON, "digest_differs", NULL, *since);
	print_nl();
	print_string(PRINT_FP, NULL, "%s",
		     "      digest differs: address list or passphrase; ");
	print_addresses("addresses", tb[IFLA_CARP_ADDRESSES], CARP_ADDRESS,
			PRINT_ANY, "addresses ");
	if (left_out)
		print_uint(PRINT_FP, NULL, "and %u more ", left_out);
}

void print_carp(struct rtattr *tb[])
{
	const struct rtattr *nodes = tb[IFLA_CARP_CARPNODES];
	const bool several = count_nodes(nodes) > 1;
	const __u8 *ttl = payload(tb[IFLA_CARP_MINTTL], sizeof(*ttl));
	const __u8 *announce = payload(tb[IFLA_CARP_ANNOUNCE], sizeof(*announce));
	const bool stats = show_stats && tb[IFLA_CARP_STATS];

	print_state(tb[IFLA_CARP_STATE]);
	if (!several || is_json_context())
		print_u8("vhid", "vhid %u ", tb[IFLA_CARP_VHID]);
	print_carpdev(tb);
	print_u8("advbase", "advbase %u ", tb[IFLA_CARP_ADVBASE]);
	if (!several || is_json_context())
		print_u8("advskew", "advskew %u ", tb[IFLA_CARP_ADVSKEW]);
	print_balancing(tb[IFLA_CARP_BALANCING]);
	print_addresses("carppeer", tb[IFLA_CARP_CARPPEERS], CARP_PEER, PRINT_ANY,
			"carppeer ");
	if (ttl) {
		print_uint(PRINT_JSON, "minttl", NULL, *ttl);
		if (*ttl != 255)
			print_uint(PRINT_FP, NULL, "minttl %u ", *ttl);
	}
	print_switch("linklocal", "linklocal", false, tb[IFLA_CARP_LINKLOCAL]);
	print_switch("demoteskew", "-demoteskew", true, tb[IFLA_CARP_DEMOTESKEW]);
	if (announce) {
		print_uint(PRINT_JSON, "announce", NULL, *announce);
		if (*announce)
			print_uint(PRINT_FP, NULL, "announce %u ", *announce);
	}
	print_auth(tb, &carp_auth, default_window(tb));
	print_u32("demote", "demote %u ", tb[IFLA_CARP_DEMOTE]);
	print_groups(tb[IFLA_CARP_GROUPS]);
	print_nodes(nodes, several);
	print_digest(tb);
	if (stats)
		print_stats(tb[IFLA_CARP_STATS]);
	if (several || tb[IFLA_CARP_DIGEST_DIFFERS] || stats)
		end_lines();
}
