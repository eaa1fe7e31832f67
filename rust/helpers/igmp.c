// SPDX-License-Identifier: GPL-2.0

#include <linux/igmp.h>

#include "helpers.h"

void carp_helper_ip_mc_dec_group(struct in_device *in_dev, __be32 addr)
{
	ip_mc_dec_group(in_dev, addr);
}
