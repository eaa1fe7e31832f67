# SPDX-License-Identifier: GPL-2.0
"""Who else configures interfaces: they leave carp0 and pfsync0 alone, even if they are
told to take all there are, and each can set the addresses as hostname.if(5) says."""

from __future__ import annotations

import time

import pytest
from cluster import wait_for
from machine import Firewalls, Machine
from outside import GATEWAY, address_of
from pair import addresses, configure, failed_units, state, wait_both, wait_state
from test_carp import ADVSKEW, VIP

SHARED = [f"{VIP}/24", f"{GATEWAY}/24"]
NETWORKD = ("systemd-networkd.socket", "systemd-networkd.service")
# the interface alone
BARE = "vhid 1 pass secretpassword carpdev eth0 advskew {} description OUTSIDE\nup\n"


def is_left_alone(machine: Machine, wanted: str) -> None:
    """carp0 has its addresses and its state, for a while."""
    for _ in range(3):
        assert addresses(machine, "carp0") == SHARED
        assert state(machine) == wanted
        time.sleep(1)


def is_left_alone_by(machine: Machine, wanted: str, *commands: str) -> None:
    """After each of them."""
    for command in commands:
        machine.run(*command.split())
        is_left_alone(machine, wanted)


def metric(machine: Machine) -> str:
    """Of the route that a shared address brings."""
    shown = machine.run("ip", "route", "show", "10.0.0.0/24", "dev", "carp0")
    return shown.partition("metric ")[2].split()[0]


# -- they are told to take all


ALL = "[Match]\nName=*\n[Network]\nDHCP=yes\n"


def test_networkd_is_told_to_take_all(firewalls: Firewalls) -> None:
    """eth0, too; that it loses its addresses is as the administrator wants it."""
    a = firewalls.a
    a.write("/etc/systemd/network/50-all.network", ALL)
    a.run("systemctl", "start", "systemd-networkd.service")
    is_left_alone_by(
        a,
        "master",
        "networkctl reload",
        "networkctl reconfigure eth0",
        "systemctl restart systemd-networkd.service",
    )
    for name in ("carp0", "pfsync0"):
        shown = a.run("networkctl", "--no-pager", "--no-legend", "list", name)
        assert shown.split()[-1] == "unmanaged", shown
    a.run("rm", "/etc/systemd/network/50-all.network")
    stop_networkd(firewalls, a)


def stop_networkd(firewalls: Firewalls, machine: Machine) -> None:
    machine.run("systemctl", "stop", *NETWORKD)
    machine.run("systemctl", "reload", "carp.service")
    wait_both(firewalls)


NETPLAN = """network:
  version: 2
  renderer: {}
  ethernets:
    all:
      match: {{name: "*"}}
      dhcp4: true
"""


@pytest.mark.parametrize("renderer", ["networkd", "NetworkManager"])
def test_netplan_is_told_to_take_all(firewalls: Firewalls, renderer: str) -> None:
    a = firewalls.a
    a.write("/etc/netplan/50-all.yaml", NETPLAN.format(renderer), 0o600)
    if renderer == "NetworkManager":
        a.run("systemctl", "start", "NetworkManager.service")
    a.run("netplan", "apply")
    is_left_alone(a, "master")
    if renderer == "networkd":
        shown = a.run("networkctl", "--no-pager", "--no-legend", "list", "carp0")
        assert shown.split()[-1] == "unmanaged", shown
    else:
        assert nmcli_state(a, "carp0") == "unmanaged"
        assert nmcli_state(a, "pfsync0") == "unmanaged"
    a.run("rm", "/etc/netplan/50-all.yaml")
    a.run("systemctl", "stop", "NetworkManager.service")
    a.run("sh", "-c", "netplan generate; rm -f /run/systemd/network/*netplan*")
    stop_networkd(firewalls, a)


def nmcli_state(machine: Machine, name: str) -> str:
    return machine.run("nmcli", "-g", "GENERAL.STATE", "device", "show", name).split("(")[1][:-2]


