# SPDX-License-Identifier: GPL-2.0
"""What the kernel tells udev, heard without it."""

from __future__ import annotations

import errno
import socket

from lib.clock import wait_for
from lib.host import Host

NETLINK_KOBJECT_UEVENT = 15


class Uevents:
    """What the kernel tells udev, heard on a host."""

    def __init__(self, host: Host) -> None:
        with host.inside():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)
        self._socket.bind((0, 1))

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[dict[str, str]]:
        """The events since the last call, as their variables."""
        result = []
        while True:
            try:
                data = self._socket.recv(1 << 14, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return result
            except OSError as e:
                assert e.errno != errno.ENOBUFS, "an event was lost"
                raise
            lines = data.rstrip(b"\0").split(b"\0")[1:]
            result.append(dict(line.decode().split("=", 1) for line in lines))

    def of_states(self, count: int, timeout: float = 20) -> list[tuple[str, str, str]]:
        """Waits until so many changes of state were told: interface, vhid, state."""
        result: list[tuple[str, str, str]] = []

        def enough() -> bool:
            for event in self.read():
                if "CARP_STATE" in event:
                    assert event["ACTION"] == "change"
                    assert event["SUBSYSTEM"] == "net"
                    assert event["DEVTYPE"] == "carp"
                    result.append((event["INTERFACE"], event["CARP_VHID"], event["CARP_STATE"]))
            return len(result) >= count

        wait_for(enough, timeout, f"{count} uevents")
        return result
