// SPDX-License-Identifier: GPL-2.0
/* The words whose value is a list: virtual hosts, and unicast peers. */
#define _GNU_SOURCE
#include <string.h>

#include "carp_plugin.h"

/*
 * Calls @element for each piece of a list that commas divide, and puts what it
 * adds into a nest. @list is changed.
 */
static int put_list(struct command *c, int type, char *list, int most,
		    int (*element)(struct command *c, char *text))
{
	struct rtattr *nest;
	char *text;
	int count = 0;

	if (give_once(c, type))
		return -1;
	nest = addattr_nest(c->n, IP_REQUEST_ROOM, type | NLA_F_NESTED);
	while ((text = strsep(&list, ","))) {
		/* More would not fit into ip's message. */
		if (++count > most) {
			fprintf(stderr, "Error: \"%s\" takes at most %d elements.\n",
				c->word, most);
			return -1;
		}
		if (element(c, text))
			return -1;
	}
	addattr_nest_end(c->n, nest);
	return 0;
}

static int put_node(struct command *c, char *text)
{
	const char *vhid = text;
	char *advskew = strchr(text, ':');
	__u8 vhid_number, advskew_number;
	struct rtattr *nest;

	if (advskew)
		*advskew++ = '\0';
	if (!advskew || get_u8(&vhid_number, vhid, 10) ||
	    get_u8(&advskew_number, advskew, 10)) {
		if (advskew)
			advskew[-1] = ':';
		return bad_value(c, text,
				 "VHID:ADVSKEW, " VHID_RANGE ":" ADV_RANGE ", or several with commas between");
	}
	nest = addattr_nest(c->n, IP_REQUEST_ROOM, CARP_NODE | NLA_F_NESTED);
	if (addattr_l(c->n, IP_REQUEST_ROOM, CARP_NODE_VHID, &vhid_number, 1) ||
	    addattr_l(c->n, IP_REQUEST_ROOM, CARP_NODE_ADVSKEW, &advskew_number, 1))
		return -1;
	addattr_nest_end(c->n, nest);
	return 0;
}

int put_carpnodes(struct command *c)
{
	char *value = next_value(c);

	if (!value)
		return -1;
	return put_list(c, IFLA_CARP_CARPNODES, value, CARP_NODES_MAX, put_node);
}

static int put_peer(struct command *c, char *text)
{
	unsigned char address[sizeof(struct in6_addr)];
	int len = read_address(text, address);

	if (!len)
		return bad_value(c, text,
				 "an IPv4 or IPv6 address, or several with commas between");
	return addattr_l(c->n, IP_REQUEST_ROOM, CARP_PEER, address, len);
}

int put_carppeer(struct command *c)
{
	char *value = next_value(c);

	if (!value)
		return -1;
	return put_list(c, IFLA_CARP_CARPPEERS, value, 2 * CARP_PEERS_MAX, put_peer);
}

int put_multicast(struct command *c)
{
	return put_list(c, IFLA_CARP_CARPPEERS, NULL, 0, put_peer);
}
