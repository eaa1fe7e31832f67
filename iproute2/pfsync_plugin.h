/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of link_pfsync.so share. */
#ifndef PFSYNC_PLUGIN_H
#define PFSYNC_PLUGIN_H

#include <linux/if_pfsync.h>

#include "shared.h"

#define MAXUPD_RANGE	"1-255"
#define MAXUPD_DEFAULT	128
#define BULKWAIT_RANGE	"0-255"
#define BULKWAIT_DEFAULT	40
#define ZONE_RANGE	"1-65535"

/* Seconds. */
#define AUTHWINDOW_DEFAULT	5

extern const struct auth_attributes pfsync_auth;
extern const char *const pfsync_bulks[PFSYNC_BULK_DONE + 1];

/* pfsync_words.c: every word but "help"; 1 if there is no such word. */
int put_word(struct command *c);

/* pfsync_print.c: attributes as text or JSON. */
void print_pfsync(struct rtattr *tb[]);
/* pfsync_stats.c: the counters. */
void print_stats(const struct rtattr *nest);

#endif /* PFSYNC_PLUGIN_H */
