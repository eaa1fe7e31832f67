// SPDX-License-Identifier: GPL-2.0
/*
 * fail_calls: has a kernel with CONFIG_FAIL_FUNCTION allow that the functions by which
 * the modules register something fail on request (see failcalls.py). It does nothing
 * itself; the list of what may fail counts as long as it is loaded. For tests; never
 * installed.
 */
#include <linux/error-injection.h>
#include <linux/inetdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/sysctl.h>
#include <net/addrconf.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/protocol.h>
#include <net/rtnetlink.h>

/* when a module is loaded */
ALLOW_ERROR_INJECTION(genl_register_family, ERRNO);
ALLOW_ERROR_INJECTION(inet_add_protocol, ERRNO);
ALLOW_ERROR_INJECTION(inet6_add_protocol, ERRNO);
ALLOW_ERROR_INJECTION(register_inetaddr_notifier, ERRNO);
ALLOW_ERROR_INJECTION(register_inetaddr_validator_notifier, ERRNO);
ALLOW_ERROR_INJECTION(register_inet6addr_notifier, ERRNO);
ALLOW_ERROR_INJECTION(register_inet6addr_validator_notifier, ERRNO);
ALLOW_ERROR_INJECTION(register_netdevice_notifier, ERRNO);
ALLOW_ERROR_INJECTION(register_pernet_subsys, ERRNO);
ALLOW_ERROR_INJECTION(rtnl_link_register, ERRNO);
/* with a namespace */
ALLOW_ERROR_INJECTION(register_net_sysctl_sz, NULL);
/* with an interface, its parent or its addresses */
ALLOW_ERROR_INJECTION(dev_mc_add, ERRNO);
ALLOW_ERROR_INJECTION(dev_set_mtu, ERRNO);
ALLOW_ERROR_INJECTION(dev_uc_add, ERRNO);
ALLOW_ERROR_INJECTION(ipv6_dev_mc_inc, ERRNO);
ALLOW_ERROR_INJECTION(netdev_rx_handler_register, ERRNO);
ALLOW_ERROR_INJECTION(netdev_upper_dev_link, ERRNO);
ALLOW_ERROR_INJECTION(nf_ct_netns_get, ERRNO);
ALLOW_ERROR_INJECTION(nf_register_net_hooks, ERRNO);
ALLOW_ERROR_INJECTION(register_netdevice, ERRNO);

MODULE_DESCRIPTION("lets the functions fail by which carp and pfsync register something");
MODULE_LICENSE("GPL");
