# SPDX-License-Identifier: GPL-2.0
"""Everything at once, on all processors: packets without a pause, and programs that
change or look at what the packets meet.

What is in the way of what does not matter, nor whether a command succeeds: it is about
what the kernel does not survive.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import random
import signal
import struct
import tempfile
from collections.abc import Sequence

from lib import carp as c
from lib import flows, pfsync_auth
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.frames import checksum
from lib.host import Host
from lib.lan import VIP, VIP6
from lib.pfsync_wire import Action
from lib.process import Process

PROCESSORS = os.cpu_count() or 1
SECONDS = float(os.environ.get("SMP_SECONDS", "12"))
"""For how long each storm lasts."""

VHIDS = (1, 2, 3)


# -- frames


def solicitation(target: str, source: str = "fd00::77") -> bytes:
    """A neighbour solicitation as an Ethernet frame to the solicited-node group."""
    wanted = ipaddress.IPv6Address(target).packed
    group = ipaddress.IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + wanted[13:])
    body = struct.pack("!BBHI", 135, 0, 0, 0) + wanted + b"\1\1\2\0\0\0\0\x4d"
    pseudo = ipaddress.IPv6Address(source).packed + group.packed
    pseudo += struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    mac = b"\x33\x33\xff" + wanted[13:]
    return c.frame6(body, source=source, destination=str(group), to=mac, protocol=58)


def to_carp(dice: random.Random) -> list[bytes]:
    """What a carp interface hears: advertisements good and bad, from the better and the
    worse, questions for its addresses, packets for its virtual hosts."""
    frames = []
    for vhid, skew in itertools.product(VHIDS, (0, 50, 240)):
        for addresses in ((VIP,), (VIP, VIP6), ("10.0.0.9",)):
            good = c.Advertisement(
                vhid=vhid, advskew=skew, addresses=addresses, counter=dice.randbytes(8)
            )
            frames += [good.frame(), good.but(source="fd00::77").frame()]
            frames += [good.but(password="wrong").frame(), good.but(advbase=255).frame()]
    for number in range(40):
        sender = f"10.0.0.{dice.randrange(40, 90)}"
        mac = bytes((2, 0, 0, 0, 1, number))
        frames += [c.arp(VIP, sender=sender, mac=mac), solicitation(VIP6)]
        frames.append(c.arp(sender, sender=VIP, mac=c.virtual_mac(1)))
    for flow in flows.make(120, seed=dice.randrange(1000)):
        frames.append(flow.frame(f"00:00:5e:00:01:{dice.choice(VHIDS):02x}"))
    dice.shuffle(frames)
    return frames


def through(host_mac: str, destination: str, dice: random.Random, count: int = 1500) -> list[bytes]:
    """Datagrams for a router, each a connection of its own, most of them more than once."""
    made = [
        flows.Flow(number, f"10.1.0.{dice.randrange(110, 250)}", dice.randrange(1024, 65536))
        for number in range(count)
    ]
    frames = [flow.frame(host_mac, target=destination) for flow in made]
    frames += [dice.choice(frames) for _ in range(count)]
    return frames


def to_pfsync(dice: random.Random, count: int = 400) -> list[bytes]:
    """Frames of a peer: states that come, change and go, requests, ends of updates that
    nobody asked for."""

    def state(number: int) -> w.State:
        source = f"10.1.0.{110 + number % 100}"
        return w.State.of(
            (source, 3000 + number, "192.0.2.100", 9),
            id=number.to_bytes(8), creatorid=p.CREATOR, expire=30,
            src=w.Peer(state=2), dst=w.Peer(state=2),
        )  # fmt: skip

    payloads = []
    for _ in range(count):
        chosen = [state(dice.randrange(300)) for _ in range(dice.randrange(1, 6))]
        names = [one.name for one in chosen]
        payloads.append(
            dice.choice(
                (
                    w.frame((Action.INS, *chosen)),
                    w.frame((Action.INS, *(one.but(state_flags=w.ACK) for one in chosen))),
                    w.frame((Action.UPD, *chosen)),
                    w.frame((Action.DEL_C, *names)),
                    w.frame((Action.UPD_REQ, *names)),
                    w.frame((Action.INS_ACK, *names)),
                )
            )
        )
    everything = w.Id(bytes(8), bytes(4))
    payloads += [p.bulk_frame(), p.bulk_frame(w.Bulk.START), w.frame((Action.UPD_REQ, everything))]
    payloads.append(w.frame((Action.CLR, w.Clear(p.CREATOR))))
    dice.shuffle(payloads)
    return [
        c.frame(
            payload, source="172.16.0.9", destination=p.GROUP, ttl=p.TTL, to=p.GROUP_MAC,
            protocol=p.PROTOCOL,
        )
        for payload in payloads
    ]  # fmt: skip


# -- programs


def flood(host: Host, frames: Sequence[bytes], device: str = "eth0") -> list[Process]:
    """Sends the frames again and again, on every processor at once."""
    with tempfile.NamedTemporaryFile(prefix="storm", delete=False) as file:
        file.write(b"".join(struct.pack("=H", len(frame)) + frame for frame in frames))
    return [
        host.spawn("nice", "-n", "19", flows.FLOOD, device, file.name, str(processor))
        for processor in range(PROCESSORS)
    ]


class Churn:
    """Commands that are done again and again, whether they succeed or not."""

    def __init__(self, host: Host, script: str) -> None:
        loop = f"while :; do\n{script}\necho round\ndone 2>/dev/null"
        self.process = host.spawn("sh", "-c", loop)

    @property
    def rounds(self) -> int:
        """How often they were done."""
        return self.process.output().count("round\n")


def batch(*lines: str) -> str:
    """Lines for ip(8) as a command of a script."""
    return "ip -force -batch - <<END >&2\n" + "\n".join(lines) + "\nEND"


def stop(*programs: Process | Churn) -> None:
    """Ends them, and the commands that they are in the middle of."""
    groups = [(one.process if isinstance(one, Churn) else one).pid for one in programs]
    for group in groups:
        os.killpg(group, signal.SIGKILL)
    for one in programs:
        (one.process if isinstance(one, Churn) else one).stop()
    wait_for(lambda: not any(map(is_there, groups)), 60, "all programs have ended")


def is_there(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# -- what is done to interfaces


def carp_life(name: str, vhid: int, parent: str = "eth0") -> str:
    """A carp interface is made, becomes master, is changed in every way, goes."""
    change = f"link set {name} type carp"
    return batch(
        f"link add {name} type carp vhid {vhid} carpdev {parent} pass {c.PASS} advbase 0 advskew 2",
        f"addr add {VIP}/24 dev {name}",
        f"link set {name} up",
        f"addr add {VIP6}/64 dev {name}",
        f"{change} state master",
        f"{change} advskew 100",
        f"addr add 10.0.0.{10 + vhid}/24 dev {name}",
        f"{change} state backup",
        f"{change} carpnodes {vhid}:0,{vhid + 10}:100 balancing ip",
        f"{change} carppeer 10.0.0.3,fd00::3",
        f"{change} balancing arp",
        f"{change} -carppeer group storm",
        f"{change} vhid {vhid + 20}",
        f"link set {name} address 02:00:00:00:77:{vhid:02x}",
        f"addr del {VIP6}/64 dev {name}",
        f"{change} carpdev dummy0",
        f"{change} vhid {vhid} pass other",
        f"{change} carpdev {parent} -group storm",
        f"link set {name} down",
        f"link set {name} up",
        f"addr flush dev {name}",
        f"link del {name}",
    )


def parents_life(parent: str = "eth0") -> str:
    """What happens to a parent."""
    return batch(
        f"link set {parent} mtu 1400",
        f"link set {parent} down",
        f"link set {parent} up",
        f"link set {parent} mtu 1500",
        "link del dummy0",
        "link add dummy0 arp on up type dummy",
        f"link set {parent} promisc on",
        f"link set {parent} promisc off",
    )


LOOKS = """
ip -d -s link show >/dev/null
carpctl status >/dev/null
carpctl -g carp >/dev/null
cat /proc/net/dev /proc/net/igmp /proc/net/igmp6 /proc/net/protocols >/dev/null
sysctl -q net.inet.carp.preempt=1 net.inet.carp.log=7 net.inet.carp.arpbalance=1
carpctl -g carp carpdemote 2
carpctl -g carp -carpdemote 2
sysctl -q net.inet.carp.preempt=0 net.inet.carp.log=2 net.inet.carp.arpbalance=0
"""
"""Everybody's questions, and the switches of a namespace."""


def pfsync_life(syncdev: str = "eth2", other: str = "dummy0") -> str:
    """A pfsync interface is made, changed in every way, goes."""
    change = "link set pfsync0 type pfsync"
    return batch(
        f"link add pfsync0 type pfsync syncdev {syncdev} local defer on",
        "link set pfsync0 up",
        f"{change} maxupd 2",
        f"{change} {pfsync_auth.words('permissive', (1, 2))}",
        f"{change} defer off",
        f"{change} auth enforce",
        f"{change} syncpeer 172.16.0.3",
        f"{change} -syncpeer maxupd 200",
        "link set pfsync0 mtu 600",
        f"{change} authactive 2 -authkey 1",
        f"{change} auth receive",
        f"{change} defer on",
        f"{change} syncdev {other}",
        f"{change} syncdev {syncdev}",
        "link set pfsync0 mtu 1500",
        "link set pfsync0 down",
        "link set pfsync0 up",
        f"{change} -syncdev",
        f"{change} syncdev {syncdev}",
        "link del pfsync0",
    )
