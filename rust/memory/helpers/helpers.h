/* SPDX-License-Identifier: GPL-2.0 */
/* Inline functions and macros of the kernel that Rust cannot call. */
#ifndef CARP_RUST_MEMORY_HELPERS_H
#define CARP_RUST_MEMORY_HELPERS_H

#include <net/net_namespace.h>

#include "../../adapter/helpers/helpers.h"

/* nsproxy.c */
const struct net *carp_helper_current_net(void);

#endif
