// SPDX-License-Identifier: GPL-2.0
/*
 * link_carp.so teaches ip(8) the link kind "carp", in ifconfig(8)'s words.
 *
 * It turns words into attributes and back and judges nothing: a value is
 * refused here only where its attribute cannot hold it. Everything else is the
 * kernel's to refuse, whose extended acknowledgment says in words what is
 * wrong; so an old plug-in is never in the way of a newer kernel.
 */
#include "carp_plugin.h"

static void explain(FILE *f)
{
	fputs("Usage: ... carp [ vhid VHID | carpnodes VHID:SKEW[,VHID:SKEW...] ]\n"
	      "                [ carpdev DEV | -carpdev ]\n"
	      "                [ advbase SECONDS ] [ advskew SKEW ]\n"
	      "                [ pass PHRASE | passfile FILE ]\n"
	      "                [ balancing { none | arp | ip | ip-stealth | ip-unicast } ]\n"
	      "                [ carppeer ADDRESS[,ADDRESS...] | -carppeer ] [ minttl TTL ]\n"
	      "                [ group NAME ] [ -group NAME ]\n"
	      "                [ [-]linklocal ] [ [-]demoteskew ] [ announce SECONDS ]\n"
	      "                [ auth { off | receive | permissive | enforce } ]\n"
	      "                [ authkey ID FILE ]... [ -authkey ID ]\n"
	      "                [ authactive ID | -authactive ] [ authwindow SECONDS ]\n"
	      "                [ authtime | authmonotonic ]\n"
	      "                [ state { backup | master } ]\n"
	      "\n"
	      "  vhid      " VHID_RANGE ": the virtual host, as its network knows it. No default;\n"
	      "            without it the interface stays in state INIT.\n"
	      "  carpnodes up to " STRINGIFY(CARP_NODES_MAX) " virtual hosts, each with its own advskew, that share\n"
	      "            the traffic as balancing says.\n"
	      "  carpdev   where advertisements are sent and received; \"link DEV\" means\n"
	      "            the same. No default; without it the interface stays in state\n"
	      "            INIT. \"-carpdev\" or \"carpdev none\" detaches.\n"
	      "  advbase   " ADV_RANGE ": seconds between advertisements. Default: 1.\n"
	      "  advskew   " ADV_RANGE ": 1/256 seconds added to advbase. The host that advertises\n"
	      "            most often is master. Default: 0.\n"
	      "  pass      " PASS_RANGE " bytes that all hosts of the vhid share. Default: none;\n"
	      "            pass \"\" removes it. While ip starts, every user of this machine\n"
	      "            can read it in the list of processes: prefer passfile.\n"
	      "  passfile  a file whose first line is the pass phrase; \"-\" is standard\n"
	      "            input, without echo on a terminal.\n"
	      "  balancing how several virtual hosts share traffic. Default: none for one,\n"
	      "            ip for several.\n"
	      "  carppeer  up to " STRINGIFY(CARP_PEERS_MAX) " IPv4 and as many IPv6 addresses to which advertisements\n"
	      "            go. Default: the multicast groups, as after \"-carppeer\".\n"
	      "  minttl    " TTL_RANGE ": advertisements of peers with a smaller TTL are dropped.\n"
	      "  group     a group to join, whose demotion counts here; \"-group\" leaves it.\n"
	      "  linklocal advertise the digest over link-local addresses, too, as FreeBSD does.\n"
	      "  demoteskew  while demoted advertise an advskew of at least 240, for hosts\n"
	      "            that do not read the demotion. Default: on.\n"
	      "  announce  " ANNOUNCE_RANGE ": the master announces its addresses again every so many\n"
	      "            seconds. Default: 0, not by itself.\n",
	      f);
	fputs(auth_help, f);
	fputs("  state     become backup or master, once.\n"
	      "\n"
	      "All of them can be given later: ip link set DEV type carp ...\n",
	      f);
}

static int carp_parse_opt(struct link_util *lu, int argc, char **argv,
			  struct nlmsghdr *n)
{
	return read_words(lu, argc, argv, n, put_word, explain);
}

static void carp_print_opt(struct link_util *lu, FILE *f, struct rtattr *tb[])
{
	(void)lu;
	(void)f;
	if (tb)
		print_carp(tb);
}

static void carp_print_help(struct link_util *lu, int argc, char **argv, FILE *f)
{
	(void)lu;
	(void)argc;
	(void)argv;
	explain(f);
}

/* The only symbol that ip looks for, and the only one that is visible. */
__attribute__((visibility("default")))
struct link_util carp_link_util = {
	.id = "carp",
	.maxattr = IFLA_CARP_MAX,
	.parse_opt = carp_parse_opt,
	.print_opt = carp_print_opt,
	.print_help = carp_print_help,
};
