/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What our plug-ins use of ip(8). iproute2 installs no header for plug-ins,
 * so this declares those few symbols of the ip binary that we call. They are
 * the same from iproute2 6.1 (Debian bookworm) to 6.15 (trixie).
 */
#ifndef CARP_IP_PLUGIN_H
#define CARP_IP_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/*
 * ip looks up the symbol KIND_link_util in <libdir>/ip/link_KIND.so. It owns
 * @next, and compares @id with the kind once the object is loaded.
 */
struct link_util {
	struct link_util *next;
	const char *id;
	/* ip passes @print_opt an array of this many attributes plus one. */
	int maxattr;
	/* The words after "type KIND"; anything but 0 ends the command. */
	int (*parse_opt)(struct link_util *lu, int argc, char **argv,
			 struct nlmsghdr *n);
	/* @tb is NULL where the kernel sent no IFLA_INFO_DATA. */
	void (*print_opt)(struct link_util *lu, FILE *f, struct rtattr *tb[]);
	/* Not ours; the parameters of the last one differ between versions. */
	void (*print_xstats)(void);
	void (*print_help)(struct link_util *lu, int argc, char **argv, FILE *f);
	void (*parse_ifla_xstats)(void);
	void (*print_ifla_xstats)(void);
};

/* The room in ip's request that every plug-in for a link kind counts on. */
#define IP_REQUEST_ROOM	1024

int addattr_l(struct nlmsghdr *n, int maxlen, int type, const void *data,
	      int alen);
/* Where a nest begins, for addattr_nest_end(). */
struct rtattr *addattr_nest(struct nlmsghdr *n, int maxlen, int type);
int addattr_nest_end(struct nlmsghdr *n, struct rtattr *nest);
int parse_rtattr(struct rtattr *tb[], int max, struct rtattr *rta, int len);

/* 0 and -1 mean success and failure. */
int get_u8(__u8 *val, const char *arg, int base);
int get_u16(__u16 *val, const char *arg, int base);
int get_u32(__u32 *val, const char *arg, int base);
/* Says that there is no such device; returns -1. */
int nodev(const char *dev);

/* 0: no such device. */
unsigned int ll_name_to_index(const char *name);
/* Never NULL: an index without a name comes out as "if7". */
const char *ll_index_to_name(unsigned int idx);

/* ip -statistics and ip -batch. */
extern int show_stats;
extern int batch_mode;

enum output_type {
	PRINT_FP = 1,
	PRINT_JSON = 2,
	PRINT_ANY = 4,
};

enum color_attr {
	COLOR_NONE = 6,
};

bool is_json_context(void);
void open_json_object(const char *key);
void close_json_object(void);
/* In text they print @str. */
void open_json_array(enum output_type t, const char *str);
void close_json_array(enum output_type t, const char *str);
/* A line's end as "ip -oneline" wants it; nothing in JSON. */
void print_nl(void);
int print_color_string(enum output_type t, enum color_attr color,
		       const char *key, const char *fmt, const char *value);
int print_color_uint(enum output_type t, enum color_attr color,
		     const char *key, const char *fmt, unsigned int value);
int print_color_int(enum output_type t, enum color_attr color,
		    const char *key, const char *fmt, int value);
int print_color_bool(enum output_type t, enum color_attr color,
		     const char *key, const char *fmt, bool value);
int print_color_0xhex(enum output_type t, enum color_attr color,
		      const char *key, const char *fmt, unsigned long long value);
int print_color_u64(enum output_type t, enum color_attr color,
		    const char *key, const char *fmt, uint64_t value);

static inline void print_string(enum output_type t, const char *key,
				const char *fmt, const char *value)
{
	print_color_string(t, COLOR_NONE, key, fmt, value);
}

static inline void print_uint(enum output_type t, const char *key,
			      const char *fmt, unsigned int value)
{
	print_color_uint(t, COLOR_NONE, key, fmt, value);
}

static inline void print_int(enum output_type t, const char *key,
			     const char *fmt, int value)
{
	print_color_int(t, COLOR_NONE, key, fmt, value);
}

static inline void print_bool(enum output_type t, const char *key,
			      const char *fmt, bool value)
{
	print_color_bool(t, COLOR_NONE, key, fmt, value);
}

/* In JSON a string, "0x1". */
static inline void print_0xhex(enum output_type t, const char *key,
			       const char *fmt, unsigned long long value)
{
	print_color_0xhex(t, COLOR_NONE, key, fmt, value);
}

static inline void print_u64(enum output_type t, const char *key,
			     const char *fmt, uint64_t value)
{
	print_color_u64(t, COLOR_NONE, key, fmt, value);
}

#endif /* CARP_IP_PLUGIN_H */
