// SPDX-License-Identifier: GPL-2.0
/*
 * link_carp.so teaches ip(8) the link kind "carp", in ifconfig(8)'s words.
 *
 * It turns words into attributes and back and judges nothing: a value is
 * refused here only where its attribute cannot hold it. Everything else is the
 * kernel's to refuse, whose extended acknowledgment says in words what is
 * wrong; so an old plug-in is never in the way of a newer kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <linux/if_carp.h>

#include "ip_plugin.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * The longest pass phrase that is handed to the kernel. It takes fewer bytes
 * and says so itself; this only keeps the phrase from filling the message.
 */
#define PASS_ROOM	255

#define VHID_RANGE	"1-255"
#define ADV_RANGE	"0-254"
#define STRINGIFY_(x)	#x
#define STRINGIFY(x)	STRINGIFY_(x)
#define PASS_RANGE	"0-" STRINGIFY(CARP_PASS_MAX)

static const struct {
	const char *word;
	int type;
	const char *range;
} numbers[] = {
	{ "vhid",	IFLA_CARP_VHID,		VHID_RANGE },
	{ "advbase",	IFLA_CARP_ADVBASE,	ADV_RANGE },
	{ "advskew",	IFLA_CARP_ADVSKEW,	ADV_RANGE },
};

/* In JSON and on the command line in lower case, in text in upper case. */
static const struct {
	const char *lower;
	const char *upper;
} states[] = {
	[CARP_STATE_INIT]	= { "init",	"INIT" },
	[CARP_STATE_BACKUP]	= { "backup",	"BACKUP" },
	[CARP_STATE_MASTER]	= { "master",	"MASTER" },
};

/* The names are an interface: scripts read them from ip -json. */
static const struct {
	int type;
	const char *name;
	bool starts_line;
} counters[] = {
	{ CARP_STATS_RX_IPV4,			"rx_ipv4", true },
	{ CARP_STATS_RX_IPV6,			"rx_ipv6", false },
	{ CARP_STATS_RX_ECHO,			"rx_echo", false },
	{ CARP_STATS_RX_NOT_ALLOWED,		"rx_not_allowed", false },
	{ CARP_STATS_RX_BAD_INTERFACE,		"rx_bad_interface", true },
	{ CARP_STATS_RX_BAD_TTL,		"rx_bad_ttl", false },
	{ CARP_STATS_RX_SHORT,			"rx_short", false },
	{ CARP_STATS_RX_BAD_CHECKSUM,		"rx_bad_checksum", false },
	{ CARP_STATS_RX_BAD_VERSION,		"rx_bad_version", true },
	{ CARP_STATS_RX_BAD_LENGTH,		"rx_bad_length", false },
	{ CARP_STATS_RX_BAD_AUTH,		"rx_bad_auth", false },
	{ CARP_STATS_RX_BAD_VHID,		"rx_bad_vhid", false },
	{ CARP_STATS_RX_BAD_ADDRESS_LIST,	"rx_bad_address_list", false },
	{ CARP_STATS_TX_IPV4,			"tx_ipv4", true },
	{ CARP_STATS_TX_IPV6,			"tx_ipv6", false },
	{ CARP_STATS_TX_NO_MEMORY,		"tx_no_memory", false },
	{ CARP_STATS_TX_ERROR,			"tx_error", false },
	{ CARP_STATS_TX_STATE_UPDATES,		"tx_state_updates", false },
	{ CARP_STATS_PREEMPT,			"preempt", true },
};

_Static_assert(ARRAY_SIZE(counters) == CARP_STATS_MAX - CARP_STATS_PAD,
	       "a counter of if_carp.h has no name here");

static void explain(FILE *f)
{
	fputs("Usage: ... carp [ vhid VHID ] [ carpdev DEV | -carpdev ]\n"
	      "                [ advbase SECONDS ] [ advskew SKEW ]\n"
	      "                [ pass PHRASE | passfile FILE ]\n"
	      "                [ state { backup | master } ]\n"
	      "\n"
	      "  vhid      " VHID_RANGE ": the virtual host, as its network knows it. No default;\n"
	      "            without it the interface stays in state INIT.\n"
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
	      "  state     become backup or master, once.\n"
	      "\n"
	      "All of them can be given later: ip link set DEV type carp ...\n",
	      f);
}

/* The words that are still to be read, and the message that they fill. */
struct command {
	int argc;
	char **argv;
	const char *word;
	unsigned int seen;
	struct nlmsghdr *n;
};

