# SPDX-License-Identifier: GPL-2.0
"""What a packet costs: through carp0, through macvlan, and directly."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from lib import carp as c
from lib.host import Host
from lib.process import run
from lib.world import World

from bench import pktgen
from bench.results import Group, Results

ROUNDS = 5
COUNT = 20_000
SUBJECTS = ("direct", "macvlan", "carp")
TITLE = "Instructions a packet"
FOREIGN = 60
"""The bar for what carp costs a packet that is not for it."""


@dataclass
class Wire:
    """A host with an interface of the kind in question, and a generator at the other
    end of its cable."""

    kind: str
    host: Host
    peer: Host
    values: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = {"direct": "eth0", "macvlan": "mv0", "carp": "carp0"}[self.kind]
        self.host.ip_batch(
            "link set eth0 address 02:00:00:00:00:02 up",
            "addr add 10.0.0.2/24 dev eth0",
            "addr add fd00::2/64 dev eth0 nodad",
        )
        self.peer.ip_batch(
            "link set eth0 address 02:00:00:00:00:64 up",
            "addr add 10.0.0.100/24 dev eth0",
            "addr add fd00::100/64 dev eth0 nodad",
        )
        addresses = ("10.0.0.1/24", "fd00::1/64")
        if self.kind == "direct":
            self.host.ip_batch(*(f"addr add {address} dev eth0 nodad" for address in addresses))
        elif self.kind == "macvlan":
            self.host.ip_batch(
                "link add mv0 link eth0 type macvlan mode bridge",
                *(f"addr add {address} dev mv0 nodad" for address in addresses),
                "link set mv0 up",
            )
        else:
            c.create(self.host, addresses=addresses)
            c.wait_state(self.host, "master")
            # none of its own advertisements comes in between
            self.host.ip("link", "set", "carp0", "type", "carp", "advbase", "200")
        self.mac = str(self.host.link(self.device).address)
        self.sinks = {
            (host, v6): pktgen.Sink(host, v6)
            for host in (self.host, self.peer)
            for v6 in (False, True)
        }

    def measure(self, what: str, v6: bool) -> None:
        """Sends packets, sees to it that all came, and notes what one cost."""
        parent = "fd00::2" if v6 else "10.0.0.2"
        mine = "fd00::1" if v6 else "10.0.0.1"
        peers = "fd00::100" if v6 else "10.0.0.100"
        if what == "sent":
            sender, receiver = self.host, self.peer
            device, mac, to, source = self.device, "02:00:00:00:00:64", peers, mine
        else:
            sender, receiver = self.peer, self.host
            device, source = "eth0", peers
            mac, to = (self.mac, mine) if what == "received" else ("02:00:00:00:00:02", parent)
        sink = self.sinks[receiver, v6]
        # the first of all fill the socket's buffer
        pktgen.send(sender, device, 10, mac, to, source)
        before = sink.count()
        took = pktgen.send(sender, device, COUNT, mac, to, source)
        came = sink.count() - before
        row = f"{what}, IPv{6 if v6 else 4}"
        assert came == COUNT, f"{self.kind}, {row}: {came} of {COUNT} packets came"
        self.values.setdefault(row, []).append(took / COUNT)

    def close(self) -> None:
        for sink in self.sinks.values():
            sink.close()


def bench(results: Results) -> None:
    group = results.group("packets", TITLE)
    group.explain(
        f"The kernel's pktgen sends {COUNT:,} UDP packets of 60 bytes over a veth pair to a"
        " socket with a full buffer; the time from the first to the last is divided by their"
        " number, so it holds the generator and the veth pair, too. All packets were counted at"
        f" the socket. Median of {ROUNDS} rounds in which all take turns; the spread is that"
        " of the rounds."
    )
    group.explain(
        "Received: to the address and MAC of the interface. To the parent: to the parent's own"
        " address and MAC, while the interface stands on it. macvlan is in bridge mode; carp0"
        " is master."
    )
    run(("modprobe", "pktgen"))
    world = World()
    try:
        wires = []
        for kind in SUBJECTS:
            host, peer = world.make_hosts(f"{kind}.h", f"{kind}.p")
            world.cable(host, "eth0", peer, "eth0")
            wires.append(Wire(kind, host, peer))
        for _ in range(ROUNDS):
            for what in ("received", "sent", "to the parent"):
                for v6 in (False, True):
                    for wire in wires:
                        wire.measure(what, v6)
        note(group, wires)
        for wire in wires:
            wire.close()
    finally:
        world.close()


def note(group: Group, wires: list[Wire]) -> None:
    medians: dict[tuple[str, str], float] = {}
    for row in wires[0].values:
        for wire in wires:
            medians[row, wire.kind] = group.median(row, wire.kind, wire.values[row])
    for version in (4, 6):
        for what in ("received", "sent"):
            row = f"{what}, IPv{version}"
            more = medians[row, "carp"] - medians[row, "macvlan"]
            group.bar(
                f"a packet {row}: carp0 beside macvlan",
                "no more instructions than macvlan",
                more,
                "more instructions",
                more <= 0,
            )
        row = f"to the parent, IPv{version}"
        more = medians[row, "carp"] - medians[row, "direct"]
        group.bar(
            f"a unicast packet to the parent, IPv{version}, with carp on it",
            f"at most {FOREIGN} instructions more than without",
            more,
            "more instructions",
            more <= FOREIGN,
        )
    assert statistics.median(wires[0].values["received, IPv4"]) > 1000
