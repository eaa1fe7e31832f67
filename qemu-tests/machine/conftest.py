# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the tests with machines that boot from disks; see machine.py."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "multi"))

from cluster import make_folder  # noqa: E402
from machine import Firewalls  # noqa: E402
from outside import Outside  # noqa: E402
from test_carp import VIP  # noqa: E402

pytest_plugins = ["results"]


@pytest.fixture(scope="session")
def firewalls() -> Iterator[Firewalls]:
    """Two machines, on which nothing of ours is installed, and a client."""
    folder = make_folder()
    firewalls = Firewalls(folder)
    try:
        for machine in firewalls.machines:
            machine.make_disk()
            machine.start()
        firewalls.client.start()
        for machine in firewalls.machines:
            machine.wait_up()
        firewalls.client.wait_booted()
        firewalls.client.setup()
        yield firewalls
    finally:
        firewalls.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def outside(firewalls: Firewalls) -> Outside:
    """Reached from the client through the firewalls."""
    return Outside(firewalls.client, VIP)
