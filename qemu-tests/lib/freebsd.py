# SPDX-License-Identifier: GPL-2.0
"""A host that speaks CARP as FreeBSD does, down to its habits: it counts its
advertisements, says nothing of demotion and slows down instead, reads nothing but
intervals, and never says farewell.

FreeBSD is a Host's; the program that it runs is in this file as well, and stands on that
host with two raw sockets.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent.parent))

from lib.capture import Packet  # noqa: E402
from lib.frames import (  # noqa: E402
    CARP_SIZE,
    GROUP,
    IPPROTO_CARP,
    Advertisement,
    parse_advertisement,
    virtual_mac,
)
from lib.host import Host  # noqa: E402
from lib.lan import VIP  # noqa: E402

ETH_P_IP = 0x0800
DEMOTED = 240
"""What FreeBSD demotes by, and the most that it advertises."""


class FreeBSD:
    """carp(4) of FreeBSD on a host, for one address."""

    def __init__(self, host: Host, advskew: int = 0, vhid: int = 1, password: str = "secret"):
        words = [
            "python3", __file__, "--address", VIP, "--source", host.address,
            "--vhid", str(vhid), "--advskew", str(advskew), "--password", password,
        ]  # fmt: skip
        self.process = host.spawn(*words)
        self.process.wait_output("BACKUP", 10)

    @property
    def state(self) -> str:
        """ "init", "backup" or "master"."""
        lines = self.process.output().split()
        return lines[-1].lower() if lines else "init"

    def is_master(self) -> bool:
        return self.state == "master"

    def demote(self) -> None:
        """net.inet.carp.demotion += 240"""
        self.process.signal(signal.SIGUSR1)

    def promote(self) -> None:
        """net.inet.carp.demotion -= 240"""
        self.process.signal(signal.SIGUSR2)


class VirtualHost:
    """What carp_input_c, carp_setrun and carp_send_ad do for one vhid; preempt is on."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.demotion = 0
        self.counter = int.from_bytes(os.urandom(8), "big")
        self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.out.bind((given.device, 0))
        self.enter("BACKUP")

    @property
    def advskew(self) -> int:
        return min(self.given.advskew + self.demotion, DEMOTED)

    @property
    def interval(self) -> float:
        return self.given.advbase + self.advskew / 256

    def enter(self, state: str) -> None:
        self.state = state
        print(state, flush=True)
        if state == "BACKUP":
            self.listen()
        else:
            self.advertise()
            self.announce()

    def listen(self) -> None:
        self.deadline = time.monotonic() + 3 * self.given.advbase + self.given.advskew / 256

    def advertise(self) -> None:
        self.counter = (self.counter + 1) % 2**64
        advertisement = Advertisement(
            vhid=self.given.vhid,
            advbase=self.given.advbase,
            advskew=self.advskew,
            counter=self.counter.to_bytes(8, "big"),
            source=self.given.source,
            source_mac=virtual_mac(self.given.vhid),
            tos=0xE0,
        )
        self.out.send(advertisement.signed(self.given.password, [self.given.address]).frame())
        self.deadline = time.monotonic() + self.interval

    def announce(self) -> None:
        mac = bytes.fromhex(virtual_mac(self.given.vhid).replace(":", ""))
        address = socket.inet_aton(self.given.address)
        request = struct.pack("!HHBBH", 1, ETH_P_IP, 6, 4, 1) + mac + address + bytes(6) + address
        self.out.send(b"\xff" * 6 + mac + b"\x08\x06" + request)

    def expired(self) -> None:
        if self.state == "BACKUP":
            self.enter("MASTER")
        else:
            self.advertise()

    def heard(self, theirs: Advertisement) -> None:
        if theirs.vhid != self.given.vhid or theirs.ttl != 255 or not theirs.checksum_good:
            return
        if not theirs.authentic(self.given.password, [self.given.address]):
            return
        self.counter = int.from_bytes(theirs.counter, "big")
        if self.state == "MASTER":
            if self.interval >= theirs.interval:
                self.enter("BACKUP")
        elif (
            self.interval < theirs.interval
            or 3 * self.given.advbase + self.advskew / 256 < theirs.interval
        ):
            self.enter("MASTER")
        else:
            self.listen()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, kind in (("address", str), ("source", str), ("password", str)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--vhid", type=int, default=1)
    parser.add_argument("--advbase", type=int, default=1)
    parser.add_argument("--advskew", type=int, default=0)
    parser.add_argument("--device", default="eth0")
    given = parser.parse_args()
    inlet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    inlet.bind((given.device, ETH_P_IP))
    index = socket.if_nametoindex(given.device)
    membership = struct.pack("4s4sI", socket.inet_aton(GROUP), bytes(4), index)
    member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    host = VirtualHost(given)
    steps = {signal.SIGUSR1: DEMOTED, signal.SIGUSR2: -DEMOTED}

    def demote(number: int, _: FrameType | None) -> None:
        host.demotion = max(0, host.demotion + steps[signal.Signals(number)])

    for number in steps:
        signal.signal(number, demote)
    while True:
        ready, _, _ = select.select([inlet], [], [], max(0, host.deadline - time.monotonic()))
        if not ready:
            host.expired()
            continue
        data, address = inlet.recvfrom(1 << 16)
        # of this device's own packets it hears nothing
        if address[2] == socket.PACKET_OUTGOING or len(data) < 34 + CARP_SIZE:
            continue
        if data[23] == IPPROTO_CARP:
            theirs = parse_advertisement(Packet(0, given.device, False, data))
            if theirs:
                host.heard(theirs)


if __name__ == "__main__":
    main()
