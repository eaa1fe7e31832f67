// SPDX-License-Identifier: GPL-2.0
/* From words to attributes: what the words of all kinds have in common. */
#define _GNU_SOURCE
#include <string.h>
#include <arpa/inet.h>

#include "shared.h"

static int read_each_word(struct link_util *lu, struct command *c,
			  int (*put_word)(struct command *c), void (*explain)(FILE *f))
{
	int ret;

	for (; c->argc > 0; c->argc--, c->argv++) {
		c->word = *c->argv;
		ret = put_word(c);
		if (ret < 0)
			return -1;
		if (ret == 0)
			continue;
		if (strcmp(c->word, "help"))
			fprintf(stderr, "Error: %s does not know the word \"%s\".\n",
				lu->id, c->word);
		explain(stderr);
		return -1;
	}
	return put_auth_keys(c);
}

int read_words(struct link_util *lu, int argc, char **argv, struct nlmsghdr *n,
	       int (*put_word)(struct command *c), void (*explain)(FILE *f))
{
	struct command c = { .argc = argc, .argv = argv, .n = n };
	int ret;

	ret = read_each_word(lu, &c, put_word, explain);
	explicit_bzero(&c.keys, sizeof(c.keys));
	return ret;
}

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
	if (c->seen & (1ULL << type)) {
		fprintf(stderr, "Error: duplicate \"%s\".\n", c->word);
		return -1;
	}
	c->seen |= 1ULL << type;
	return 0;
}

int give_item_once(struct command *c, int type, const char *item)
{
	if (!(c->seen & (1ULL << type)))
		return 0;
	fprintf(stderr,
		"Error: \"%s\" can be said once in a command: one %s after the other.\n",
		c->word, item);
	return -1;
}

int put_choice(struct command *c, int type, const char *const *names, size_t count,
	       const char *expected)
{
	const char *value;

	value = next_value(c);
	if (!value)
		return -1;
	for (__u8 i = 0; i < count; i++) {
		if (!strcmp(value, names[i]))
			return put(c, type, &i, sizeof(i));
	}
	return bad_value(c, value, expected);
}

int put(struct command *c, int type, const void *data, int len)
{
	if (give_once(c, type))
		return -1;
	return addattr_l(c->n, IP_REQUEST_ROOM, type, data, len);
}

int put_number(struct command *c, const struct number_word *number)
{
	char expected[32];
	const char *value;
	__u8 parsed;

	value = next_value(c);
	if (!value)
		return -1;
	/* In base 0 "vhid 010" would mean 8. */
	if (get_u8(&parsed, value, 10)) {
		snprintf(expected, sizeof(expected), "a number of %s", number->range);
		return bad_value(c, value, expected);
	}
	return put(c, number->type, &parsed, sizeof(parsed));
}

int put_device(struct command *c, int type)
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
	return put(c, type, &ifindex, sizeof(ifindex));
}

int read_address(const char *text, unsigned char *bytes)
{
	if (inet_pton(AF_INET, text, bytes) == 1)
		return sizeof(struct in_addr);
	if (inet_pton(AF_INET6, text, bytes) == 1)
		return sizeof(struct in6_addr);
	return 0;
}
