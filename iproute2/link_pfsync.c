// SPDX-License-Identifier: GPL-2.0
/*
 * link_pfsync.so teaches ip(8) the link kind "pfsync", in ifconfig(8)'s words. As
 * link_carp.so it judges nothing that the kernel can judge.
 */
#include "pfsync_plugin.h"

static void explain(FILE *f)
{
	fputs("Usage: ... pfsync [ syncdev DEV | -syncdev ]\n"
	      "                  [ syncpeer ADDRESS | -syncpeer ]\n"
	      "                  [ maxupd NUMBER | -maxupd ]\n"
	      "                  [ defer [ on | off ] | -defer ]\n"
	      "                  [ local | -local ] [ established | -established ]\n"
	      "                  [ bulkwait SECONDS | -bulkwait ]\n"
	      "                  [ nosync-mark VALUE[/MASK] | -nosync-mark ]\n"
	      "                  [ nosync-zone ZONE | -nosync-zone ]\n"
	      "                  [ auth { off | receive | permissive | enforce } ]\n"
	      "                  [ authkey ID FILE ]... [ -authkey ID ]\n"
	      "                  [ authactive ID | -authactive ] [ authwindow SECONDS ]\n"
	      "                  [ authtime | authmonotonic ]\n"
	      "                  [ table NAME ]\n"
	      "\n"
	      "  syncdev   where states are sent and received; better a cable of its own, for\n"
	      "            who can send there can open the firewall. No default; \"-syncdev\"\n"
	      "            or \"syncdev none\" detaches.\n"
	      "  syncpeer  the address to which states go. Default: 224.0.0.240, everybody on\n"
	      "            syncdev, as after \"-syncpeer\".\n"
	      "  maxupd    " MAXUPD_RANGE ": so many updates of a TCP state are collected, for a second\n"
	      "            at most, before they are sent. Default: " STRINGIFY(MAXUPD_DEFAULT) ", as after \"-maxupd\".\n"
	      "  defer     hold the first packet of a connection until a peer has its state,\n"
	      "            for hosts that are both at work. Default: off.\n"
	      "  local     tell also of connections that begin or end at this host itself.\n"
	      "            Default: off.\n"
	      "  established  tell of a TCP connection only when it is established. Default: off.\n"
	      "  bulkwait  " BULKWAIT_RANGE ": so long to wait for a first peer when there is link, as a\n"
	      "            switch may still block the port. Default: " STRINGIFY(BULKWAIT_DEFAULT) ", as after \"-bulkwait\".\n"
	      "  nosync-mark  states with this mark stay here; numbers are decimal, or\n"
	      "            hexadecimal with 0x before them. Without MASK all bits count.\n"
	      "            Default: no mark.\n"
	      "  nosync-zone  " ZONE_RANGE ": states of this conntrack zone stay here. Default: none.\n",
	      f);
	fputs(auth_help, f);
	fputs("  table     the state table, when the interface is made. Default: conntrack.\n"
	      "\n"
	      "All but table can be given later: ip link set DEV type pfsync ...\n",
	      f);
}

static int pfsync_parse_opt(struct link_util *lu, int argc, char **argv,
			    struct nlmsghdr *n)
{
	return read_words(lu, argc, argv, n, put_word, explain);
}

static void pfsync_print_opt(struct link_util *lu, FILE *f, struct rtattr *tb[])
{
	(void)lu;
	(void)f;
	if (tb)
		print_pfsync(tb);
}

static void pfsync_print_help(struct link_util *lu, int argc, char **argv, FILE *f)
{
	(void)lu;
	(void)argc;
	(void)argv;
	explain(f);
}

/* The only symbol that ip looks for, and the only one that is visible. */
__attribute__((visibility("default")))
struct link_util pfsync_link_util = {
	.id = "pfsync",
	.maxattr = IFLA_PFSYNC_MAX,
	.parse_opt = pfsync_parse_opt,
	.print_opt = pfsync_print_opt,
	.print_help = pfsync_print_help,
};
