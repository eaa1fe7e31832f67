# SPDX-License-Identifier: GPL-2.0
"""carp0 as other parts of the kernel see a network device."""

from __future__ import annotations

import time

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")

NAMES = ("carp0", "dummy0")


def told(host: Host, device: str, mac: str) -> int:
    """How often user space is told when a device is given a link-layer address."""
    monitor = host.spawn("ip", "-o", "monitor", "link", "dev", device)
    time.sleep(0.3)
    host.ip("link", "set", device, "address", mac)
    wait_for(lambda: mac in monitor.output(), 2, "user space is told")
    time.sleep(0.3)
    return monitor.stop().count(mac)


def test_a_link_layer_address_changes_once(lan: Lan) -> None:
    """Other parts of the kernel hear of it as of any device's, and user space of that."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip_batch("link add dummy0 type dummy", "link set dummy0 up")
    carp, dummy = (told(lan.a, name, "02:00:00:00:00:77") for name in NAMES)
    assert carp == dummy
    assert lan.a.link("carp0").address == "02:00:00:00:00:77"


@pytest.fixture
def dummy(lan: Lan) -> None:
    """A device that lets netpoll send."""
    lan.a.ip_batch("link add dummy0 type dummy", "addr add 10.9.9.1/24 dev dummy0")
    lan.a.ip("link", "set", "dummy0", "up")


@pytest.mark.stock  # CONFIG_NETCONSOLE
@pytest.mark.usefixtures("dummy")
def test_netpoll_is_refused(lan: Lan, log: Kmsg) -> None:
    """It sends with interrupts disabled, maybe while carp0's own lock is held."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    targets = (f"6665@{c.VIP}/carp0,6666@10.0.0.3/", "6665@10.9.9.1/dummy0,6666@10.9.9.2/")
    lan.a.run("modprobe", "netconsole", f"netconsole={';'.join(targets)}")
    try:
        wait_for(lambda: any("logging started" in line for line in log.read()), 5, "it started")
    finally:
        lan.a.run("rmmod", "netconsole")
    refused = [line for line in log.lines if "doesn't support polling" in line]
    assert len(refused) == 1
    assert "carp0" in refused[0]
