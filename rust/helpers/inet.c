// SPDX-License-Identifier: GPL-2.0

#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <net/dst.h>
#include <net/inet_dscp.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>

struct in_device *carp_helper___in_dev_get_rcu(const struct net_device *dev)
{
	return __in_dev_get_rcu(dev);
}

struct in_device *carp_helper___in_dev_get_rtnl(const struct net_device *dev)
{
	return __in_dev_get_rtnl(dev);
}

/* For both readers under RCU and holders of RTNL. */
struct in_ifaddr *carp_helper_in_dev_first_ifa(const struct in_device *in_dev)
{
	return rcu_dereference_raw(in_dev->ifa_list);
}

struct in_ifaddr *carp_helper_in_ifa_next(const struct in_ifaddr *ifa)
{
	return rcu_dereference_raw(ifa->ifa_next);
}

void carp_helper_in_dev_hold(struct in_device *in_dev)
{
	in_dev_hold(in_dev);
}

void carp_helper_in_dev_put(struct in_device *in_dev)
{
	in_dev_put(in_dev);
}

void carp_helper_ip_mc_dec_group(struct in_device *in_dev, __be32 addr)
{
	ip_mc_dec_group(in_dev, addr);
}

int carp_helper_ipcb_iif(const struct sk_buff *skb)
{
	return IPCB(skb)->iif;
}

struct net_device *carp_helper_net_loopback_dev(struct net *net)
{
	return net->loopback_dev;
}

dscp_t carp_helper_inet_dsfield_to_dscp(u8 dsfield)
{
	return inet_dsfield_to_dscp(dsfield);
}

u32 carp_helper_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

struct net_device *carp_helper_dst_dev(const struct dst_entry *dst)
{
	return dst_dev(dst);
}

int carp_helper_fib_lookup(struct net *net, struct flowi4 *flow, struct fib_result *result,
			   unsigned int flags)
{
	return fib_lookup(net, flow, result, flags);
}

int carp_helper_l3mdev_master_ifindex_rcu(const struct net_device *dev)
{
	return l3mdev_master_ifindex_rcu(dev);
}

int carp_helper_ipv4_devconf_get(const struct in_device *in_dev, int index)
{
	return ipv4_devconf_get(in_dev, index);
}

void carp_helper_ipv4_devconf_set(struct in_device *in_dev, int index, int val)
{
	ipv4_devconf_set(in_dev, index, val);
}

bool carp_helper_ip_ignore_linkdown(const struct net_device *dev)
{
	return ip_ignore_linkdown(dev);
}
