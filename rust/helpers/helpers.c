// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel that Rust cannot call, one function
 * each, one file for each kernel facility. rust/bindings names them without
 * their prefix.
 */

#include "netdevice.c"
#include "netlink.c"
#include "genetlink.c"
#include "skbuff.c"
#include "inet.c"
#include "inet6.c"
#include "neighbour.c"
#include "memcg.c"
#include "namespace.c"
#include "ratelimit.c"
#include "rhashtable.c"
#include "spinlock.c"
#include "string.c"
#include "suspend.c"
