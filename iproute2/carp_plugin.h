/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of link_carp.so share. */
#ifndef CARP_PLUGIN_H
#define CARP_PLUGIN_H

#include <linux/if_carp.h>

#include "ip_plugin.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define VHID_RANGE	"1-255"
#define ADV_RANGE	"0-254"
#define TTL_RANGE	"1-255"
#define STRINGIFY_(x)	#x
#define STRINGIFY(x)	STRINGIFY_(x)
#define PASS_RANGE	"0-" STRINGIFY(CARP_PASS_MAX)

/* In JSON and on the command line in lower case, in text in upper case. */
struct carp_state_name {
	const char *lower;
	const char *upper;
};

extern const struct carp_state_name carp_states[CARP_STATE_MASTER + 1];
extern const char *const carp_balancings[CARP_BALANCING_IP_UNICAST + 1];

/* The words that are still to be read, and the message that they fill. */
struct command {
	int argc;
	char **argv;
	const char *word;
	unsigned int seen;
	struct nlmsghdr *n;
};

char *next_value(struct command *c);
int bad_value(const struct command *c, const char *value, const char *expected);
/* Notes that an attribute is being given; -1 if it was before. */
int give_once(struct command *c, int type);
int put(struct command *c, int type, const void *data, int len);

/* carp_words.c: every word but "help"; 1 if there is no such word. */
int put_word(struct command *c);
/* carp_lists.c: the words whose value is a list. */
int put_carpnodes(struct command *c);
int put_carppeer(struct command *c);
int put_multicast(struct command *c);
/* carp_phrase.c: the words for the pass phrase. */
int put_pass(struct command *c);
int put_passfile(struct command *c);

/* carp_print.c: attributes as text or JSON. */
void print_carp(struct rtattr *tb[]);
/* carp_stats.c: the counters. */
void print_stats(struct rtattr *nest);

/* NULL if the attribute is absent or of a shape that we do not know. */
static inline const void *payload(const struct rtattr *rta, size_t len)
{
	return rta && RTA_PAYLOAD(rta) == len ? RTA_DATA(rta) : NULL;
}

#endif /* CARP_PLUGIN_H */
