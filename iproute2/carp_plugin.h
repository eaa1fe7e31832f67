/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of link_carp.so share. */
#ifndef CARP_PLUGIN_H
#define CARP_PLUGIN_H

#include <linux/if_carp.h>

#include "shared.h"

#define VHID_RANGE	"1-255"
#define ADV_RANGE	"0-254"
#define TTL_RANGE	"1-255"
#define ANNOUNCE_RANGE	"0-255"
#define PASS_RANGE	"0-" STRINGIFY(CARP_PASS_MAX)

/* In JSON and on the command line in lower case, in text in upper case. */
struct carp_state_name {
	const char *lower;
	const char *upper;
};

extern const struct carp_state_name carp_states[CARP_STATE_MASTER + 1];
extern const struct auth_attributes carp_auth;
extern const char *const carp_balancings[CARP_BALANCING_IP_UNICAST + 1];

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
void print_stats(const struct rtattr *nest);

#endif /* CARP_PLUGIN_H */
