# SPDX-License-Identifier: GPL-2.0
"""States that two hosts keep the same: what a user sees of it."""

from __future__ import annotations

import socket

import pytest
from lib import conntrack
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("pfsync")


def connect(client: Host, server: Host, port: int = 8080) -> tuple[socket.socket, socket.socket]:
    listener = server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((server.address, port))
    listener.listen()
    caller = client.socket(socket.AF_INET, socket.SOCK_STREAM)
    caller.settimeout(5)
    caller.connect((server.address, port))
    answerer, _ = listener.accept()
    listener.close()
    return caller, answerer


def test_state_arrives(lan: Lan) -> None:
    for host in lan.hosts:
        p.create(host)
    for host in lan.hosts:
        p.wait_bulk(host)
    caller, answerer = connect(lan.client, lan.a)
    wait_for(lambda: conntrack.find(lan.b, "tcp", dport=8080), 3, "b has the connection")
    (here,) = conntrack.find(lan.a, "tcp", dport=8080)
    (there,) = conntrack.find(lan.b, "tcp", dport=8080)
    print(here, there)
    print(p.info(lan.a), p.info(lan.b))
    caller.close()
    answerer.close()
