# SPDX-License-Identifier: GPL-2.0
"""When the master announces its addresses, by gratuitous ARP and unsolicited neighbour
advertisements."""

from __future__ import annotations

import ipaddress
import time

import pytest
from lib import carp as c
from lib.capture import Capture
from lib.clock import MILLISECOND, SECOND
from lib.lan import VIP, VIP6, Lan

pytestmark = pytest.mark.usefixtures("carp")

ANNOUNCEMENTS = "(arp[6:2] = 1 and arp[14:4] = arp[24:4]) or (icmp6 and ip6[40] = 136)"
BATCH, PAUSE = 4, 2 * SECOND / 256


def announced(capture: Capture) -> list[tuple[int, str]]:
    """When which address was announced, from the virtual MAC."""
    found = []
    for packet in capture.sent():
        data = packet.data
        if data[6:12] != c.virtual_mac(1):
            continue
        arp = data[12:14] == b"\x08\x06"
        address = ipaddress.ip_address(data[28:32] if arp else data[62:78])
        found.append((packet.time, str(address)))
    return found


def many(ipv4: int, ipv6: int) -> tuple[str, ...]:
    return (
        f"{VIP}/24",
        *(f"10.0.1.{n}/32" for n in range(1, ipv4)),
        *(f"fd00::1:{n:x}/64" for n in range(1, ipv6 + 1)),
    )


def test_many_addresses_are_spread(lan: Lan) -> None:
    """Of a burst switches drop most. Each address is announced once in a round, and
    the round is repeated after two advertisements."""
    addresses = many(60, 40)
    wanted = sorted(address.split("/")[0] for address in addresses)
    c.create(lan.a, addresses=addresses)
    c.create(lan.b, advskew=100, addresses=addresses)
    c.wait_state(lan.a, "master")
    capture = lan.b.capture(only=ANNOUNCEMENTS)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    time.sleep(1)
    seen = announced(capture)
    assert sorted(address for _, address in seen) == wanted
    times = [at for at, _ in seen]
    assert all(b - a > PAUSE / 2 for a, b in zip(times, times[BATCH:], strict=False))
    assert times[-1] - times[0] < 2 * PAUSE * len(wanted) / BATCH
    time.sleep(3)
    assert sorted(address for _, address in announced(capture)[len(wanted) :]) == wanted


def test_who_is_not_master_any_more_says_nothing(lan: Lan) -> None:
    """Also in the middle of a round."""
    addresses = many(200, 0)
    c.create(lan.a, addresses=addresses)
    c.wait_state(lan.a, "master")
    capture = lan.a.capture(only=ANNOUNCEMENTS)
    lan.a.ip(*"link set carp0 type carp state backup".split())
    lan.a.ip(*"link set carp0 type carp state master".split())
    time.sleep(0.1)
    lan.a.ip(*"link set carp0 type carp state backup".split())
    time.sleep(0.05)
    before = len(announced(capture))
    assert 8 * BATCH < before < len(addresses)
    time.sleep(1)
    assert len(announced(capture)) == before


def test_an_administrator_has_it_repeated(lan: Lan) -> None:
    """Off by default; on and off while the interface runs."""
    c.create(lan.a, addresses=(f"{VIP}/24", f"{VIP6}/64"))
    c.wait_state(lan.a, "master")
    assert c.info(lan.a)["announce"] == 0
    assert "announce" not in lan.a.ip("-d", "link", "show", "carp0")
    time.sleep(4)  # until the second announcement after the takeover

    def heard(seconds: float) -> list[tuple[int, str]]:
        capture = lan.a.capture(only=ANNOUNCEMENTS)
        time.sleep(seconds)
        return announced(capture)

    assert heard(10) == []
    lan.a.ip(*"link set carp0 type carp announce 3".split())
    assert " announce 3 " in lan.a.ip("-d", "link", "show", "carp0")
    assert c.info(lan.a)["announce"] == 3
    seen = heard(10)
    assert [address for _, address in seen] == [VIP, VIP6] * 3
    times = [at for at, address in seen if address == VIP]
    for a, b in zip(times, times[1:], strict=False):
        assert abs(b - a - 3 * SECOND) < 20 * MILLISECOND
    lan.a.ip(*"link set carp0 type carp announce 0".split())
    assert heard(10) == []


def test_a_backup_repeats_nothing(lan: Lan) -> None:
    """Until it becomes master."""
    c.create_pair(lan, words="announce 1")
    capture = lan.b.capture(only=ANNOUNCEMENTS)
    time.sleep(5)
    assert announced(capture) == []
    lan.a.ip("link", "set", "carp0", "down")
    time.sleep(5)
    assert len(announced(capture)) >= 5