def test_networkmanager(firewalls: Firewalls) -> None:
    a = firewalls.a
    a.run("systemctl", "start", "NetworkManager.service")
    is_left_alone(a, "master")
    assert nmcli_state(a, "carp0") == "unmanaged"
    assert nmcli_state(a, "pfsync0") == "unmanaged"
    a.run("systemctl", "restart", "NetworkManager.service")
    is_left_alone(a, "master")
    a.run("systemctl", "stop", "NetworkManager.service")
    wait_both(firewalls)


def test_ifupdown(firewalls: Firewalls) -> None:
    a = firewalls.a
    is_left_alone_by(
        a,
        "master",
        "ifup -a",
        "systemctl restart networking.service",
        "ifdown -a",
        "ifup -a",
    )


# -- they set the addresses, as the manual says


NETWORK = f"""[Match]
Name=carp0

[Network]
Address={VIP}/24
Address={GATEWAY}/24
ConfigureWithoutCarrier=yes
LinkLocalAddressing=no
IPv6AcceptRA=no

[Link]
RequiredForOnline=no
"""


def test_networkd_sets_the_addresses_of_a_backup(firewalls: Firewalls) -> None:
    """Of eth0, too, from the boot on."""
    b = firewalls.b
    b.run("rm", "/etc/hostname.eth0")
    b.write("/etc/hostname.carp0", BARE.format(ADVSKEW), 0o600)
    b.write("/etc/systemd/network/01-carp0.network", NETWORK)
    own = f"[Match]\nName=eth0\n[Network]\nAddress={b.address}/24\nAddress={address_of(b)}/24\n"
    b.write("/etc/systemd/network/50-eth0.network", own)
    b.run("systemctl", "-q", "enable", "systemd-networkd.service")
    b.stop_in_order()
    b.start()
    b.wait_up()
    wait_state(b, "backup")
    wait_for(lambda: addresses(b, "carp0") == SHARED, 30, "networkd has set the addresses")
    assert not failed_units(b)
    is_left_alone_by(
        b,
        "backup",
        "networkctl reload",
        "systemctl reload carp.service",
        "systemctl restart systemd-networkd.service",
    )
    assert metric(b) == "4096"
    b.run("sh", "-c", "rm /etc/systemd/network/*.network")
    b.run("systemctl", "-q", "disable", *NETWORKD)
    configure(b, advskew=ADVSKEW)
    stop_networkd(firewalls, b)


NETPLAN_ADDRESSES = f"""network:
  version: 2
  renderer: networkd
  ethernets:
    carp0:
      match: {{name: carp0}}
      addresses: [{VIP}/24, {GATEWAY}/24]
      ignore-carrier: true
      link-local: []
      accept-ra: false
      optional: true
"""


def test_netplan_sets_the_addresses_of_a_backup(firewalls: Firewalls) -> None:
    b = firewalls.b
    b.run("systemctl", "stop", "carp.service")
    b.write("/etc/hostname.carp0", BARE.format(ADVSKEW), 0o600)
    b.run("mkdir", "-p", "/etc/systemd/network/05-carp.network.d")
    b.write("/etc/systemd/network/05-carp.network.d/netplan.conf", "[Match]\nName=!carp0\n")
    b.write("/etc/netplan/carp0.yaml", NETPLAN_ADDRESSES, 0o600)
    b.run("systemctl", "start", "systemd-networkd.service", "carp.service")
    b.run("netplan", "apply")
    wait_for(lambda: addresses(b, "carp0") == SHARED, 30, "netplan has set the addresses")
    wait_both(firewalls)
    is_left_alone_by(b, "backup", "netplan apply", "networkctl reload", "systemctl reload carp")
    assert metric(b) == "4096"
    b.run("sh", "-c", "rm -r /etc/netplan/carp0.yaml /etc/systemd/network/05-carp.network.d")
    b.run("sh", "-c", "netplan generate; rm -f /run/systemd/network/*netplan*")
    configure(b, advskew=ADVSKEW)
    stop_networkd(firewalls, b)


