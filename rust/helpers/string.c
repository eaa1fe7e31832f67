// SPDX-License-Identifier: GPL-2.0

#include <linux/string.h>

#include "helpers.h"

void carp_helper_memzero_explicit(void *s, size_t count)
{
	memzero_explicit(s, count);
}
