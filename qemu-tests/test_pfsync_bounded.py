# SPDX-License-Identifier: GPL-2.0
"""What pfsync keeps of connections that are over: little, and not for long."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib import conntrack
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import SERVER, Datagrams, Pair
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

SIZES = Path("/proc/sys/net/netfilter")
MAX, BUCKETS = SIZES / "nf_conntrack_max", SIZES / "nf_conntrack_buckets"
LIMIT = 2048
RATE = 4000


def set_limit(limit: int) -> None:
    """Also as many buckets: conntrack looks into a few of them for one to be taken out."""
    BUCKETS.write_text(str(limit))
    MAX.write_text(str(limit))


@pytest.fixture
def limit(pfsync: None) -> Iterator[None]:
    """Tables are of any size, and later as they were."""
    before = [(path, path.read_text()) for path in (BUCKETS, MAX)]
    yield
    for path, value in before:
        path.write_text(value)


def pages() -> int:
    """How many pieces of memory of a page are in use."""
    caches = re.compile(r"kmalloc-(?:\S+-)?4k\s+(\d+)")
    return sum(map(int, caches.findall(Path("/proc/slabinfo").read_text())))


@pytest.mark.stock  # KASAN keeps what was given back for a while
def test_memory_is_given_back(lan: Lan, limit: None) -> None:
    """After a flood, which nobody announces; and what comes later finds its place."""
    count = 20_000
    set_limit(4 * count)
    p.create(lan.a)
    before = pages()
    for _ in range(2):
        conntrack.restore(lan.a, count)
        wait_for(lambda: p.info(lan.a)["states"] == count, 10, "all are known")
        most = pages() - before
        assert most > count / 25
        lan.a.run("conntrack", "-F")
        wait_for(lambda: p.info(lan.a)["states"] == 0, 5, "none is known any more")
        left = pages() - before
        print(f"{most} pages for {count} states, {left} after them")
        assert left < most / 10


def dead(host: Host) -> int:
    """Entries that are over, and still counted."""
    alive = len(conntrack.entries(host))
    return int(host.sysctl("net.netfilter.nf_conntrack_count")) - alive


def dropped(host: Host) -> int:
    """Packets for which there was no room."""
    lines = host.run("cat", "/proc/net/stat/nf_conntrack").stdout.splitlines()
    names, *numbers = (line.split() for line in lines)
    return sum(int(row[names.index("drop")], 16) for row in numbers)


def flood(host: Host, count: int, rate: int) -> None:
    """So many connections of one packet each, of which nobody hears again."""
    start = time.monotonic()
    for number in range(count):
        with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", (SERVER, 9))
        late = start + (number + 1) / rate - time.monotonic()
        if late > 0:
            time.sleep(late)


def test_a_table_that_is_full_of_strangers(world: World, limit: None) -> None:
    """For each new connection conntrack takes one out for which no answer was seen. Of the
    table's places few are lost to those that are kept here after that, and what has answers
    goes on."""
    pair = Pair(world)
    set_limit(LIMIT)
    flows = [Datagrams(pair.client, pair.server, SERVER, 5000 + number) for number in range(10)]
    for flow in flows:
        for _ in range(3):
            flow.exchange()
    # nobody answers
    pair.server.run("nft", "add table t; add chain t i { type filter hook input priority 0; };"
                    " add rule t i udp dport 9 drop")  # fmt: skip
    flood(pair.client, LIMIT, RATE)
    before = dropped(pair.a)
    worst = 0
    for _ in range(8):
        flood(pair.client, 500, RATE)
        worst = max(worst, dead(pair.a))
    refused = dropped(pair.a) - before
    print(f"of {LIMIT} places {worst} are lost at most; {refused} of 4000 packets were dropped")
    assert worst < LIMIT / 20
    assert refused < 40
    for flow in flows:
        flow.exchange()
        flow.close()
