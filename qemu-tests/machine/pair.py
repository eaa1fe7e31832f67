# SPDX-License-Identifier: GPL-2.0
"""How the two firewalls are configured, and what is asked of them."""

from __future__ import annotations

import json

from cluster import wait_for
from machine import Firewalls, Machine
from outside import FORWARDING, GATEWAY, SYSCTLS, address_of
from test_carp import VIP

SLACK = 2.5

RULES = f"""#!/usr/sbin/nft -f
flush ruleset
table inet filter {{
    chain input {{
        type filter hook input priority filter
        policy drop
        iif lo accept
        ct state established,related accept
        meta l4proto {{ icmp, icmpv6, 112, 240 }} accept
    }}
    {FORWARDING}
}}
"""


def configure(machine: Machine, advskew: int) -> None:
    """In the words of the books, where they have some."""
    machine.write(
        "/etc/hostname.eth0",
        f"inet {machine.address} 255.255.255.0 10.0.0.255\n"
        f"inet alias {address_of(machine)} 255.255.255.0\n",
    )
    machine.write(
        "/etc/hostname.carp0",
        f"inet {VIP} 255.255.255.0 10.0.0.255 vhid 1 pass secretpassword carpdev eth0 "
        f'advskew {advskew} description "OUTSIDE"\n'
        f"inet alias {GATEWAY} 255.255.255.0\n",
        0o600,
    )
    machine.write("/etc/hostname.pfsync0", "up syncdev eth0\n")
    knobs = {"net.inet.carp.preempt": 1, **SYSCTLS}
    lines = "".join(f"{name}={value}\n" for name, value in knobs.items())
    machine.write("/etc/sysctl.d/firewall.conf", lines)
    # else systemd-sysctl passes over its sysctls
    machine.write("/etc/modules-load.d/firewall.conf", "nf_conntrack\n")
    machine.write("/etc/nftables.conf", RULES, 0o755)
    machine.run("systemctl", "-q", "enable", "nftables.service")


def packages(machine: Machine) -> tuple[str, str]:
    return "carp-tools", f"carp-modules-{machine.run('uname', '-r').strip()}"


def state(machine: Machine) -> str:
    """Of carp0; without the interface, or the module, it is "none"."""
    shown = json.loads(machine.run("ip", "-d", "-j", "link", "show", "type", "carp") or "[]")
    states = [it["linkinfo"]["info_data"]["state"] for it in shown if "linkinfo" in it]
    return states[0] if states else "none"


def wait_state(machine: Machine, wanted: str, timeout: float = 60) -> None:
    wait_for(lambda: state(machine) == wanted, timeout, f"carp0 on {machine} is {wanted}")


def wait_both(firewalls: Firewalls) -> None:
    """As it is when all is well."""
    wait_state(firewalls.a, "master")
    wait_state(firewalls.b, "backup")


def has_states(machine: Machine) -> bool:
    return "bulk done" in machine.run("ip", "-d", "link", "show", "pfsync0")


def addresses(machine: Machine, device: str) -> list[str]:
    """In no order: it is the kernel's, or that of a network manager."""
    shown = machine.run("ip", "-o", "-4", "addr", "show", "dev", device)
    return sorted(line.split()[3] for line in shown.splitlines())


def failed_units(machine: Machine) -> str:
    return machine.run("systemctl", "--failed", "--plain", "--no-legend")
