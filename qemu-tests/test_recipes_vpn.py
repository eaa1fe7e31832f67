# SPDX-License-Identifier: GPL-2.0
"""docs/recipes.md: VPN daemons bound to the shared address. The client is the peer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.host import Host
from lib.lan import VIP, Lan
from lib.recipes import Box, outage, recipe, stopped

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

Figure = Callable[[str, float, str], None]


def key_pair(host: Host) -> tuple[str, str]:
    private = host.run("wg", "genkey").stdout
    return private.strip(), host.run("wg", "pubkey", input=private).stdout.strip()


CLIENT_WG = f"""[Interface]
Address = 10.9.0.2/24
ListenPort = 51820
PrivateKey = PRIVATE_KEY
[Peer]
PublicKey = PUBLIC_KEY
AllowedIPs = 10.9.0.1/32
Endpoint = {VIP}:51820
"""


@pytest.mark.parametrize("kind", ["endpoint", "telephone"])
def test_wireguard(lan: Lan, boxes: list[Box], figure: Figure, kind: str) -> None:
    (private, public), (private_peer, public_peer) = key_pair(lan.a), key_pair(lan.client)
    *firewalls, peer = boxes
    wireguard = recipe("WireGuard")
    if kind == "telephone":
        text = wireguard.files["/etc/wireguard/wg0.conf"]
        lines = [line for line in text.splitlines() if not line.startswith(("Endp", "Persis"))]
        wireguard.files["/etc/wireguard/wg0.conf"] = "\n".join(lines)
    for box in firewalls:
        box.install(wireguard, PRIVATE_KEY=private, PUBLIC_KEY=public_peer)
        box.follow("wg-quick up wg0", "[ ! -e /sys/class/net/wg0 ] || wg-quick down wg0")
        box.react()
    peer.write(
        "/etc/wireguard/wg0.conf",
        CLIENT_WG.replace("PRIVATE_KEY", private_peer).replace("PUBLIC_KEY", public),
    )
    peer.run("wg-quick", "up", "wg0")
    c.create_pair(lan, preempt=True)
    peer.wait_run("ping", "-c", "1", "-W", "1", "10.9.0.1")
    for what, act in (
        ("handed over", lambda: lan.a.run("carpctl", "-g", "carp", "carpdemote", "9")),
        ("handed back", lambda: lan.a.run("carpctl", "-g", "carp", "-carpdemote", "9")),
        ("hard cut", lambda: lan.hard_cut(lan.a)),
    ):
        pinger = lan.client.ping("10.9.0.1", 0.005 if kind == "endpoint" else 0.05)
        time.sleep(1)
        act()
        time.sleep(6 if kind == "endpoint" else 25)
        figure(f"WireGuard, {kind}, {what}, outage", outage(pinger), "s")
        assert lan.client.run("wg", "show", "wg0", "endpoints").stdout.split()[1] == f"{VIP}:51820"
    assert c.state(lan.b) == "master"


CHARON = (
    "setsid charon-systemd >/run/charon.log 2>&1 & echo $! >/run/charon.pid;"
    " until swanctl --load-all --noprompt >/run/swanctl.log 2>&1; do sleep 0.1; done"
)
LOG = "charon-systemd { filelog { log { path = /run/ike.log\ndefault = 1\nflush_line = yes } } }\n"
PEER = f"""
connections {{
    office {{
        local_addrs = 10.0.0.100
        remote_addrs = {VIP}
        local {{
            auth = psk
        }}
        remote {{
            auth = psk
        }}
        children {{
            net {{
                local_ts = 10.2.0.0/24
                remote_ts = 10.1.0.0/24
            }}
        }}
    }}
}}
secrets {{
    ike-office {{
        secret = SECRET
    }}
}}
"""


def test_strongswan(lan: Lan, boxes: list[Box], figure: Figure) -> None:
    """The new master calls the peer, and all traffic goes to it."""
    strongswan = recipe("strongSwan")
    *firewalls, peer = boxes
    for box in boxes:
        box.write("/etc/strongswan.d/log.conf", LOG)
    peer.write("/etc/swanctl/conf.d/office.conf", PEER)
    lan.client.ip("addr", "add", "10.2.0.1/32", "dev", "lo")
    peer.run("sh", "-c", CHARON)
    for box in firewalls:
        box.install(strongswan)
        box.host.ip("addr", "add", "10.1.0.1/32", "dev", "lo")
        box.follow(CHARON, stopped("/run/charon.pid"))
        box.react()
    c.create_pair(lan, preempt=True)
    try:
        peer.wait_run("ping", "-c", "1", "-W", "1", "-I", "10.2.0.1", "10.1.0.1")
    finally:
        for box in boxes:
            print(box.run("sh", "-c", "cat /run/ike.log", check=False))
    for what, act in (
        ("handed over", lambda: lan.a.run("carpctl", "demote", "test")),
        ("handed back", lambda: lan.a.run("carpctl", "undemote", "test")),
        ("hard cut", lambda: lan.hard_cut(lan.a)),
    ):
        pinger = lan.client.ping("10.1.0.1", 0.005)
        time.sleep(1)
        act()
        time.sleep(8)
        figure(f"strongSwan, {what}, outage", outage(pinger), "s")
        shown = peer.run("swanctl", "--list-sas").stdout
        assert shown.count("ESTABLISHED") == 1, shown
    assert c.state(lan.b) == "master"
