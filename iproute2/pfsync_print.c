// SPDX-License-Identifier: GPL-2.0
/* From attributes to words: text for people, JSON for programs. */
#include <string.h>

#include "pfsync_plugin.h"

const char *const pfsync_bulks[] = {
	[PFSYNC_BULK_DOWN]	= "down",
	[PFSYNC_BULK_NO_LINK]	= "no-link",
	[PFSYNC_BULK_ASKING]	= "asking",
	[PFSYNC_BULK_RECEIVING]	= "receiving",
	[PFSYNC_BULK_DONE]	= "done",
};

static void print_syncdev(const struct rtattr *rta)
{
	const __u32 *ifindex = payload(rta, sizeof(*ifindex));

	if (ifindex && *ifindex)
		print_string(PRINT_ANY, "syncdev", "syncdev %s ",
			     ll_index_to_name(*ifindex));
}

static void print_syncpeer(const struct rtattr *rta)
{
	char text[INET6_ADDRSTRLEN];

	if (rta && address_text(rta, text))
		print_string(PRINT_ANY, "syncpeer", "syncpeer %s ", text);
}

static void print_bulkwait(const struct rtattr *rta)
{
	const __u8 *seconds = payload(rta, sizeof(*seconds));

	if (seconds && (is_json_context() || *seconds != BULKWAIT_DEFAULT))
		print_u8("bulkwait", "bulkwait %u ", rta);
}

static void print_nosync(struct rtattr *tb[])
{
	const __u32 *mark = payload(tb[IFLA_PFSYNC_NOSYNC_MARK], sizeof(*mark));
	const __u32 *mask = payload(tb[IFLA_PFSYNC_NOSYNC_MASK], sizeof(*mask));
	const __u16 *zone = payload(tb[IFLA_PFSYNC_NOSYNC_ZONE], sizeof(*zone));

	if (mark && mask && *mask) {
		print_0xhex(PRINT_ANY, "nosync_mark", "nosync-mark 0x%llx", *mark);
		if (is_json_context() || *mask != 0xffffffff)
			print_0xhex(PRINT_ANY, "nosync_mask", "/0x%llx", *mask);
		print_string(PRINT_FP, NULL, "%s", " ");
	}
	if (zone && *zone)
		print_uint(PRINT_ANY, "nosync_zone", "nosync-zone %u ", *zone);
}

static void print_table(const struct rtattr *rta)
{
	const char *name;

	/* A string of the kernel's ends with a zero. */
	if (!rta || !RTA_PAYLOAD(rta))
		return;
	name = RTA_DATA(rta);
	if (name[RTA_PAYLOAD(rta) - 1])
		return;
	print_string(PRINT_JSON, "table", NULL, name);
	if (strcmp(name, "conntrack"))
		print_string(PRINT_FP, NULL, "table %s ", name);
}

static void print_bulk(const struct rtattr *rta)
{
	const __u8 *bulk = payload(rta, sizeof(*bulk));
	char number[4];

	if (!bulk)
		return;
	snprintf(number, sizeof(number), "%u", *bulk);
	print_string(PRINT_ANY, "bulk", "bulk %s ",
		     *bulk < ARRAY_SIZE(pfsync_bulks) ? pfsync_bulks[*bulk] : number);
}

void print_pfsync(struct rtattr *tb[])
{
	print_syncdev(tb[IFLA_PFSYNC_SYNCDEV]);
	print_syncpeer(tb[IFLA_PFSYNC_SYNCPEER]);
	print_u8("maxupd", "maxupd %u ", tb[IFLA_PFSYNC_MAXUPD]);
	print_switch("defer", "defer", false, tb[IFLA_PFSYNC_DEFER]);
	print_switch("local", "local", false, tb[IFLA_PFSYNC_LOCAL]);
	print_switch("established", "established", false, tb[IFLA_PFSYNC_ESTABLISHED]);
	print_bulkwait(tb[IFLA_PFSYNC_BULKWAIT]);
	print_nosync(tb);
	print_auth(tb, &pfsync_auth, AUTHWINDOW_DEFAULT);
	print_table(tb[IFLA_PFSYNC_TABLE]);
	print_bulk(tb[IFLA_PFSYNC_BULK]);
	print_u32("demote", "demote %u ", tb[IFLA_PFSYNC_DEMOTE]);
	print_u32("states", "states %u ", tb[IFLA_PFSYNC_STATES]);
	print_u32("queued", "queued %u ", tb[IFLA_PFSYNC_QUEUED]);
	print_u32("unconfirmed", "unconfirmed %u ", tb[IFLA_PFSYNC_UNCONFIRMED]);
	if (show_stats && tb[IFLA_PFSYNC_STATS]) {
		print_stats(tb[IFLA_PFSYNC_STATS]);
		end_lines();
	}
}
