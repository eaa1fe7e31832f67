# SPDX-License-Identifier: GPL-2.0
"""Many virtual hosts: 255 on each of some VLANs, on two hosts.

VLANS=16 in the environment of the guest makes it 4,080 on each host, for which the
guest wants --memory 3072; without it the test is a small one of the same shape.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import SECOND
from lib.host import Host
from lib.lan import Lan

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.figures]

VLANS = int(os.environ.get("VLANS", "2"))
VHIDS = 255
PARTS = 4


def available() -> int:
    """Bytes of memory that are free, or would be if needed."""
    with open("/proc/meminfo") as f:
        [line] = [line for line in f if line.startswith("MemAvailable")]
    return int(line.split()[1]) * 1024


def prepare(host: Host, number: int) -> None:
    lines = []
    for vlan in range(1, VLANS + 1):
        lines += [
            f"link add link eth0 name v{vlan} type vlan id {vlan}",
            f"addr add 10.{vlan}.1.{number}/24 dev v{vlan}",
            f"link set v{vlan} up",
        ]
    host.ip_batch(*lines)


def create(host: Host, which: list[tuple[int, int]], advskew: int) -> None:
    """Virtual hosts, each a pair of VLAN and vhid."""
    lines = []
    for vlan, vhid in which:
        name = f"carp{vlan}_{vhid}"
        lines += [
            f"link add {name} type carp vhid {vhid} carpdev v{vlan} advskew {advskew}",
            f"addr add 10.{vlan}.0.{vhid}/32 dev {name}",
            f"link set {name} up",
        ]
    host.ip_batch(*lines)


def states(host: Host) -> dict[str, int]:
    found: dict[str, int] = {}
    for link in host.ip_json("-d", "link", "show", "type", "carp"):
        state = link["linkinfo"]["info_data"]["state"]
        found[state] = found.get(state, 0) + 1
    return found


def test_many_virtual_hosts(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    every = [(vlan, vhid) for vlan in range(1, VLANS + 1) for vhid in range(1, VHIDS + 1)]
    total = len(every)
    for number, host in enumerate((lan.a, lan.b), 2):
        prepare(host, number)
    size = total // PARTS
    # What earlier tests left comes back in its own time.
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")
    time.sleep(2)
    times, memory = [], [available()]
    for begin in range(0, total - size + 1, size):
        part = every[begin : begin + size]
        start = time.monotonic()
        create(lan.a, part, 0)
        times.append((time.monotonic() - start) / len(part))
        memory.append(available())
    create(lan.a, every[size * PARTS :], 0)
    figure(f"{total} virtual hosts: to create one, first quarter", times[0] * 1e3, "ms")
    figure(f"{total} virtual hosts: to create one, last quarter", times[-1] * 1e3, "ms")
    used = [(before - after) / size / 1024 for before, after in itertools.pairwise(memory)]
    figure(f"{total} virtual hosts: memory for one, first quarter", used[0], "KiB")
    figure(f"{total} virtual hosts: memory for one, last quarter", used[-1], "KiB")
    assert times[-1] < 1.5 * times[0], "linear"
    assert sum(used) / PARTS < 80
    create(lan.b, every, 100)
    time.sleep(6)
    assert states(lan.a) == {"master": total}
    assert states(lan.b) == {"backup": total}

    # What passes b's port has reached b.
    capture = lan.switch.capture("b", only="ip proto 112")
    time.sleep(1.5)
    lan.hard_cut(lan.a)
    time.sleep(5)
    last: dict[tuple[str, int], int] = {}
    first: dict[tuple[str, int], int] = {}
    for it in c.heard(capture.packets()):
        if it.advskew == 0:
            last[it.source, it.vhid] = it.time
        else:
            first.setdefault((it.source, it.vhid), it.time)
    assert len(first) == total
    assert states(lan.b) == {"master": total}
    bound = 3 * SECOND + 100 * SECOND // 256
    late = []
    for (source, vhid), at in first.items():
        was = last[source.removesuffix(".3") + ".2", vhid]
        late.append(at - was - bound)
    figure(f"{total} virtual hosts: takeover after the bound, at most", max(late) / 1e6, "ms")
    figure(f"{total} virtual hosts: takeover after the bound, at least", min(late) / 1e6, "ms")
    assert max(late) < SECOND // 2
    assert min(late) > -SECOND // 100
