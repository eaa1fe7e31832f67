/* SPDX-License-Identifier: GPL-2.0 */
/* What the plug-ins for ip(8) share: words, attributes, and what is shown of them. */
#ifndef IPROUTE2_SHARED_H
#define IPROUTE2_SHARED_H

#include <netinet/in.h>
/* Authentication has the same numbers for all kinds. */
#include <linux/if_carp.h>

#include "ip_plugin.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define STRINGIFY_(x)	#x
#define STRINGIFY(x)	STRINGIFY_(x)

#define AUTH_KEY_RANGE	STRINGIFY(CARP_AUTH_KEY_MIN) "-" STRINGIFY(CARP_AUTH_KEY_MAX)

/* A key that authenticates whole packets. */
struct auth_key {
	__u8 id;
	size_t len;
	unsigned char secret[CARP_AUTH_KEY_MAX];
};

/* The attributes of a kind that are about authentication. */
struct auth_attributes {
	int mode;
	int keys;
	int remove;
	int active;
	int window;
	int monotonic;
};

/*
 * The words that are still to be read, and the message that they fill. Keys go into one
 * nest, wherever they stand among the words, so they are collected.
 */
struct command {
	int argc;
	char **argv;
	const char *word;
	__u64 seen;
	struct nlmsghdr *n;
	int keys_attribute;
	int key_count;
	struct auth_key keys[CARP_AUTH_KEYS_MAX];
};

/* A word whose value is a number that fits into a u8. */
struct number_word {
	const char *word;
	int type;
	const char *range;
};

/* shared_words.c */

/*
 * Reads all words of a command. @put_word takes one with its value: 0, or -1 after
 * it has said what is wrong, or 1 if there is no such word; then @explain is shown.
 */
int read_words(struct link_util *lu, int argc, char **argv, struct nlmsghdr *n,
	       int (*put_word)(struct command *c), void (*explain)(FILE *f));
char *next_value(struct command *c);
int bad_value(const struct command *c, const char *value, const char *expected);
/* Notes that an attribute is being given; -1 if it was before. */
int give_once(struct command *c, int type);
/*
 * The same for a word of which several may be wanted, each an @item: rtnetlink keeps the
 * last of several attributes alike, so a command takes one.
 */
int give_item_once(struct command *c, int type, const char *item);
int put(struct command *c, int type, const void *data, int len);
int put_number(struct command *c, const struct number_word *number);
/* One of @count @names, whose number is the value; @expected names them all. */
int put_choice(struct command *c, int type, const char *const *names, size_t count,
	       const char *expected);
/* A device's name; "none" is index 0. */
int put_device(struct command *c, int type);
/* @bytes has room for 16. How many an address has: 4, 16, or 0 if @text is none. */
int read_address(const char *text, unsigned char *bytes);

/* shared_secret.c */

/*
 * Opens a file that holds a secret, which is a @what; "-" is standard input. -1 after it
 * has said what is wrong. For close_secret().
 */
int open_secret(const struct command *c, const char *file, const char *what);
void close_secret(int fd);
/* Says why, by errno; returns -1. */
int cannot_read(const struct command *c, const char *file);

/* shared_key.c */

/* Reads the key in a file; -1 after it has said what is wrong. */
int read_key(const struct command *c, const char *file, struct auth_key *key);

/* shared_auth.c: the words of authentication */

/* What the usage of every kind says of them; the lists of words are the kinds'. */
extern const char auth_help[];
/* As a kind's put_word(). */
int put_auth_word(struct command *c, const struct auth_attributes *attributes);
/* All keys that were said, in their nest. */
int put_auth_keys(struct command *c);
/* @window: seconds that are not worth a word. */
void print_auth(struct rtattr *tb[], const struct auth_attributes *attributes,
		unsigned int window);

/* shared_print.c */

/* The next element of a kind in a nest, which may be absent; NULL after the last. */
struct rtattr *next_element(const struct rtattr *nest, struct rtattr *rta, int kind);

#define for_each_element(rta, nest, kind)			\
	for ((rta) = next_element(nest, NULL, kind); (rta);	\
	     (rta) = next_element(nest, rta, kind))


void print_u8(const char *key, const char *fmt, const struct rtattr *rta);
void print_u32(const char *key, const char *fmt, const struct rtattr *rta);
/* A switch shows in text only where it is not at its default. */
void print_switch(const char *key, const char *text, bool usual,
		  const struct rtattr *rta);
/* NULL if an attribute has no length of an address. */
const char *address_text(const struct rtattr *rta, char text[INET6_ADDRSTRLEN]);

/* At least as many counters as any kind has. */
#define COUNTERS_MAX	63

struct counter {
	int type;
	const char *name;
	bool starts_line;
};

/* The counters in a nest, as ip -statistics shows them. */
void print_counters(const struct rtattr *nest, const struct counter *counters,
		    size_t count);
/* After lines of one's own: ip goes on with words of its own, of every link. */
void end_lines(void);

/* NULL if the attribute is absent or of a shape that we do not know. */
static inline const void *payload(const struct rtattr *rta, size_t len)
{
	return rta && RTA_PAYLOAD(rta) == len ? RTA_DATA(rta) : NULL;
}

#endif /* IPROUTE2_SHARED_H */
