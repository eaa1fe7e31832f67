# SPDX-License-Identifier: GPL-2.0
"""New kernels, new packages, and none any more; after test_boot.py."""

from __future__ import annotations

from cluster import wait_for
from lib.pinger import longest_gap, lost
from machine import DEBS, Firewalls
from outside import Outside, wait_tracked
from pair import failed_units, has_states, packages, wait_both, wait_state
from test_carp import TIMEOUT, VIP

NEW_KERNEL = "linux-image-99.1-amd64"


def test_a_kernel_without_the_module_is_told_of(firewalls: Firewalls) -> None:
    """Before the reboot: in what apt says, and in systemctl --failed."""
    b = firewalls.b
    said = b.install(NEW_KERNEL)
    assert "carp: the newest kernel, 99.1-amd64, has no carp.ko." in said
    assert "carp-kernel.service" in failed_units(b)
    said = b.run("carpctl", "doctor", check=False)
    assert "the newest kernel, 99.1-amd64, has no carp.ko" in said, said
    b.run("dpkg", "--purge", NEW_KERNEL)
    b.run("/usr/lib/carp/check-kernel", "--after-apt")
    assert not failed_units(b)


def test_an_upgrade_of_the_master_hands_over(firewalls: Firewalls, outside: Outside) -> None:
    """No connection is lost, no ping of one a millisecond, and nobody waits for a master that
    is missed."""
    a, b = firewalls.a, firewalls.b
    kept = [outside.connect() for _ in range(10)]
    for connection in kept:
        wait_tracked(b, connection)
    pinger = firewalls.client.ping(VIP, microseconds=1000)
    said = a.install(*packages(a), folder=f"{DEBS}/newer")
    assert "keep the old" not in said
    wait_state(b, "backup")
    wait_both(firewalls)
    wait_for(lambda: has_states(a), 30, "a has all states")
    pings = pinger.stop()
    for connection in kept:
        connection.check()
    assert "+newer" in a.run("dpkg-query", "-W", "carp-tools")
    assert a.run("sysctl", "-n", "net.inet.carp.preempt").strip() == "1"
    outage = longest_gap(pings).seconds
    print(f"upgrade of the master: {len(lost(pings))} of {len(pings)} lost, outage {outage:.3f} s")
    assert not lost(pings)
    assert outage < TIMEOUT - 1


def test_purged(firewalls: Firewalls) -> None:
    b = firewalls.b
    b.run("dpkg", "--purge", *packages(b))
    assert not b.run("ip", "link", "show", "type", "carp")
    pruned = "-path /debs -o -path /carp -o -path /proc -o -path /sys"
    found = b.run(
        "sh", "-c",
        f"find / -xdev \\( {pruned} \\) -prune -o -name '*carp*' -print | grep -v hostname.carp",
        check=False,
    ).split()  # fmt: skip
    assert not found
