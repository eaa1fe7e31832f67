# SPDX-License-Identifier: GPL-2.0
"""Thousands of addresses on an interface: each costs as much as the one before, the
hosts agree on all of them, and messages show some and their number.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import pytest
from lib import carp as c
from lib import kernel
from lib.capture import Packet
from lib.frames import digest
from lib.genl import open_on
from lib.host import Host
from lib.lan import VIP, Lan
from lib.rtnl import (
    IFLA_INFO_DATA,
    IFLA_LINKINFO,
    RTM_NEWLINK,
    attribute,
    attributes,
)

pytestmark = pytest.mark.usefixtures("carp")

# include/uapi/linux/if_carp.h and carp.h
SHOWN = 16
IFLA_CARP_ADDRESSES = 20
ADDRESS_GET = 8
A_IFINDEX, A_IFNAME, A_ADDRESS = 1, 2, 17
RTMGRP_LINK = 1
PAGE = 4096


def ipv4(count: int) -> list[str]:
    return [f"10.20.{number // 250}.{number % 250 + 1}" for number in range(count)]


def ipv6(count: int) -> list[str]:
    return [f"fd20::{number + 1:x}" for number in range(count)]


def add(host: Host, addresses: list[str], dev: str = "carp0") -> float:
    """Adds addresses, and returns how long it took for each."""
    start = time.monotonic()
    host.ip_batch(*(f"addr add {it}/{64 if ':' in it else 16} dev {dev}" for it in addresses))
    return (time.monotonic() - start) / len(addresses)


def whole_list(host: Host, dev: str = "carp0") -> list[str]:
    """All addresses, over generic netlink."""
    with open_on(host) as genl:
        index = struct.pack("=I", host.link(dev).index)
        answers = genl.dump(genl.family("carp").id, ADDRESS_GET, attribute(A_IFINDEX, index))
    assert {it.attributes[A_IFINDEX] for it in answers} <= {index}
    assert {it.attributes[A_IFNAME] for it in answers} <= {dev.encode() + b"\0"}
    return [str(ip_address(address)) for it in answers for address in it.all(A_ADDRESS)]


def assert_covered(packet: Packet, addresses: Iterable[str]) -> None:
    """An advertisement's digest covers these."""
    counter, found = packet.data[42:50], packet.data[50:70]
    assert found == digest(c.PASS, 1, addresses, counter)


@pytest.mark.parametrize("make", [ipv4, ipv6])
def test_one_more_costs_no_more(
    lan: Lan, make: Callable[[int], list[str]], figure: Callable[[str, float, str], None]
) -> None:
    """What the kernel itself does grows a little, so macvlan stands beside it."""
    count = kernel.times(8000)
    cost = {}
    for kind, words in (("macvlan", ""), ("carp", "vhid 9 carpdev eth0")):
        link = "link eth0" if kind == "macvlan" else ""
        lan.a.ip(*f"link add {link} name x0 type {kind} {words}".split())
        cost[kind] = add(lan.a, make(count), "x0")
        lan.a.ip("link", "del", "x0")
        figure(f"{make.__name__}: one of {count} addresses on {kind}", cost[kind] * 1e6, "us")
    assert cost["carp"] < 2 * cost["macvlan"]


def test_hosts_agree_on_them(lan: Lan) -> None:
    """Added while they run, on one host after the other, and in another order."""
    addresses = ipv4(500) + ipv6(500)
    c.create_pair(lan)
    add(lan.a, addresses)
    add(lan.b, list(reversed(addresses)))
    # for a minute lists that were in between are spoken as well, which only one host had
    time.sleep(65)
    before = c.stats(lan.b)["rx_bad_auth"]
    capture = lan.a.capture("eth0", only="ip proto 112")
    time.sleep(5)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    assert c.stats(lan.b)["rx_bad_auth"] == before
    assert_covered(capture.packets()[-1], [VIP, *addresses])
    # the farewell too
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)


def test_the_digest_follows(lan: Lan) -> None:
    """Addresses that occur twice, that go in any order, and that succeed the first of
    their subnet."""
    host = lan.a
    host.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
    c.create(host, addresses=("10.0.0.1/24", "10.0.0.8/24", "10.0.0.9/24", "10.0.0.8/32"))
    c.wait_state(host, "master")

    def covers(*addresses: str) -> None:
        capture = host.capture("eth0", only="ip proto 112")
        time.sleep(61.5)
        assert_covered(capture.packets()[-1], addresses)
        assert sorted(set(whole_list(host))) == sorted(addresses)

    covers("10.0.0.1", "10.0.0.8", "10.0.0.9")
    host.ip("addr", "del", "10.0.0.1/24", "dev", "carp0")
    covers("10.0.0.8", "10.0.0.9")
    host.ip("addr", "del", "10.0.0.8/24", "dev", "carp0")
    covers("10.0.0.8", "10.0.0.9")
    host.ip("addr", "del", "10.0.0.8/32", "dev", "carp0")
    covers("10.0.0.9")


