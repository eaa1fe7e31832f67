// SPDX-License-Identifier: GPL-2.0
/* Authentication of whole packets: its words, and what is shown of it. */
#include <string.h>

#include "shared.h"

#define KEY_ID_RANGE	"1-255"
#define WINDOW_RANGE	"1-" STRINGIFY(CARP_AUTH_WINDOW_MAX)

static const char *const modes[] = {
	[CARP_AUTH_OFF]		= "off",
	[CARP_AUTH_RECEIVE]	= "receive",
	[CARP_AUTH_PERMISSIVE]	= "permissive",
	[CARP_AUTH_ENFORCE]	= "enforce",
};

const char auth_help[] =
	"  auth      authentication of whole packets, which does not believe recordings.\n"
	"            receive counts what it would make of others; permissive signs, and\n"
	"            believes what is not signed; enforce wants all signed. Default: off.\n"
	"  authkey   a key of " AUTH_KEY_RANGE " bytes in a file, under an id of " KEY_ID_RANGE ", the same on all\n"
	"            hosts; \"-\" is standard input. At most " STRINGIFY(CARP_AUTH_KEYS_MAX) "; \"-authkey\" removes one.\n"
	"  authactive  the id of the key that signs. Default: none, as after \"-authactive\".\n"
	"  authwindow  " WINDOW_RANGE ": seconds by which the clocks of hosts may differ. Default: 0,\n"
	"            three intervals and at least 5.\n"
	"  authmonotonic  compare no clocks, for hosts that have no common time;\n"
	"            \"authtime\", the default, compares them.\n";

static int read_key_id(struct command *c, __u8 *id)
{
	const char *value;

	value = next_value(c);
	if (!value)
		return -1;
	if (get_u8(id, value, 10))
		return bad_value(c, value, "a number of " KEY_ID_RANGE);
	return 0;
}

static int add_key(struct command *c, int type)
{
	struct auth_key *key = &c->keys[c->key_count];
	const char *file;

	if (c->key_count == CARP_AUTH_KEYS_MAX) {
		fprintf(stderr, "Error: a command takes at most %d times \"%s\".\n",
			CARP_AUTH_KEYS_MAX, c->word);
		return -1;
	}
	if (read_key_id(c, &key->id))
		return -1;
	if (c->argc < 2) {
		fprintf(stderr, "Error: \"%s\" needs an id and a file.\n", c->word);
		return -1;
	}
	file = next_value(c);
	if (read_key(c, file, key))
		return -1;
	c->keys_attribute = type;
	c->key_count++;
	return 0;
}

static int remove_key(struct command *c, int type)
{
	__u8 id;

	if (read_key_id(c, &id))
		return -1;
	if (give_item_once(c, type, "key"))
		return -1;
	return put(c, type, &id, sizeof(id));
}

static int put_window(struct command *c, int type)
{
	const char *value;
	__u32 seconds;

	value = next_value(c);
	if (!value)
		return -1;
	if (get_u32(&seconds, value, 10))
		return bad_value(c, value, "a number of " WINDOW_RANGE);
	return put(c, type, &seconds, sizeof(seconds));
}

int put_auth_word(struct command *c, const struct auth_attributes *attributes)
{
	const struct number_word active = {
		"authactive", attributes->active, KEY_ID_RANGE
	};
	static const __u8 yes = 1, no, none;

	if (!strcmp(c->word, "auth"))
		return put_choice(c, attributes->mode, modes, ARRAY_SIZE(modes),
				  "off, receive, permissive or enforce");
	if (!strcmp(c->word, "authkey"))
		return add_key(c, attributes->keys);
	if (!strcmp(c->word, "-authkey"))
		return remove_key(c, attributes->remove);
	if (!strcmp(c->word, "authactive"))
		return put_number(c, &active);
	if (!strcmp(c->word, "-authactive"))
		return put(c, attributes->active, &none, sizeof(none));
	if (!strcmp(c->word, "authwindow"))
		return put_window(c, attributes->window);
	if (!strcmp(c->word, "authmonotonic"))
		return put(c, attributes->monotonic, &yes, sizeof(yes));
	if (!strcmp(c->word, "authtime"))
		return put(c, attributes->monotonic, &no, sizeof(no));
	return 1;
}

int put_auth_keys(struct command *c)
{
	struct rtattr *nest, *element;

	if (!c->key_count)
		return 0;
	nest = addattr_nest(c->n, IP_REQUEST_ROOM, c->keys_attribute | NLA_F_NESTED);
	for (int i = 0; i < c->key_count; i++) {
		const struct auth_key *key = &c->keys[i];

		element = addattr_nest(c->n, IP_REQUEST_ROOM, CARP_AUTH_KEY | NLA_F_NESTED);
		if (addattr_l(c->n, IP_REQUEST_ROOM, CARP_AUTH_KEY_ID, &key->id,
			      sizeof(key->id)) ||
		    addattr_l(c->n, IP_REQUEST_ROOM, CARP_AUTH_KEY_SECRET, key->secret,
			      key->len))
			return -1;
		addattr_nest_end(c->n, element);
	}
	addattr_nest_end(c->n, nest);
	return 0;
}

static void print_key_ids(const struct rtattr *nest)
{
	struct rtattr *tb[CARP_AUTH_KEY_SECRET + 1];
	const char *before = "authkeys ";
	struct rtattr *rta;
	const __u8 *id;

	open_json_array(PRINT_JSON, "authkeys");
	for_each_element(rta, nest, CARP_AUTH_KEY) {
		parse_rtattr(tb, CARP_AUTH_KEY_SECRET, RTA_DATA(rta), RTA_PAYLOAD(rta));
		id = payload(tb[CARP_AUTH_KEY_ID], sizeof(*id));
		if (!id)
			continue;
		print_string(PRINT_FP, NULL, "%s", before);
		print_uint(PRINT_ANY, NULL, "%u", *id);
		before = ",";
	}
	close_json_array(PRINT_JSON, NULL);
	if (*before == ',')
		print_string(PRINT_FP, NULL, "%s", " ");
}

void print_auth(struct rtattr *tb[], const struct auth_attributes *attributes,
		unsigned int window)
{
	const __u8 *mode = payload(tb[attributes->mode], sizeof(*mode));
	const __u8 *active = payload(tb[attributes->active], sizeof(*active));
	const __u32 *seconds = payload(tb[attributes->window], sizeof(*seconds));
	const struct rtattr *keys = tb[attributes->keys];
	char number[4];
	const char *name;

	if (!mode)
		return;
	snprintf(number, sizeof(number), "%u", *mode);
	name = *mode < ARRAY_SIZE(modes) ? modes[*mode] : number;
	print_string(PRINT_JSON, "auth", NULL, name);
	/* A key that is there and does nothing is worth seeing. */
	if (*mode != CARP_AUTH_OFF || next_element(keys, NULL, CARP_AUTH_KEY))
		print_string(PRINT_FP, NULL, "auth %s ", name);
	print_uint(PRINT_JSON, "authactive", NULL, active ? *active : 0);
	if (active && *active)
		print_uint(PRINT_FP, NULL, "authactive %u ", *active);
	print_key_ids(keys);
	if (seconds) {
		print_uint(PRINT_JSON, "authwindow", NULL, *seconds);
		if (*seconds != window)
			print_uint(PRINT_FP, NULL, "authwindow %u ", *seconds);
	}
	print_switch("authmonotonic", "authmonotonic", false, tb[attributes->monotonic]);
}
