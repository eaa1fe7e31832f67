// SPDX-License-Identifier: GPL-2.0
/* From words to attributes. */
#include <string.h>

#include "pfsync_plugin.h"

const struct auth_attributes pfsync_auth = {
	.mode		= IFLA_PFSYNC_AUTH,
	.keys		= IFLA_PFSYNC_AUTH_KEYS,
	.remove		= IFLA_PFSYNC_AUTH_KEY_REMOVE,
	.active		= IFLA_PFSYNC_AUTH_ACTIVE,
	.window		= IFLA_PFSYNC_AUTH_WINDOW,
	.monotonic	= IFLA_PFSYNC_AUTH_MONOTONIC,
};

/* The kernel takes fewer; this only keeps a name from filling the message. */
#define TABLE_ROOM	255

static int put_syncpeer(struct command *c)
{
	unsigned char address[sizeof(struct in6_addr)];
	const char *value;
	int len;

	value = next_value(c);
	if (!value)
		return -1;
	len = read_address(value, address);
	if (!len)
		return bad_value(c, value, "an IPv4 or IPv6 address");
	return put(c, IFLA_PFSYNC_SYNCPEER, address, len);
}

/* As OpenBSD has it the word stands alone; as Linux has it a value follows. */
static int put_defer(struct command *c)
{
	__u8 on = 1;

	if (c->argc > 1 && (!strcmp(c->argv[1], "on") || !strcmp(c->argv[1], "off")))
		on = !strcmp(next_value(c), "on");
	return put(c, IFLA_PFSYNC_DEFER, &on, sizeof(on));
}

/* A mark, as iptables(8) and conntrack(8) write one. */
static int read_mark(__u32 *mark, const char *text)
{
	/* In base 0 "010" would mean 8. */
	return get_u32(mark, text, strncmp(text, "0x", 2) ? 10 : 16);
}

static int put_marks(struct command *c, __u32 mark, __u32 mask)
{
	return put(c, IFLA_PFSYNC_NOSYNC_MARK, &mark, sizeof(mark)) ||
	       put(c, IFLA_PFSYNC_NOSYNC_MASK, &mask, sizeof(mask)) ? -1 : 0;
}

static int put_nosync_mark(struct command *c)
{
	static const char expected[] =
		"VALUE or VALUE/MASK, with no bit of VALUE outside of MASK,";
	__u32 mark, mask = 0xffffffff;
	char *value, *slash;
	int bad;

	value = next_value(c);
	if (!value)
		return -1;
	slash = strchr(value, '/');
	if (slash)
		*slash = '\0';
	bad = read_mark(&mark, value);
	if (slash) {
		*slash = '/';
		bad = bad || read_mark(&mask, slash + 1);
	}
	/* A mask of 0 is the kernel's word for none. */
	if (bad || !mask || mark & ~mask)
		return bad_value(c, value, expected);
	return put_marks(c, mark, mask);
}

static int put_nosync_zone(struct command *c)
{
	const char *value;
	__u16 zone;

	value = next_value(c);
	if (!value)
		return -1;
	/* 0, where everything is, is the kernel's word for none. */
	if (get_u16(&zone, value, 10) || !zone)
		return bad_value(c, value, "a number of " ZONE_RANGE);
	return put(c, IFLA_PFSYNC_NOSYNC_ZONE, &zone, sizeof(zone));
}

static int put_table(struct command *c)
{
	const char *name;
	size_t len;

	name = next_value(c);
	if (!name)
		return -1;
	len = strlen(name);
	if (!len || len > TABLE_ROOM)
		return bad_value(c, name, "a name");
	return put(c, IFLA_PFSYNC_TABLE, name, len + 1);
}

int put_word(struct command *c)
{
	static const struct number_word maxupd = {
		"maxupd", IFLA_PFSYNC_MAXUPD, MAXUPD_RANGE
	};
	static const struct number_word bulkwait = {
		"bulkwait", IFLA_PFSYNC_BULKWAIT, BULKWAIT_RANGE
	};
	static const __u8 maxupd_default = MAXUPD_DEFAULT, bulkwait_default = BULKWAIT_DEFAULT;
	static const __u8 yes = 1, no;
	static const __u16 no_zone;
	static const __u32 detached;

	if (!strcmp(c->word, "syncdev"))
		return put_device(c, IFLA_PFSYNC_SYNCDEV);
	if (!strcmp(c->word, "-syncdev"))
		return put(c, IFLA_PFSYNC_SYNCDEV, &detached, sizeof(detached));
	if (!strcmp(c->word, "syncpeer"))
		return put_syncpeer(c);
	if (!strcmp(c->word, "-syncpeer"))
		return put(c, IFLA_PFSYNC_SYNCPEER, NULL, 0);
	if (!strcmp(c->word, "maxupd"))
		return put_number(c, &maxupd);
	if (!strcmp(c->word, "-maxupd"))
		return put(c, IFLA_PFSYNC_MAXUPD, &maxupd_default, sizeof(maxupd_default));
	if (!strcmp(c->word, "defer"))
		return put_defer(c);
	if (!strcmp(c->word, "-defer"))
		return put(c, IFLA_PFSYNC_DEFER, &no, sizeof(no));
	if (!strcmp(c->word, "local"))
		return put(c, IFLA_PFSYNC_LOCAL, &yes, sizeof(yes));
	if (!strcmp(c->word, "-local"))
		return put(c, IFLA_PFSYNC_LOCAL, &no, sizeof(no));
	if (!strcmp(c->word, "established"))
		return put(c, IFLA_PFSYNC_ESTABLISHED, &yes, sizeof(yes));
	if (!strcmp(c->word, "-established"))
		return put(c, IFLA_PFSYNC_ESTABLISHED, &no, sizeof(no));
	if (!strcmp(c->word, "bulkwait"))
		return put_number(c, &bulkwait);
	if (!strcmp(c->word, "-bulkwait"))
		return put(c, IFLA_PFSYNC_BULKWAIT, &bulkwait_default, sizeof(bulkwait_default));
	if (!strcmp(c->word, "nosync-mark"))
		return put_nosync_mark(c);
	if (!strcmp(c->word, "-nosync-mark"))
		return put_marks(c, 0, 0);
	if (!strcmp(c->word, "nosync-zone"))
		return put_nosync_zone(c);
	if (!strcmp(c->word, "-nosync-zone"))
		return put(c, IFLA_PFSYNC_NOSYNC_ZONE, &no_zone, sizeof(no_zone));
	if (!strcmp(c->word, "table"))
		return put_table(c);
	return put_auth_word(c, &pfsync_auth);
}