CONNECTION = f"""[connection]
id=carp0
type=generic
interface-name=carp0

[ipv4]
method=manual
address1={VIP}/24
address2={GATEWAY}/24
route-metric=4096

[ipv6]
method=disabled
"""
MANAGED = "[device-carp0]\nmatch-device=interface-name:carp0\nmanaged=1\n"


def test_networkmanager_sets_the_addresses(firewalls: Firewalls) -> None:
    """Of the master, and of a backup."""
    connection = "/etc/NetworkManager/system-connections/carp0.nmconnection"

    def set_up(machine: Machine, advskew: int) -> None:
        machine.write("/etc/hostname.carp0", BARE.format(advskew), 0o600)
        machine.write("/etc/NetworkManager/conf.d/carp0.conf", MANAGED)
        machine.write(connection, CONNECTION, 0o600)
        machine.run("systemctl", "stop", "carp.service")
        machine.run("systemctl", "start", "NetworkManager.service", "carp.service")
        wait_for(lambda: addresses(machine, "carp0") == SHARED, 30, "the addresses are there")

    set_up(firewalls.b, ADVSKEW)
    set_up(firewalls.a, 0)
    wait_both(firewalls)
    for machine, wanted in ((firewalls.a, "master"), (firewalls.b, "backup")):
        machine.run("systemctl", "restart", "NetworkManager.service")
        machine.run("systemctl", "reload", "carp.service")
        is_left_alone(machine, wanted)
        assert metric(machine) == "4096"
    for machine, advskew in ((firewalls.a, 0), (firewalls.b, ADVSKEW)):
        machine.run("systemctl", "stop", "carp.service", "NetworkManager.service")
        machine.run("rm", "/etc/NetworkManager/conf.d/carp0.conf", connection)
        configure(machine, advskew)
        machine.run("systemctl", "start", "carp.service")
    wait_both(firewalls)


# -- routing daemons


def test_what_frr_sees(firewalls: Firewalls) -> None:
    """A backup's interface is down, and its network is not offered to others."""
    a, b = firewalls.a, firewalls.b

    def seen_by(machine: Machine) -> tuple[bool, bool]:
        def shown(what: str) -> str:
            return machine.run("vtysh", "-c", f"show {what}")

        is_up = "line protocol is up" in shown("interface carp0")
        return is_up, "carp0" in shown("ip route connected")

    for machine in firewalls.machines:
        machine.run("systemctl", "start", "frr.service")
    for master, backup in ((a, b), (b, a)):
        if master is b:
            a.run("carpctl", "-g", "carp", "carpdemote", "100")
            wait_state(b, "master")
        wait_for(lambda m=master: seen_by(m) == (True, True), 20, f"FRR on {master} sees it")
        wait_for(lambda m=backup: seen_by(m) == (False, False), 20, f"FRR on {backup} sees none")
    a.run("carpctl", "-g", "carp", "-carpdemote", "100")
    for machine in firewalls.machines:
        machine.run("systemctl", "stop", "frr.service")
    wait_both(firewalls)


DIRECT = "router id 10.0.0.3;\nprotocol device {}\nprotocol direct {\nipv4;\nipv6;\n%s}\n"
ALL_BUT_CARP = 'interface "-carp*", "*";\n'


def test_what_bird_sees(firewalls: Firewalls) -> None:
    """It takes a backup's interface for one that is up, so it is to pass over it."""
    b = firewalls.b
    b.write("/etc/bird/bird.conf", DIRECT % "")
    b.run("systemctl", "start", "bird.service")
    wait_for(lambda: "carp0" in bird_routes(b), 20, "BIRD has the network of a backup")
    b.write("/etc/bird/bird.conf", DIRECT % ALL_BUT_CARP)
    b.run("birdc", "configure")
    wait_for(lambda: "carp0" not in bird_routes(b), 20, "BIRD passes over it")
    assert "eth0" in bird_routes(b)
    b.run("systemctl", "stop", "bird.service")


def bird_routes(machine: Machine) -> str:
    # it may not answer yet
    return machine.run("birdc", "show", "route", check=False)
