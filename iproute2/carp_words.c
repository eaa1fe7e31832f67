// SPDX-License-Identifier: GPL-2.0
/* From words to attributes. */
#include <string.h>
#include <strings.h>

#include "carp_plugin.h"

static const struct number_word numbers[] = {
	{ "vhid",	IFLA_CARP_VHID,		VHID_RANGE },
	{ "advbase",	IFLA_CARP_ADVBASE,	ADV_RANGE },
	{ "advskew",	IFLA_CARP_ADVSKEW,	ADV_RANGE },
	{ "minttl",	IFLA_CARP_MINTTL,	TTL_RANGE },
	{ "announce",	IFLA_CARP_ANNOUNCE,	ANNOUNCE_RANGE },
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

const struct auth_attributes carp_auth = {
	.mode		= IFLA_CARP_AUTH,
	.keys		= IFLA_CARP_AUTH_KEYS,
	.remove		= IFLA_CARP_AUTH_KEY_REMOVE,
	.active		= IFLA_CARP_AUTH_ACTIVE,
	.window		= IFLA_CARP_AUTH_WINDOW,
	.monotonic	= IFLA_CARP_AUTH_MONOTONIC,
};

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
	if (give_item_once(c, type, "group"))
		return -1;
	return put(c, type, name, len + 1);
}

int put_word(struct command *c)
{
	static const __u32 detached;
	const bool on = c->word[0] != '-';

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(c->word, numbers[i].word))
			return put_number(c, &numbers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		const __u8 value = on;

		if (!strcmp(c->word + !on, switches[i].word))
			return put(c, switches[i].type, &value, sizeof(value));
	}
	if (!strcmp(c->word, "carpdev"))
		return put_device(c, IFLA_CARP_CARPDEV);
	if (!strcmp(c->word, "-carpdev"))
		return put(c, IFLA_CARP_CARPDEV, &detached, sizeof(detached));
	if (!strcmp(c->word, "carpnodes"))
		return put_carpnodes(c);
	if (!strcmp(c->word, "balancing"))
		return put_choice(c, IFLA_CARP_BALANCING, carp_balancings,
				  ARRAY_SIZE(carp_balancings),
				  "none, arp, ip, ip-stealth or ip-unicast");
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
	return put_auth_word(c, &carp_auth);
}