static char *next_value(struct command *c)
{
	if (c->argc < 2) {
		fprintf(stderr, "Error: \"%s\" needs a value.\n", c->word);
		return NULL;
	}
	c->argc--;
	return *++c->argv;
}

static int bad_value(const struct command *c, const char *value,
		     const char *expected)
{
	fprintf(stderr, "Error: \"%s\" value \"%s\" is invalid: %s is expected.\n",
		c->word, value, expected);
	return -1;
}

static int put(struct command *c, int type, const void *data, int len)
{
	/* The kernel would take the last one without a word. */
	if (c->seen & (1U << type)) {
		fprintf(stderr, "Error: duplicate \"%s\".\n", c->word);
		return -1;
	}
	c->seen |= 1U << type;
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
	for (__u8 state = 0; state < ARRAY_SIZE(states); state++) {
		if (!strcasecmp(value, states[state].lower))
			return put(c, IFLA_CARP_STATE, &state, sizeof(state));
	}
	return bad_value(c, value, "backup or master");
}

/* No message of this function shows the phrase. */
static int put_phrase(struct command *c, const char *phrase, size_t len)
{
	if (len > PASS_ROOM) {
		fprintf(stderr,
			"Error: the value of \"%s\" is too long: " PASS_RANGE " bytes are expected.\n",
			c->word);
		return -1;
	}
	return put(c, IFLA_CARP_PASS, phrase, len);
}

static int put_pass(struct command *c)
{
	char *phrase;
	size_t len;
	int ret;

	phrase = next_value(c);
	if (!phrase)
		return -1;
	len = strlen(phrase);
	ret = put_phrase(c, phrase, len);
	/* These bytes are /proc/PID/cmdline: the sooner gone the better. */
	explicit_bzero(phrase, len);
	return ret;
}

/* The length of the line, without its end; -1: see errno. */
static ssize_t read_line(int fd, char *line, size_t room)
{
	size_t len = 0;

	/* One by one: what follows the line is for the next reader of fd. */
	while (len < room) {
		ssize_t got = read(fd, line + len, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0 || line[len] == '\n')
			break;
		len++;
	}
	return len;
}

static int put_phrase_of(struct command *c, const char *file,
			 const char *phrase, ssize_t len)
{
	if (len < 0) {
		fprintf(stderr, "Error: \"%s\" cannot read \"%s\": %s.\n",
			c->word, file, strerror(errno));
		return -1;
	}
	/* A file cut short by accident must not switch the phrase off. */
	if (len == 0) {
		fprintf(stderr,
			"Error: the first line of \"%s\" is empty; to remove the pass phrase say: pass \"\"\n",
			file);
		return -1;
	}
	return put_phrase(c, phrase, len);
}

static int put_first_line(struct command *c, const char *file, int fd)
{
	/* One byte more than is allowed tells a line that is too long. */
	char line[PASS_ROOM + 1];
	int ret;

	ret = put_phrase_of(c, file, line, read_line(fd, line, sizeof(line)));
	explicit_bzero(line, sizeof(line));
	return ret;
}

static int put_typed_line(struct command *c, const char *file)
{
	char *line = getpass("pass phrase: ");
	int ret;

	if (!line)
		return put_phrase_of(c, file, NULL, -1);
	ret = put_phrase_of(c, file, line, strlen(line));
	explicit_bzero(line, strlen(line));
	return ret;
}

static int put_passfile(struct command *c)
{
	const char *file;
	int fd, ret;

	file = next_value(c);
	if (!file)
		return -1;
	if (!strcmp(file, "-")) {
		if (batch_mode) {
			fprintf(stderr,
				"Error: \"%s -\" cannot be used in a batch, which is standard input itself.\n",
				c->word);
			return -1;
		}
		if (isatty(STDIN_FILENO))
			return put_typed_line(c, file);
		return put_first_line(c, file, STDIN_FILENO);
	}
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return put_phrase_of(c, file, NULL, -1);
	ret = put_first_line(c, file, fd);
	close(fd);
	return ret;
}

