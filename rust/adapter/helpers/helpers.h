/* SPDX-License-Identifier: GPL-2.0 */
/* What rust/adapter calls. */
#ifndef CARP_RUST_ADAPTER_HELPERS_H
#define CARP_RUST_ADAPTER_HELPERS_H

#include <linux/jiffies.h>

/* bottom_half.c */
void carp_helper_local_bh_disable(void);
void carp_helper_local_bh_enable(void);

/* jiffies.c */
u32 carp_helper_jiffies32(void);

#ifdef __BINDGEN__
/* bindgen would take the first of several definitions, that of user space. */
static const unsigned int CARP_CONST_HZ = HZ;
#endif

#endif
