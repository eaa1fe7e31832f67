# SPDX-License-Identifier: GPL-2.0
"""carpctl metrics --http on a connection, as systemd starts it; without systemd."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.prometheus import parse

pytestmark = pytest.mark.usefixtures("carp")

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost:9476\r\nAccept-Encoding: gzip\r\n\r\n"
Connect = Callable[[], AbstractContextManager[tuple[socket.socket, subprocess.Popen[bytes]]]]
OTHERS = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]


@pytest.fixture
def server(host: Host) -> Iterator[socket.socket]:
    """Listens on the host, which has a virtual host."""
    c.create(host)
    c.wait_state(host, "master")
    with host.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 9476))
        listening.listen()
        yield listening


@pytest.fixture
def connect(host: Host, server: socket.socket) -> Connect:
    @contextmanager
    def connected() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
        with host.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            with accepted, host.inside():
                program = subprocess.Popen(
                    ["setpriv", *OTHERS, "carpctl", "metrics", "--http"],
                    stdin=accepted,
                    stdout=accepted,
                    stderr=subprocess.PIPE,
                )
            client.settimeout(60)
            try:
                yield client, program
            finally:
                program.kill()
                program.communicate()

    return connected


def answer(client: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of what comes until the end."""
    data = b""
    while some := client.recv(65536):
        data += some
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    assert status.startswith("HTTP/1.1 ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert headers["connection"] == "close"
    return status.removeprefix("HTTP/1.1 "), headers, body


def test_a_scrape(connect: Connect) -> None:
    with connect() as (client, program):
        client.sendall(GET)
        status, headers, body = answer(client)
        client.close()
        assert program.wait(10) == 0
    assert status == "200 OK"
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(headers["content-length"]) == len(body)
    states = parse(body.decode())["carp_vhost_state"].by("interface", "state")
    assert states["carp0", "master"] == 1


def test_other_requests(connect: Connect) -> None:
    for request, expected in (
        (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), "200 OK"),
        (GET.replace(b"GET", b"HEAD"), "200 OK"),
        (GET.replace(b"/metrics", b"/"), "404 Not Found"),
        (GET.replace(b"GET", b"POST"), "405 Method Not Allowed"),
        (b"\x16\x03\x01\x02\x00\n\n", "400 Bad Request"),
    ):
        with connect() as (client, program):
            client.sendall(request)
            status, headers, body = answer(client)
            client.close()
            assert program.wait(10) == 0
        assert status == expected, request
        assert ("allow" in headers) == expected.startswith("405")
        assert bool(body) != request.startswith(b"HEAD")


def test_byte_by_byte(connect: Connect) -> None:
    with connect() as (client, _):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GET:
            client.sendall(bytes([byte]))
            time.sleep(0.01)
        assert answer(client)[0] == "200 OK"


def test_a_request_without_an_end(connect: Connect) -> None:
    """It is refused, and the client hears so although much of it was not read."""
    with connect() as (client, program):
        client.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"x" * 40000)
        assert answer(client)[0] == "400 Bad Request"
        client.close()
        assert program.wait(10) == 0


def test_a_client_that_says_nothing(connect: Connect) -> None:
    """Nobody can hold the program for longer than some seconds: not by silence, not by a
    byte now and then, not by reading nothing."""

    def silence(client: socket.socket) -> None:
        pass

    def now_and_then(client: socket.socket) -> None:
        client.send(b"x")

    for act in (silence, now_and_then):
        start = time.monotonic()
        with connect() as (client, program):

            def ended(
                client: socket.socket = client,
                program: subprocess.Popen[bytes] = program,
                act: Callable[[socket.socket], None] = act,
            ) -> bool:
                if program.poll() is not None:
                    return True
                act(client)
                return False

            wait_for(ended, 15, "it ends", interval=1)
            assert program.returncode == 0
            assert 9 < time.monotonic() - start < 13


def test_a_client_that_reads_nothing(host: Host, connect: Connect) -> None:
    lines = [f"link add many{vhid} type carp vhid {vhid} carpdev eth1" for vhid in range(1, 256)]
    host.ip_batch(*lines)
    host.sysctl("net.ipv4.tcp_wmem", "4096 4096 4096")
    start = time.monotonic()
    with connect() as (client, program):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.sendall(GET)
        wait_for(lambda: program.poll() is not None, 20, "it ends", interval=0.5)
        assert program.returncode == 0
    assert time.monotonic() - start > 5, "it had something to wait for"


def test_what_is_no_connection(host: Host) -> None:
    done = host.run("carpctl", "metrics", "--http", check=False)
    assert done.returncode == 1
    assert done.stderr == "carpctl: standard input is no connection.\n"
