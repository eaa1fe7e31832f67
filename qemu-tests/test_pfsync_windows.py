# SPDX-License-Identifier: GPL-2.0
"""What a host lets through of a TCP connection that a peer has told of: the peer's
windows may be old, for it died before it could tell what it let through last."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from lib import conntrack
from lib.pair import BE_LIBERAL
from lib.segments import WINDOW, Connection, made
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

# how long a host is lenient after a peer's last word
LENIENT = 60


@pytest.fixture
def connection(pfsync: None, world: World) -> Iterator[Connection]:
    with made(world) as connection:
        connection.tell()
        yield connection


def test_what_was_lost_is_sent_again(connection: Connection) -> None:
    """The client had sent 200 kB that the peer did not tell of, and the server's
    acknowledgements were lost; the first that comes is new, the second is old."""
    assert connection.from_server(100, ack=0)
    assert connection.from_client(0, ack=100), "data is sent again"
    assert connection.from_server(120, ack=200_000), "all of it had come"
    assert connection.from_client(200_000, ack=140)
    assert connection.from_server(140, ack=200_020)


def test_beyond_every_window(connection: Connection) -> None:
    """No host is lenient about that, be it the first segment or a later one."""
    for ahead in (1 << 26, 1 << 30, -(1 << 30)):
        assert not connection.from_server(ahead)
        assert not connection.from_server(10, ack=ahead)
    assert connection.from_server(10)
    assert not connection.from_client(1 << 26)
    assert not connection.from_client(0, ack=1 << 26)
    assert connection.from_client(0, ack=10)


def is_lenient(connection: Connection) -> bool:
    entry = conntrack.entry(connection.pair.a, proto=6)
    assert entry
    return all(flags & BE_LIBERAL for flags in entry["flags"])


@pytest.mark.parametrize("ahead", [0, 1_000_000], ids=["idle", "ahead"])
def test_strict_in_the_end(connection: Connection, ahead: int) -> None:
    """A minute after the peer's last word windows are checked as those of any other
    connection; what was learned meanwhile is what counts."""
    if ahead:
        assert connection.from_client(ahead) and connection.from_server(20, ack=ahead + 20)
    assert is_lenient(connection)
    time.sleep(LENIENT + 3)
    assert not is_lenient(connection)
    assert not connection.from_client(ahead + 3 * WINDOW)
    assert not connection.from_server(50, ack=ahead + 3 * WINDOW)
    assert connection.from_client(ahead + 20)
    assert connection.from_server(40, ack=ahead + 20)
