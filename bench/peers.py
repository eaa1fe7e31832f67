# SPDX-License-Identifier: GPL-2.0
"""Who can share an address: carp, ucarp, keepalived, all spoken to in the same way.

Each is made on a host with any number of virtual hosts: so many on each of some
devices. rank 0 is the preferred one, rank 1 takes over from it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from lib import carp as c
from lib.host import Host
from lib.process import Process


@dataclass(frozen=True)
class Virtual:
    """A virtual host: a shared address on a device."""

    device: str
    vhid: int
    address: str


class Peer:
    """An implementation with its virtual hosts on one host."""

    name = ""

    def __init__(
        self, host: Host, virtual: Sequence[Virtual], rank: int = 0, interval: float = 1
    ) -> None:
        self.host, self.virtual, self.rank, self.interval = host, virtual, rank, interval
        self.start()

    def start(self) -> None:
        """Begins, as at a boot."""
        raise NotImplementedError

    def leave(self) -> None:
        """Hands over politely and is gone."""
        raise NotImplementedError


class Carp(Peer):
    name = "carp"

    def __init__(self, *arguments: object, words: str = "", **options: object) -> None:
        self.words = words
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    @property
    def timing(self) -> str:
        """advbase and advskew. Below a second a backup waits for three times its own
        interval, and the preferred one must be faster."""
        if self.interval >= 1:
            return f"advbase {self.interval:.0f} advskew {10 * self.rank}"
        skew = round(self.interval * 256)
        return f"advbase 0 advskew {skew + self.rank}"

    def start(self) -> None:
        self.create()
        self.host.ip_batch(*(f"link set {self.device(v)} up" for v in self.virtual))

    def create(self) -> None:
        self.host.ip_batch(
            *(
                line
                for v in self.virtual
                for line in (
                    f"link add {self.device(v)} type carp vhid {v.vhid} carpdev {v.device}"
                    f" pass {c.PASS} {self.timing} {self.words}",
                    f"addr add {v.address}/24 dev {self.device(v)}",
                )
            )
        )

    def device(self, v: Virtual) -> str:
        return "carp0" if len(self.virtual) == 1 else f"c{v.device}.{v.vhid}"

    def leave(self) -> None:
        self.host.ip_batch(*(f"link set {self.device(v)} down" for v in self.virtual))

    def again(self) -> None:
        """After it has left."""
        self.host.ip_batch(*(f"link set {self.device(v)} up" for v in self.virtual))


class Ucarp(Peer):
    """A process for each virtual host; it runs a script when it becomes master."""

    name = "ucarp"

    def start(self) -> None:
        folder = tempfile.mkdtemp(prefix="ucarp", dir="/run")
        for word in ("add", "del"):
            with open(f"{folder}/{word}", "w") as f:
                f.write(f'#!/bin/sh\nexec ip addr {word} "$2/24" dev "$1"\n')
            os.chmod(f"{folder}/{word}", 0o755)
        self.processes: list[Process] = [
            self.host.spawn(
                "ucarp", "-i", v.device, "-s", self.host.address, "-v", str(v.vhid), "-p", c.PASS,
                "-a", v.address, "-u", f"{folder}/add", "-d", f"{folder}/del", "-z", "-P",
                "-b", f"{self.interval:.0f}", "-k", str(10 * self.rank),
            )
            for v in self.virtual
        ]  # fmt: skip

    def leave(self) -> None:
        for process in self.processes:
            process.stop()

    def again(self) -> None:
        self.start()


class Keepalived(Peer):
    """VRRPv3. Its priorities make a backup as patient as carp's advskew does."""

    name = "keepalived"

    def start(self) -> None:
        folder = tempfile.mkdtemp(prefix="keepalived", dir="/run")
        lines = ["global_defs {", " vrrp_version 3", f" router_id {self.host}", "}"]
        for v in self.virtual:
            lines += [
                f"vrrp_instance {v.device}.{v.vhid} {{",
                " state BACKUP", f" interface {v.device}", f" virtual_router_id {v.vhid}",
                f" priority {254 - 8 * self.rank}", f" advert_int {self.interval:g}",
                " virtual_ipaddress {", f"  {v.address}/24", " }", "}",
            ]  # fmt: skip
        with open(f"{folder}/conf", "w") as f:
            f.write("\n".join((*lines, "")))
        self.process = self.host.spawn(
            "keepalived", "-P", "-n", "-l", "-f", f"{folder}/conf",
            "-p", f"{folder}/pid", "-r", f"{folder}/vrrp.pid",
        )  # fmt: skip

    def leave(self) -> None:
        self.process.stop()

    def again(self) -> None:
        self.start()


PEERS: tuple[type[Peer], ...] = (Carp, Ucarp, Keepalived)


def masters(host: Host, virtual: Sequence[Virtual]) -> int:
    """How many of these addresses the host uses, by who answers for them: a carp
    interface that is up as master, or an address on the device itself."""
    wanted = {v.address for v in virtual}
    found = 0
    for link in host.ip_json("-4", "addr", "show"):
        is_carp = link.get("linkinfo", {}).get("info_kind") == "carp"
        if is_carp and link["linkinfo"]["info_data"]["state"] != "master":
            continue
        found += sum(a.get("local") in wanted for a in link["addr_info"])
    return found