def test_messages_show_some(lan: Lan) -> None:
    addresses = ipv4(40) + ipv6(3400)
    c.create(lan.a, addresses=(), up=False)
    add(lan.a, addresses)
    c.create(lan.a, vhid=2, name="carp1")
    told = c.info(lan.a)
    assert told["address_count"] == len(addresses)
    assert told["addresses"] == addresses[:SHOWN]
    assert {"eth0", "carp0"} <= {it["ifname"] for it in lan.a.ip_json("-d", "link")}
    assert whole_list(lan.a) == addresses
    assert whole_list(lan.a, "carp1") == [VIP]


def test_a_list_that_changes_while_it_is_read(lan: Lan) -> None:
    """What was there all the time is read once."""
    addresses = ipv6(2000)
    c.create(lan.a, addresses=(), up=False)
    add(lan.a, addresses)
    with open_on(lan.a, PAGE) as genl:
        family = genl.family("carp").id
        sequence = genl.send(family, ADDRESS_GET, b"", 0x300)
        lan.a.ip_batch(
            "addr add 10.0.0.1/24 dev carp0",
            "addr add fd20::ffff/64 dev carp0",
            *(f"addr del {it}/64 dev carp0" for it in addresses[1::2]),
        )
        found = [a for it in genl.answers(sequence) for a in it.all(A_ADDRESS)]
    kept = [ip_address(it).packed for it in addresses[::2]]
    assert [it for it in found if it in set(kept)] == kept
    assert found[-1] == ip_address("fd20::ffff").packed


def test_the_message_of_a_change_is_small(lan: Lan) -> None:
    """All that an interface can have, and a listener whose buffer is one page."""
    peers = [f"10.0.0.{number}" for number in range(50, 66)]
    peers += [f"fd00::{number:x}" for number in range(50, 66)]
    nodes = ",".join(f"{vhid}:{vhid}" for vhid in range(1, 33))
    c.create_nodes(lan.a, nodes, "ip-stealth")
    lan.a.ip(*f"link set carp0 type carp carppeer {','.join(peers)}".split())
    for number in range(15):
        lan.a.ip(*f"link set carp0 type carp group group-of-name{chr(97 + number)}".split())
    add(lan.a, ipv6(200))
    with lan.a.inside():
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    listener.bind((0, RTMGRP_LINK))
    lan.a.ip("link", "set", "carp0", "down")
    lan.a.ip("link", "set", "carp0", "up")
    index = lan.a.link("carp0").index
    time.sleep(5)
    heard = 0
    while True:
        try:
            data, _, flags, _ = listener.recvmsg(PAGE, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        kind, changed = struct.unpack_from("=4xH14xi", data)
        if kind != RTM_NEWLINK or changed != index:
            continue
        assert not flags & socket.MSG_TRUNC, "longer than a page"
        found = dict(attributes(data[32:]))
        info = dict(attributes(dict(attributes(found[IFLA_LINKINFO]))[IFLA_INFO_DATA]))
        assert info[IFLA_CARP_ADDRESSES]
        heard += 1
    listener.close()
    assert heard >= 2


def test_groups_of_several_addresses(lan: Lan) -> None:
    """Two addresses with the same last 24 bits have one solicited-node group, which the
    parent leaves with the second of them; on a new parent it joins all."""
    lan.a.ip(*"link add eth1 arp on type dummy".split())
    lan.a.ip("link", "set", "eth1", "up")
    c.create(lan.a, addresses=("fd20::1:2/64", "fd20::99:1:2/64", "fd20::3/64"))

    def member(dev: str, group: str) -> bool:
        return group in lan.a.ip("maddr", "show", "dev", dev).split()

    both, other = "ff02::1:ff01:2", "ff02::1:ff00:3"
    time.sleep(1)
    assert member("eth0", both) and member("eth0", other)
    lan.a.ip(*"addr del fd20::1:2/64 dev carp0".split())
    time.sleep(1)
    assert member("eth0", both)
    lan.a.ip(*"link set carp0 type carp carpdev eth1".split())
    assert member("eth1", both) and member("eth1", other)
    assert not member("eth0", both)
    lan.a.ip(*"addr del fd20::99:1:2/64 dev carp0".split())
    time.sleep(1)
    assert not member("eth1", both)
    assert member("eth1", other)
