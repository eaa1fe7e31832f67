# SPDX-License-Identifier: GPL-2.0
"""MTUs: whatever is sent on an interface leaves on its parent, and a device that has
been too small for IP has lost its multicast groups."""

from __future__ import annotations

import pytest
from lib import carp as c
from lib import pfsync as p
from lib.frames import GROUP, GROUP6
from lib.host import Host
from lib.lan import VIP, Lan

pytestmark = pytest.mark.usefixtures("carp")


def mtu(host: Host, device: str = "carp0") -> int:
    return host.show(device)["mtu"]


def set_mtu(host: Host, device: str, value: int) -> None:
    host.ip("link", "set", device, "mtu", str(value))


def test_it_is_the_parents(lan: Lan) -> None:
    set_mtu(lan.a, "eth0", 1400)
    lan.a.ip_batch("link add carp0 type carp vhid 1", "link add carp1 type carp carpdev eth0")
    lan.a.ip(*"link set carp0 type carp carpdev eth0".split())
    for value in (1400, 1300, 2000):
        set_mtu(lan.a, "eth0", value)
        assert mtu(lan.a) == value
        assert mtu(lan.a, "carp1") == value, "without a vhid, too"


def test_a_smaller_one_is_kept(lan: Lan) -> None:
    """Given when the interface is made, or later; the parent's, given by hand, follows
    the parent again."""
    lan.a.ip(*"link add carp0 mtu 1400 type carp vhid 1 carpdev eth0".split())
    assert mtu(lan.a) == 1400
    set_mtu(lan.a, "eth0", 1300)
    assert mtu(lan.a) == 1300, "it cannot have more than the parent"
    set_mtu(lan.a, "eth0", 1500)
    assert mtu(lan.a) == 1400, "what was asked for is not forgotten"
    set_mtu(lan.a, "carp0", 1450)
    set_mtu(lan.a, "eth0", 1600)
    assert mtu(lan.a) == 1450
    set_mtu(lan.a, "carp0", 1600)
    set_mtu(lan.a, "eth0", 1700)
    assert mtu(lan.a) == 1700


def test_one_that_waits_for_its_parent(lan: Lan) -> None:
    lan.a.ip(*"link add carp0 mtu 1400 type carp vhid 1".split())
    lan.a.ip(*"link add carp1 mtu 9000 type carp vhid 2".split())
    assert (mtu(lan.a), mtu(lan.a, "carp1")) == (1400, 9000)
    lan.a.ip_batch(f"addr add {VIP}/24 dev carp0", "addr add 10.0.0.9/24 dev carp1")
    assert c.info(lan.a)["carpdev"] == c.info(lan.a, "carp1")["carpdev"] == "eth0"
    assert (mtu(lan.a), mtu(lan.a, "carp1")) == (1400, 1500)


def test_more_than_the_parents_is_refused(lan: Lan) -> None:
    line = "ip link add carp0 mtu 1501 type carp vhid 1 carpdev eth0"
    assert "Error: mtu 1501 is more than eth0 has: 1500" in lan.a.refused(*line.split())
    assert "carp0" not in lan.a.ip("-br", "link")
    c.create(lan.a)
    line = "ip link set carp0 mtu 1501"
    assert "mtu greater than device maximum" in lan.a.refused(*line.split())
    assert mtu(lan.a) == 1500
    lan.a.ip(*"link set carp0 type carp -carpdev".split())
    set_mtu(lan.a, "carp0", 9000)


def test_groups_come_back(lan: Lan) -> None:
    """Below 68 bytes (1280) the kernel takes all that IPv4 (IPv6) has away from a
    device."""
    lan.a.ip_batch("link add link eth0 name eth0.5 type vlan id 5", "link set eth0.5 up")
    c.create(lan.a, carpdev="eth0.5", up=False)
    for small in (1000, 60, 60):
        assert {GROUP, GROUP6} <= set(lan.a.groups("eth0.5"))
        set_mtu(lan.a, "eth0.5", small)
        assert GROUP6 not in lan.a.groups("eth0.5")
        assert (GROUP in lan.a.groups("eth0.5")) == (small > 68)
        set_mtu(lan.a, "eth0.5", 1500)
    set_mtu(lan.a, "eth0.5", 60)
    lan.a.ip("link", "del", "carp0")
    set_mtu(lan.a, "eth0.5", 1500)
    assert not {GROUP, GROUP6} & set(lan.a.groups("eth0.5"))


@pytest.mark.usefixtures("pfsync")
def test_pfsyncs_group_comes_back(lan: Lan) -> None:
    lan.a.ip_batch(
        "link add link eth0 name eth0.5 type vlan id 5",
        "link set eth0.5 up",
        "link add pfsync0 type pfsync syncdev eth0.5",
    )
    assert p.GROUP in lan.a.groups("eth0.5")
    set_mtu(lan.a, "eth0.5", 60)
    assert p.GROUP not in lan.a.groups("eth0.5")
    set_mtu(lan.a, "eth0.5", 1500)
    assert p.GROUP in lan.a.groups("eth0.5")
    lan.a.ip(*"link set pfsync0 type pfsync syncdev eth0".split())
    assert p.GROUP not in lan.a.groups("eth0.5")
    assert p.GROUP in lan.a.groups("eth0")
    set_mtu(lan.a, "eth0.5", 60)
    lan.a.ip("link", "del", "eth0.5")
