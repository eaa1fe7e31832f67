// SPDX-License-Identifier: GPL-2.0
/* From words to attributes. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "carp_plugin.h"

static const struct {
	const char *word;
	int type;
	const char *range;
} numbers[] = {
	{ "vhid",	IFLA_CARP_VHID,		VHID_RANGE },
	{ "advbase",	IFLA_CARP_ADVBASE,	ADV_RANGE },
	{ "advskew",	IFLA_CARP_ADVSKEW,	ADV_RANGE },
	{ "minttl",	IFLA_CARP_MINTTL,	TTL_RANGE },
};

/* With a minus before it the word means no. */
static const struct {
	const char *word;
	int type;
} switches[] = {
	{ "linklocal",	IFLA_CARP_LINKLOCAL },
	{ "demoteskew",	IFLA_CARP_DEMOTESKEW },
};

const struct carp_state_name carp_states[] = {
	[CARP_STATE_INIT]	= { "init",	"INIT" },
	[CARP_STATE_BACKUP]	= { "backup",	"BACKUP" },
	[CARP_STATE_MASTER]	= { "master",	"MASTER" },
};

const char *const carp_balancings[] = {
	[CARP_BALANCING_NONE]		= "none",
	[CARP_BALANCING_ARP]		= "arp",
	[CARP_BALANCING_IP]		= "ip",
	[CARP_BALANCING_IP_STEALTH]	= "ip-stealth",
	[CARP_BALANCING_IP_UNICAST]	= "ip-unicast",
};

char *next_value(struct command *c)
{
	if (c->argc < 2) {
		fprintf(stderr, "Error: \"%s\" needs a value.\n", c->word);
		return NULL;
	}
	c->argc--;
	return *++c->argv;
}

int bad_value(const struct command *c, const char *value, const char *expected)
{
	fprintf(stderr, "Error: \"%s\" value \"%s\" is invalid: %s is expected.\n",
		c->word, value, expected);
	return -1;
}

int give_once(struct command *c, int type)
{
	/* The kernel would take the last one without a word. */
	if (c->seen & (1U << type)) {
		fprintf(stderr, "Error: duplicate \"%s\".\n", c->word);
		return -1;
	}
	c->seen |= 1U << type;
	return 0;
}

int put(struct command *c, int type, const void *data, int len)
{
	if (give_once(c, type))
		return -1;
	return addattr_l(c->n, IP_REQUEST_ROOM, type, data, len);
}

static int put_number(struct command *c, int type, const char *range)
{
	char expected[32];
	const char *value;
	__u8 number;

	value = next_value(c);
	if (!value)
		return -1;
	/* In base 0 "vhid 010" would mean 8. */
	if (get_u8(&number, value, 10)) {
		snprintf(expected, sizeof(expected), "a number of %s", range);
		return bad_value(c, value, expected);
	}
	return put(c, type, &number, sizeof(number));
}

static int put_carpdev(struct command *c)
{
	const char *name;
	__u32 ifindex = 0;

	name = next_value(c);
	if (!name)
		return -1;
	if (strcmp(name, "none")) {
		ifindex = ll_name_to_index(name);
		if (!ifindex)
			return nodev(name);
	}
	return put(c, IFLA_CARP_CARPDEV, &ifindex, sizeof(ifindex));
}

static int put_state(struct command *c)
{
	const char *value;

	value = next_value(c);
	if (!value)
		return -1;
	for (__u8 state = 0; state < ARRAY_SIZE(carp_states); state++) {
		if (!strcasecmp(value, carp_states[state].lower))
			return put(c, IFLA_CARP_STATE, &state, sizeof(state));
	}
	return bad_value(c, value, "backup or master");
}

static int put_balancing(struct command *c)
{
	const char *value;

	value = next_value(c);
	if (!value)
		return -1;
	for (__u8 i = 0; i < ARRAY_SIZE(carp_balancings); i++) {
		if (!strcmp(value, carp_balancings[i]))
			return put(c, IFLA_CARP_BALANCING, &i, sizeof(i));
	}
	return bad_value(c, value, "none, arp, ip, ip-stealth or ip-unicast");
}

/* One of each for a message: rtnetlink keeps the last of several alike. */
static int put_group(struct command *c, int type)
{
	const char *name;
	size_t len;

	name = next_value(c);
	if (!name)
		return -1;
	len = strlen(name);
	if (len > CARP_GROUP_NAME_MAX)
		return bad_value(c, name,
				 "a name of 1-" STRINGIFY(CARP_GROUP_NAME_MAX) " characters");
	if (c->seen & (1U << type)) {
		fprintf(stderr,
			"Error: \"%s\" can be said once in a command: one group after the other.\n",
			c->word);
		return -1;
	}
	return put(c, type, name, len + 1);
}

int put_word(struct command *c)
{
	static const __u32 detached;
	const bool on = c->word[0] != '-';

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(c->word, numbers[i].word))
			return put_number(c, numbers[i].type, numbers[i].range);
	}
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		const __u8 value = on;

		if (!strcmp(c->word + !on, switches[i].word))
			return put(c, switches[i].type, &value, sizeof(value));
	}
	if (!strcmp(c->word, "carpdev"))
		return put_carpdev(c);
	if (!strcmp(c->word, "-carpdev"))
		return put(c, IFLA_CARP_CARPDEV, &detached, sizeof(detached));
	if (!strcmp(c->word, "carpnodes"))
		return put_carpnodes(c);
	if (!strcmp(c->word, "balancing"))
		return put_balancing(c);
	if (!strcmp(c->word, "carppeer"))
		return put_carppeer(c);
	if (!strcmp(c->word, "-carppeer"))
		return put_multicast(c);
	if (!strcmp(c->word, "group"))
		return put_group(c, IFLA_CARP_GROUP_JOIN);
	if (!strcmp(c->word, "-group"))
		return put_group(c, IFLA_CARP_GROUP_LEAVE);
	if (!strcmp(c->word, "pass"))
		return put_pass(c);
	if (!strcmp(c->word, "passfile"))
		return put_passfile(c);
	if (!strcmp(c->word, "state"))
		return put_state(c);
	return 1;
}
