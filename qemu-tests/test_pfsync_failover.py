# SPDX-License-Identifier: GPL-2.0
"""A firewall dies in the middle of everything, and nobody notices."""

from __future__ import annotations

import pytest
from lib import traffic as t
from lib.gateway import CLIENT, FORWARDED, OUTSIDE, SERVER, SERVER6, Gateway
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

# three intervals, the backup's advskew, and what TCP needs to try again: its timer
# doubles, so it may be up to as long as the outage was
OUTAGE = 3 + 100 / 256
STALL = 2 * OUTAGE + 1


class Everything:
    """All kinds of traffic through a gateway at once."""

    def __init__(self, gateway: Gateway) -> None:
        g = gateway
        client, server = g.client, g.server
        down = t.connect(client, server, SERVER, 5001)
        up = t.connect(client, server, SERVER, 5002)
        inward = t.connect(server, client, OUTSIDE, FORWARDED, to=8080)
        six = t.connect(client, server, SERVER6, 5006)
        self.idle = t.Idle("idle", *t.connect(client, server, SERVER, 5003))
        self.ftp = t.Ftp(client, server, SERVER)
        mine, theirs = self.ftp.open_data()
        self.streams = [
            t.Tcp("download", down[1], down[0]),
            t.Tcp("upload", *up),
            t.Tcp("to a forwarded port", *inward),
            t.Tcp("IPv6", *six),
            t.Tcp("FTP data", theirs, mine, pause=0.01),
            t.Udp("UDP", client, server, SERVER, 5004),
            t.Udp("UDP over IPv6", client, server, SERVER6, 5005),
        ]

    def check(self, stall: float) -> None:
        for stream in self.streams:
            stream.check()
            assert stream.longest < stall, f"{stream.name} stalled for {stream.longest:.2f} s"

    def reset(self) -> None:
        for stream in self.streams:
            stream.reset()

    def stop(self) -> None:
        for stream in self.streams:
            stream.stop()
        self.ftp.stop()
        self.idle.stop()


@pytest.mark.parametrize("netem", ["", "loss 5% delay 2ms 1ms reorder 25%"], ids=["clean", "lossy"])
def test_master_dies(world: World, netem: str) -> None:
    """Twenty times, each host ten times."""
    import time

    gateway = Gateway(world, netem=netem)
    everything = Everything(gateway)
    master = gateway.a
    time.sleep(1.5)
    for _ in range(20):
        everything.reset()
        gateway.die(master)
        survivor = gateway.other(master)
        gateway.wait_one(survivor)
        time.sleep(STALL)
        everything.check(STALL)
        everything.idle.speak()
        everything.ftp.noop()
        gateway.come_back(master)
        master = gateway.settle(master)
        everything.check(STALL)
    everything.stop()
    assert CLIENT
