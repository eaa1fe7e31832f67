// SPDX-License-Identifier: GPL-2.0

#include <linux/export.h>

#include "../../../include/pfsync_table.h"

/* The table itself is Rust's; only C can export it. */
extern const struct pfsync_table_ops pfsync_table_memory;
EXPORT_SYMBOL_GPL(pfsync_table_memory);
