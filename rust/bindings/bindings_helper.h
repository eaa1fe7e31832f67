/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads: the headers of the kernel parts that rust/ wraps. */

#include <crypto/sha1.h>
#include <linux/etherdevice.h>
#include <linux/hrtimer.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/kobject.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_arp.h>
#include <linux/notifier.h>
#include <linux/pkt_sched.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include <linux/kmod.h>
#include <linux/rcupdate.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/sysctl.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/genetlink.h>
#include <net/if_inet6.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/netns/generic.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/rtnetlink.h>

#include "../../include/uapi/linux/carp.h"
#include "../../include/pfsync_table.h"
#include "../../include/uapi/linux/if_carp.h"
#include "../../include/uapi/linux/if_pfsync.h"
#include "../helpers/helpers.c"
