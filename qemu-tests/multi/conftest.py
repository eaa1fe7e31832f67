# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the tests with several guests; see cluster.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from cluster import Cluster, make_folder

pytest_plugins = ["results"]


@pytest.fixture(scope="session", params=["e1000"])
def guests(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The guests, which live as long as no test kills them."""
    folder = make_folder()
    cluster = Cluster(folder, request.param)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder)


@pytest.fixture
def cluster(guests: Cluster) -> Iterator[Cluster]:
    """Hosts a and b, and a client: alive, reset, and each with its own address."""
    guests.prepare()
    yield guests
    complaints = guests.complaints()
    if complaints:
        pytest.fail("a kernel complained:\n" + "\n".join(complaints), pytrace=False)
