// SPDX-License-Identifier: GPL-2.0

#include <net/inet_dscp.h>

#include "helpers.h"

dscp_t carp_helper_inet_dsfield_to_dscp(u8 dsfield)
{
	return inet_dsfield_to_dscp(dsfield);
}