static int put_word(struct command *c)
{
	static const __u32 detached;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(c->word, numbers[i].word))
			return put_number(c, numbers[i].type, numbers[i].range);
	}
	if (!strcmp(c->word, "carpdev"))
		return put_carpdev(c);
	if (!strcmp(c->word, "-carpdev"))
		return put(c, IFLA_CARP_CARPDEV, &detached, sizeof(detached));
	if (!strcmp(c->word, "pass"))
		return put_pass(c);
	if (!strcmp(c->word, "passfile"))
		return put_passfile(c);
	if (!strcmp(c->word, "state"))
		return put_state(c);
	if (strcmp(c->word, "help"))
		fprintf(stderr, "Error: carp does not know the word \"%s\".\n",
			c->word);
	explain(stderr);
	return -1;
}

static int carp_parse_opt(struct link_util *lu, int argc, char **argv,
			  struct nlmsghdr *n)
{
	struct command c = { .argc = argc, .argv = argv, .n = n };

	(void)lu;
	for (; c.argc > 0; c.argc--, c.argv++) {
		c.word = *c.argv;
		if (put_word(&c))
			return -1;
	}
	return 0;
}

/* NULL if the attribute is absent or of a shape that we do not know. */
static const void *payload(const struct rtattr *rta, size_t len)
{
	return rta && RTA_PAYLOAD(rta) == len ? RTA_DATA(rta) : NULL;
}

static void print_u8(const char *key, const char *fmt, const struct rtattr *rta)
{
	const __u8 *value = payload(rta, sizeof(*value));

	if (value)
		print_uint(PRINT_ANY, key, fmt, *value);
}

static void print_state(const struct rtattr *rta)
{
	const __u8 *state = payload(rta, sizeof(*state));
	char number[4];

	if (!state)
		return;
	if (*state < ARRAY_SIZE(states)) {
		print_string(PRINT_JSON, "state", NULL, states[*state].lower);
		print_string(PRINT_FP, NULL, "state %s ", states[*state].upper);
	} else {
		snprintf(number, sizeof(number), "%u", *state);
		print_string(PRINT_ANY, "state", "state %s ", number);
	}
}

static void print_carpdev(const struct rtattr *rta)
{
	const __u32 *ifindex = payload(rta, sizeof(*ifindex));

	if (ifindex && *ifindex)
		print_string(PRINT_ANY, "carpdev", "carpdev %s ",
			     ll_index_to_name(*ifindex));
}

static void print_stats(struct rtattr *nest)
{
	struct rtattr *tb[CARP_STATS_MAX + 1];

	parse_rtattr(tb, CARP_STATS_MAX, RTA_DATA(nest), RTA_PAYLOAD(nest));
	open_json_object("stats");
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		const void *data = payload(tb[counters[i].type], sizeof(__u64));
		__u64 value;

		if (counters[i].starts_line) {
			print_nl();
			print_string(PRINT_FP, NULL, "%s", "      ");
		}
		if (!data)
			continue;
		/* Netlink aligns to 4 bytes only. */
		memcpy(&value, data, sizeof(value));
		print_string(PRINT_FP, NULL, "%s ", counters[i].name);
		print_u64(PRINT_ANY, counters[i].name, "%" PRIu64 " ", value);
	}
	close_json_object();
	/* ip goes on with words of its own, of every link. */
	print_nl();
	print_string(PRINT_FP, NULL, "%s", "    ");
}

static void carp_print_opt(struct link_util *lu, FILE *f, struct rtattr *tb[])
{
	const __u32 *demote;

	(void)lu;
	(void)f;
	if (!tb)
		return;
	print_state(tb[IFLA_CARP_STATE]);
	print_u8("vhid", "vhid %u ", tb[IFLA_CARP_VHID]);
	print_carpdev(tb[IFLA_CARP_CARPDEV]);
	print_u8("advbase", "advbase %u ", tb[IFLA_CARP_ADVBASE]);
	print_u8("advskew", "advskew %u ", tb[IFLA_CARP_ADVSKEW]);
	demote = payload(tb[IFLA_CARP_DEMOTE], sizeof(*demote));
	if (demote)
		print_uint(PRINT_ANY, "demote", "demote %u ", *demote);
	if (show_stats && tb[IFLA_CARP_STATS])
		print_stats(tb[IFLA_CARP_STATS]);
}

static void carp_print_help(struct link_util *lu, int argc, char **argv, FILE *f)
{
	(void)lu;
	(void)argc;
	(void)argv;
	explain(f);
}

struct link_util carp_link_util = {
	.id = "carp",
	.maxattr = IFLA_CARP_MAX,
	.parse_opt = carp_parse_opt,
	.print_opt = carp_print_opt,
	.print_help = carp_print_help,
};
