# SPDX-License-Identifier: GPL-2.0
"""Authentication of whole packets as users configure it: with ip(8), with carpctl, by
netstart. What it does on the wire is tested elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib import carp as c
from lib.host import Host

pytestmark = pytest.mark.usefixtures("carp")

LINE = "32 characters, and not one less."
AUTH = ("auth", "authactive", "authkeys", "authwindow", "authmonotonic")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with key1 to key9, which are alike."""
    for number in range(1, 10):
        (tmp_path / f"key{number}").write_text(f"{LINE}\n")
        (tmp_path / f"key{number}").chmod(0o600)
    return tmp_path


@pytest.fixture
def carp0(host: Host) -> Host:
    c.create(host)
    return host


def told(host: Host) -> tuple[object, ...]:
    data = c.info(host)
    return tuple(data[name] for name in AUTH)


def change(host: Host, words: str) -> None:
    host.ip("link", "set", "carp0", "type", "carp", *words.split())


def test_words_of_ip(carp0: Host, keys: Path) -> None:
    """Step by step and at once: what was said comes back, and no key does."""
    assert told(carp0) == ("off", 0, [], 5, False)
    change(carp0, f"authkey 1 {keys}/key1 auth receive")
    assert told(carp0) == ("receive", 0, [1], 5, False)
    change(carp0, f"authkey 200 {keys}/key2 authactive 200 auth enforce -authkey 1")
    assert told(carp0) == ("enforce", 200, [200], 5, False)
    change(carp0, "authwindow 60 authmonotonic")
    shown = carp0.ip("-d", "link", "show", "carp0")
    assert " auth enforce authactive 200 authkeys 200 authwindow 60 authmonotonic " in shown
    change(carp0, "authwindow 0 authtime")
    change(carp0, "auth off -authactive -authkey 200")
    assert told(carp0) == ("off", 0, [], 5, False)
    assert "auth" not in carp0.ip("-d", "link", "show", "carp0")
    change(carp0, "advbase 4")
    assert c.info(carp0)["authwindow"] == 12


def test_eight_keys(host: Host, keys: Path) -> None:
    words = [word for i in range(1, 9) for word in ("authkey", str(i), f"{keys}/key{i}")]
    host.ip("link", "add", "carp0", "type", "carp", *words)
    assert c.info(host)["authkeys"] == list(range(1, 9))
    refused = host.refused("ip", "link", "set", "carp0", "type", "carp", "authkey", "9", words[-1])
    assert refused == "Error: an interface has at most 8 authkeys."


def test_what_is_refused(carp0: Host, keys: Path) -> None:
    change(carp0, f"authkey 1 {keys}/key1 authactive 1")
    for words, sentence in (
        ("authkey 0 KEY", "the id of an authkey is 1-255."),
        ("-authkey 0", "the id of an authkey is 1-255."),
        ("authkey 2 KEY authkey 2 KEY", "authkey 2 occurs twice."),
        ("authactive 2", "authactive: there is no authkey 2."),
        ("-authkey 2", "-authkey: there is no authkey 2."),
        ("-authkey 1", "authkey 1 is the active one: make another active first."),
        ("auth enforce -authactive", "auth permissive and enforce need an active key: authactive."),
        ("auth receive -authactive -authkey 1", "auth receive needs a key: authkey."),
        ("authwindow 301", "authwindow must be 1-300 seconds, or 0 for the default."),
        ("authkey 2 /dev/null", 'the key in "/dev/null" has 0 bytes: 32-64 are expected.'),
    ):
        before = told(carp0)
        words = words.replace("KEY", f"{keys}/key2")
        refused = carp0.refused("ip", "link", "set", "carp0", "type", "carp", *words.split())
        assert refused == f"Error: {sentence}", words
        assert told(carp0) == before


def test_words_of_carpctl(carp0: Host, keys: Path) -> None:
    """Several keys go in one command, in and out."""
    words = f"authkey 1 {keys}/key1 authkey 2 {keys}/key2 authactive 2 auth permissive"
    carp0.run("carpctl", "carp0", *words.split())
    assert told(carp0) == ("permissive", 2, [1, 2], 5, False)
    shown = carp0.run("carpctl", "carp0").stdout
    assert "\t\tauth permissive authactive 2 authkeys 1,2\n" in shown
    words = "auth off -authactive -authkey 1 -authkey 2"
    carp0.run("carpctl", "carp0", *words.split())
    assert told(carp0) == ("off", 0, [], 5, False)
    assert LINE not in shown


def test_netstart(carp0: Host, keys: Path) -> None:
    """A second run has nothing to do; what the file no longer has goes away."""
    file = keys / "hostname.carp0"
    begin = "inet 10.0.0.1/24 vhid 1 carpdev eth0\n"
    words = f"authkey 1 {keys}/key1 authactive 1 auth enforce authwindow 7\n"

    def check() -> str:
        return carp0.run("carpctl", "netstart", "--check", "--etc", str(keys), check=False).stdout

    def start() -> None:
        carp0.run("carpctl", "netstart", "--etc", str(keys), "carp0")

    file.write_text(begin + words)
    start()
    assert told(carp0) == ("enforce", 1, [1], 7, False)
    assert "auth" not in check()
    (keys / "key1").write_text(f"{LINE}.\n")
    assert "carp0 would get authkey 1.\n" in check()
    start()
    assert "auth" not in check()
    file.write_text(f"{begin}{words}authkey 2 {keys}/key2\n")
    assert "authkey 1" not in check()
    carp0.run("carpctl", "netstart", "--etc", str(keys))
    assert "auth" not in check(), "a new key lets the old one be remembered"
    file.write_text(begin)
    assert "carp0 would lose authkey 2.\n" in check()
    start()
    assert told(carp0) == ("off", 0, [], 5, False)


def test_a_credential_of_systemd(carp0: Host, keys: Path) -> None:
    """A name without a slash is looked for there first."""
    given = f"CREDENTIALS_DIRECTORY={keys}"
    carp0.run("env", given, "carpctl", "carp0", "authkey", "1", "key1")
    assert told(carp0) == ("off", 0, [1], 5, False)
