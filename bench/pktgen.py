# SPDX-License-Identifier: GPL-2.0
"""The kernel's packet generator, and a sink that counts what it gets."""

from __future__ import annotations

import re
import socket

from lib.host import Host

PORT = 9


class Sink:
    """A UDP server that never reads: its buffer is full, so a packet walks all the way
    to its socket, and is counted and dropped there."""

    def __init__(self, host: Host, v6: bool = False) -> None:
        self.host = host
        self._counters = "Udp6" if v6 else "Udp"
        self._socket = host.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        if v6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._socket.bind(("::" if v6 else "", PORT))

    def close(self) -> None:
        self._socket.close()

    def count(self) -> int:
        """How many packets have come to the socket."""
        if self._counters == "Udp6":
            with self.host.inside(), open("/proc/thread-self/net/snmp6") as f:
                found = dict(line.split() for line in f)
            # a datagram that found no room is in neither of the others
            return int(found["Udp6RcvbufErrors"]) + int(found["Udp6InDatagrams"])
        with self.host.inside(), open("/proc/thread-self/net/snmp") as f:
            names, values = [line.split() for line in f if line.startswith("Udp:")]
        found = dict(zip(names, values, strict=True))
        return int(found["RcvbufErrors"]) + int(found["InDatagrams"])


def _write(name: str, line: str) -> None:
    with open(f"/proc/thread-self/net/pktgen/{name}", "w") as f:
        f.write(line)


def send(host: Host, device: str, count: int, mac: str, to: str, source: str) -> int:
    """Sends so many small UDP packets through a device, one by one, as IP would hand
    them over; returns the nanoseconds that it took."""
    six = "6" if ":" in to else ""
    words = [
        f"count {count}", "clone_skb 0", "pkt_size 60", "delay 0", "xmit_mode queue_xmit",
        f"dst_mac {mac}", f"udp_dst_min {PORT}", f"udp_dst_max {PORT}",
        f"dst{six} {to}", f"src{six} {source}" if six else f"src_min {source}",
    ]  # fmt: skip
    if six:
        # which IPv6 does not go without
        words.append("flag UDPCSUM")
    else:
        words.append("flag !UDPCSUM")
        words.append(f"src_max {source}")
    with host.inside():
        _write("kpktgend_0", "rem_device_all")
        _write("kpktgend_0", f"add_device {device}")
        for word in words:
            _write(device, word)
        _write("pgctrl", "start")
        with open(f"/proc/thread-self/net/pktgen/{device}") as f:
            said = f.read()
        _write("kpktgend_0", "rem_device_all")
    # from the first packet to the last, as pktgen's thread saw it
    result = re.search(r"Result: OK: (\d+)\(c\d+\+d\d+\) usec, (\d+) ", said)
    assert result and int(result[2]) == count, said
    return int(result[1]) * 1000
