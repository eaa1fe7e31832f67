// SPDX-License-Identifier: GPL-2.0
/* From attributes to words: what all kinds have in common. */
#include <inttypes.h>
#include <string.h>
#include <arpa/inet.h>

#include "shared.h"

struct rtattr *next_element(const struct rtattr *nest, struct rtattr *rta, int kind)
{
	const char *end;
	int left;

	if (!nest)
		return NULL;
	end = (const char *)nest + nest->rta_len;
	if (rta)
		rta = (struct rtattr *)((char *)rta + RTA_ALIGN(rta->rta_len));
	else
		rta = RTA_DATA(nest);
	left = end - (const char *)rta;
	while (RTA_OK(rta, left)) {
		if ((rta->rta_type & NLA_TYPE_MASK) == kind)
			return rta;
		rta = RTA_NEXT(rta, left);
	}
	return NULL;
}

void print_u8(const char *key, const char *fmt, const struct rtattr *rta)
{
	const __u8 *value = payload(rta, sizeof(*value));

	if (value)
		print_uint(PRINT_ANY, key, fmt, *value);
}

void print_u32(const char *key, const char *fmt, const struct rtattr *rta)
{
	const __u32 *value = payload(rta, sizeof(*value));

	if (value)
		print_uint(PRINT_ANY, key, fmt, *value);
}

void print_switch(const char *key, const char *text, bool usual,
		  const struct rtattr *rta)
{
	const __u8 *value = payload(rta, sizeof(*value));

	if (!value)
		return;
	print_bool(PRINT_JSON, key, NULL, *value);
	if (!*value == usual)
		print_string(PRINT_FP, NULL, "%s ", text);
}

const char *address_text(const struct rtattr *rta, char text[INET6_ADDRSTRLEN])
{
	switch (RTA_PAYLOAD(rta)) {
	case sizeof(struct in_addr):
		return inet_ntop(AF_INET, RTA_DATA(rta), text, INET6_ADDRSTRLEN);
	case sizeof(struct in6_addr):
		return inet_ntop(AF_INET6, RTA_DATA(rta), text, INET6_ADDRSTRLEN);
	default:
		return NULL;
	}
}

void print_counters(const struct rtattr *nest, const struct counter *counters,
		    size_t count)
{
	struct rtattr *tb[COUNTERS_MAX + 1];

	parse_rtattr(tb, COUNTERS_MAX, RTA_DATA(nest), RTA_PAYLOAD(nest));
	open_json_object("stats");
	for (size_t i = 0; i < count; i++) {
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
}

void end_lines(void)
{
	print_nl();
	print_string(PRINT_FP, NULL, "%s", "    ");
}
