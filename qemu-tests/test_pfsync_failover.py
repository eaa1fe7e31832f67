# SPDX-License-Identifier: GPL-2.0
"""A firewall dies in the middle of everything, and nobody notices.

DEATHS=20 in the environment of the guest makes it die so often in a row.
"""

from __future__ import annotations

import os
import time

import pytest
from lib import carp as c
from lib import intruder as i
from lib import traffic as t
from lib.capture import Capture
from lib.gateway import CLIENT6, FORWARDED, OUTSIDE, SERVER, SERVER6, Gateway
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

DEATHS = int(os.environ.get("DEATHS", "2"))

# three intervals, the backup's advskew, and what TCP needs to try again: its timer
# doubles, so it may be up to as long as the outage was
OUTAGE = 3 + 100 / 256
STALL = 2 * OUTAGE + 1

IDLE_PORT = 5003


class Everything:
    """All kinds of traffic through a gateway at once."""

    def __init__(self, gateway: Gateway) -> None:
        client, server = gateway.client, gateway.server
        down = t.connect(client, server, SERVER, 5001)
        up = t.connect(client, server, SERVER, 5002)
        inward = t.connect(server, client, OUTSIDE, FORWARDED, to=8080)
        six = t.connect(client, server, SERVER6, 5006)
        self.idle = t.Idle("idle", *t.connect(client, server, SERVER, IDLE_PORT))
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


class Intruder:
    """Tries from outside what the filter does not allow."""

    def __init__(self, gateway: Gateway, capture: Capture) -> None:
        self.gateway, self.capture = gateway, capture
        self.number = 0

    def forge(self) -> list[i.Segment]:
        """Segments of no connection; and of the idle one, far from its window. Both ends
        of that are known to who listens outside."""
        port, end, ack = i.last_seen(self.capture.packets(), IDLE_PORT)
        segments = [
            i.Segment(SERVER6, 6001, CLIENT6, 22, number=self.number),
            i.Segment(SERVER6, 6002, CLIENT6, 22, flags=i.SYN, seq=self.number, ack=0),
            i.Segment(SERVER6, 5006, CLIENT6, 22, flags=i.RST, number=self.number),
            *(
                i.Segment(SERVER, IDLE_PORT, OUTSIDE, port, flags, end + ahead, ack, number)
                # old data is let through by every Linux: it may be a retransmission
                for number, (flags, ahead) in enumerate(
                    ((i.ACK, 1 << 30), (i.ACK, 1 << 28), (i.ACK | i.RST, 1 << 30)), self.number + 1
                )
            ),
        ]
        self.number += 10
        return segments

    def try_all(self) -> None:
        """Nothing of it reaches the client."""
        capture = self.gateway.client.capture(only=f"tcp port 22 or tcp port {IDLE_PORT}")
        segments = self.forge()
        for segment in segments:
            self.gateway.server.send_frame(segment.frame("00:00:5e:00:01:02"))
        time.sleep(0.05)
        assert not i.came_through(capture.packets(), *segments)
        capture.close()


@pytest.mark.parametrize("netem", ["", "loss 5% delay 2ms 1ms reorder 25%"], ids=["clean", "lossy"])
def test_master_dies(world: World, netem: str) -> None:
    """So many times in a row; each time the other one has come back meanwhile."""
    gateway = Gateway(world, netem=netem)
    outside = gateway.server.capture(only=f"tcp port {IDLE_PORT}")
    everything = Everything(gateway)
    intruder = Intruder(gateway, outside)
    everything.idle.speak()
    # the first states leave within a second
    time.sleep(1.5)
    for _ in range(DEATHS):
        everything.reset()
        gateway.die(gateway.a)
        gateway.wait_one(gateway.b)
        intruder.try_all()
        time.sleep(STALL)
        everything.check(STALL)
        intruder.try_all()
        everything.idle.speak()
        intruder.try_all()
        everything.ftp.noop()
        gateway.come_back(gateway.a)
        gateway.settle()
        everything.check(STALL)
        assert c.state(gateway.a) == "master"
    everything.stop()
