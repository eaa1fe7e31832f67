// SPDX-License-Identifier: GPL-2.0

#include <net/ip.h>

#include "helpers.h"

int carp_helper_ipcb_iif(const struct sk_buff *skb)
{
	return IPCB(skb)->iif;
}
