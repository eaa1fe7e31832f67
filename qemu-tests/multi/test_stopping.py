# SPDX-License-Identifier: GPL-2.0
"""A machine that stops in good order says farewell first; and one that only slept comes
back as a backup."""

from __future__ import annotations

import time

import pytest
from cluster import Cluster, wait_for
from lib.pinger import longest_gap
from test_carp import TIMEOUT, VIP, heard, pair, state, wait_state

__all__ = ["pair"]

# reboot(2), past all that an init system would do before
STOP = "import ctypes, time; time.sleep(0.5); ctypes.CDLL(None).reboot({})"


# What a busy host may take: to miss the master takes TIMEOUT, less an interval at most.
PROMPT = TIMEOUT - 1.5


@pytest.mark.parametrize(
    "command", [0x01234567, 0x4321FEDC, 0xCDEF0123], ids=["reboot", "poweroff", "halt"]
)
def test_the_master_stops_in_good_order(pair: Cluster, command: int) -> None:
    start = time.monotonic_ns()
    pinger = pair.client.ping(VIP)
    pair.a.spawn("python3", "-c", STOP.format(command))
    wait_for(lambda: state(pair.b) == "master", TIMEOUT + 10, "b takes over")
    time.sleep(1)
    outage = longest_gap(pinger.stop()).seconds
    print(f"carp, reboot({command:#x}): outage at the client {outage:.3f} s")
    pair.a.kill()
    assert heard(pair, "a", start)[-1].advskew == 255, "the last word is a farewell"
    assert outage < PROMPT, "nobody waited for the master to be missed"


def test_the_master_sleeps(pair: Cluster) -> None:
    """Suspend, as far as the kernel's own test of it goes: what runs is frozen for five
    seconds."""
    start = time.monotonic_ns()
    pinger = pair.client.ping(VIP)
    pair.a.write("/sys/power/pm_test", "freezer")
    pair.a.spawn("sh", "-c", "sleep 0.5; echo freeze >/sys/power/state")
    wait_for(lambda: state(pair.b) == "master", TIMEOUT + 10, "b takes over")
    time.sleep(1)
    outage = longest_gap(pinger.stop()).seconds
    print(f"carp, suspend: outage at the client {outage:.3f} s")
    assert heard(pair, "a", start)[-1].advskew == 255, "the last word is a farewell"
    assert outage < PROMPT, "nobody waited for the master to be missed"
    woken = time.monotonic_ns()
    wait_state(pair.a, "backup", 20)
    time.sleep(TIMEOUT + 1)
    assert (state(pair.a), state(pair.b)) == ("backup", "master")
    assert not heard(pair, "a", woken)
