# SPDX-License-Identifier: GPL-2.0
"""Many virtual hosts: what it takes to make them, and to have them.

255 on each of some VLANs of a cable between two hosts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lib.clock import wait_for
from lib.host import Host
from lib.process import run
from lib.world import World

from bench.load import watched
from bench.peers import Carp, Keepalived, Peer, Ucarp, Virtual, masters
from bench.results import Group, Results

COUNTS = (1, 50, 255, 4080)
LOOKED_AT = 4080
"""Of so many the time is measured that carpctl takes to show them."""
LOOK_MAX = 200_000_000
"""So many instructions at most."""
VHIDS = 255
SECONDS = {1: 200, 50: 20, 255: 5, 4080: 2}
"""How long each is watched: the fewer, the longer."""
UCARPS = 255
"""So many processes of ucarp are tried on a host."""


def available() -> int:
    """Kilobytes of memory that are free, or would be if needed."""
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")
    time.sleep(2)
    with open("/proc/meminfo") as f:
        [line] = [line for line in f if line.startswith("MemAvailable")]
    return int(line.split()[1])


def plan(count: int) -> list[Virtual]:
    """So many virtual hosts, 255 on a VLAN."""
    return [
        Virtual(f"v{n // VHIDS}", n % VHIDS + 1, f"10.{n // VHIDS}.0.{n % VHIDS + 1}")
        for n in range(count)
    ]


def pair(world: World, vlans: int) -> tuple[Host, Host]:
    a, b = world.make_hosts("a", "b")
    world.cable(a, "eth0", b, "eth0")
    for number, host in ((2, a), (3, b)):
        host.address = f"10.0.1.{number}"
        host.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
        lines = ["link set eth0 up"]
        for vlan in range(vlans):
            lines += [
                f"link add link eth0 name v{vlan} type vlan id {vlan + 1}",
                f"link set v{vlan} up",
                f"addr add 10.{vlan}.1.{number}/16 dev v{vlan}",
            ]
        host.ip_batch(*lines)
    return a, b


def make_macvlans(host: Host, virtual: list[Virtual]) -> None:
    """The nearest relatives that the kernel has: an interface with a MAC and an address."""
    host.ip_batch(
        *(
            line
            for v in virtual
            for line in (
                f"link add m{v.device}.{v.vhid} link {v.device} type macvlan mode bridge",
                f"addr add {v.address}/24 dev m{v.device}.{v.vhid}",
                f"link set m{v.device}.{v.vhid} up",
            )
        )
    )


class Cost:
    """What it takes to make virtual hosts, entered into the table when it is known."""

    def __init__(self, group: Group, name: str, count: int) -> None:
        self.group, self.name, self.count = group, name, count
        self.each = 0.0

    def of(self, make: Callable[[], object]) -> None:
        before = available()
        with watched() as load:
            make()
        self.each = load.instructions / self.count
        row = f"to make one of {self.count:,}"
        self.group.add(row, self.name, self.each / 1e3, "thousand instructions")
        # few find room in what was there before
        if self.count >= 1000:
            used = before - available()
            self.group.add(f"memory for one of {self.count:,}", self.name, used / self.count, "KiB")


def macvlans(group: Group, count: int) -> None:
    world = World()
    try:
        a, _ = pair(world, (count + VHIDS - 1) // VHIDS)
        Cost(group, "macvlan", count).of(lambda: make_macvlans(a, plan(count)))
    finally:
        world.close()


def look(group: Group, host: Host) -> None:
    """What carpctl takes, less what it takes to start it and say nothing."""
    count = f"{LOOKED_AT:,} virtual hosts"
    each = {}
    for what in ("--version", "status", "metrics"):
        # a first time, so that the program and what it wants are in memory
        for _ in range(2):
            with host.inside(), watched() as load:
                run(("sh", "-c", f"carpctl {what} >/tmp/told"))
        each[what] = load.instructions
    for what in ("status", "metrics"):
        instructions = each[what] - each["--version"]
        bar = f"under {LOOK_MAX // 10**6} million instructions"
        value = instructions / 1e6
        group.add(f"carpctl {what}", count, value, "million instructions")
        met = instructions < LOOK_MAX
        group.bar(f"{count}: carpctl {what}", bar, value, "million instructions", met)


def share(
    group: Group,
    peer: type[Peer],
    count: int,
    cost: Cost | None = None,
    looked: Group | None = None,
) -> None:
    """What a master has to do, and a backup."""
    row = f"a {{}}, {count:,} virtual host{'s' if count > 1 else ''}"
    world = World()
    try:
        virtual = plan(count)
        a, b = pair(world, (count + VHIDS - 1) // VHIDS)
        seconds = SECONDS[count]
        # what earlier hosts have left to be done in the background is over
        time.sleep(100)
        with watched() as nothing:
            time.sleep(seconds)
        if cost:
            cost.of(lambda: peer(a, virtual))
        else:
            peer(a, virtual)
        wait_for(lambda: masters(a, virtual) == count, 120, f"{peer.name}: all are master", 2)
        time.sleep(60 if count == 1 else 10)
        with watched() as alone:
            time.sleep(seconds)
        group.add(row.format("master"), peer.name, alone.share - nothing.share, "%")
        if looked:
            look(looked, a)
        peer(b, virtual, rank=1)
        time.sleep(8)
        with watched() as both:
            time.sleep(seconds)
        assert masters(a, virtual) == count, f"{masters(a, virtual)} of {count} are master"
        assert masters(b, virtual) == 0, f"{masters(b, virtual)} of {count} backups are master"
        group.add(row.format("backup"), peer.name, both.share - alone.share, "%")
    finally:
        world.close()


def bench(results: Results) -> None:
    # a table of neighbours and a receive queue as large as an administrator would make them
    run(("sysctl", "-qw", "net.core.netdev_max_backlog=100000"))
    made = results.group("creation", "To make many virtual hosts")
    made.explain(
        "Interfaces with an IPv4 address, set up, by one call of ip -batch, whose own"
        " instructions are in it; 255 on each VLAN. The memory is what MemAvailable lost."
        " macvlan: the same with an interface of that kind."
    )
    each: dict[int, float] = {}
    group = results.group("share", "The processor's share with an advertisement a second")
    group.explain(
        "Of a processor that executes a thousand million instructions a second, over what the"
        " guest does without; a master alone, and what its backup adds. Each virtual host"
        " advertises once a second."
    )
    looked = results.group("looking", "To look at many virtual hosts")
    looked.explain(
        "What carpctl executes, in the kernel and itself, to write all of it into a file, less"
        " what it takes to start the program. All are master."
    )
    for count in COUNTS:
        for peer in (Carp, Keepalived, Ucarp):
            if peer is Ucarp and count > UCARPS:
                for who in ("master", "backup"):
                    group.missing(
                        f"a {who}, {count:,} virtual hosts", peer.name,
                        f"a process for each, and {UCARPS} are too many",
                    )  # fmt: skip
                continue
            cost = Cost(made, peer.name, count) if peer is Carp else None
            try:
                is_looked_at = peer is Carp and count == LOOKED_AT
                share(group, peer, count, cost, looked if is_looked_at else None)
            except AssertionError as error:
                row = f"a backup, {count:,} virtual host{'s' if count > 1 else ''}"
                if peer is Carp:
                    raise
                group.missing(row, peer.name, str(error))
            if cost:
                each[count] = cost.each
        macvlans(made, count)
    made.bar(
        "4,080 virtual hosts: to make one, over one of 255",
        "linear: less than 1.5 times",
        each[4080] / each[255],
        "times",
        each[4080] < 1.5 * each[255],
    )
