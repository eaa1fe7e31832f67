// SPDX-License-Identifier: GPL-2.0

#include <linux/rhashtable.h>

#include "helpers.h"

/* What a node of rust/watch.rs begins with. */
struct watch_node {
	struct rhash_head head;
	unsigned long key;
};

static const struct rhashtable_params watch_params = {
	.key_len = sizeof_field(struct watch_node, key),
	.key_offset = offsetof(struct watch_node, key),
	.head_offset = offsetof(struct watch_node, head),
	.automatic_shrinking = true,
};

int carp_helper_watch_table_init(struct rhashtable *table)
{
	return rhashtable_init(table, &watch_params);
}

void *carp_helper_watch_table_find(struct rhashtable *table, unsigned long key)
{
	return rhashtable_lookup(table, &key, watch_params);
}

int carp_helper_watch_table_insert(struct rhashtable *table, void *node)
{
	return rhashtable_lookup_insert_fast(table, node, watch_params);
}

int carp_helper_watch_table_remove(struct rhashtable *table, void *node)
{
	return rhashtable_remove_fast(table, node, watch_params);
}
