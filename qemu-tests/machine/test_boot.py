# SPDX-License-Identifier: GPL-2.0
"""Two firewalls that are installed from packages, are configured in OpenBSD's files, and
boot into it. The tests of this folder build on each other, from the installation to the
purge."""

from __future__ import annotations

import re
import textwrap
import time
from pathlib import Path

from cluster import wait_for
from lib.pinger import longest_gap, lost
from machine import Firewalls, Machine
from outside import Outside, wait_tracked
from pair import (
    SLACK,
    addresses,
    configure,
    failed_units,
    has_states,
    packages,
    state,
    wait_both,
    wait_state,
)
from test_carp import ADVSKEW, TIMEOUT, VIP


def test_installed_from_packages(firewalls: Firewalls) -> None:
    def install(machine: Machine) -> None:
        started, used = time.monotonic(), disk(machine)
        said = machine.install(*packages(machine))
        taken, more = time.monotonic() - started, disk(machine) - used
        print(f"installation on {machine}: {taken:.0f} s, {more} KiB")
        assert "carp:" not in said, "nothing is missing"
        machine.run("/usr/lib/carp/check-kernel")
        assert not machine.run("ip", "link", "show", "type", "carp")
        assert not failed_units(machine)

    firewalls.both(install)


def disk(machine: Machine) -> int:
    """What is used of it, in KiB."""
    machine.run("sync")
    return int(machine.run("df", "-k", "--output=used", "/").split()[-1])


def test_a_reboot_and_the_pair_works(firewalls: Firewalls, outside: Outside) -> None:
    configure(firewalls.a, advskew=0)
    configure(firewalls.b, advskew=ADVSKEW)
    firewalls.both(Machine.stop_in_order)
    for machine in firewalls.machines:
        machine.start()
    for machine in firewalls.machines:
        machine.wait_up()
    wait_both(firewalls)
    for machine in firewalls.machines:
        assert not failed_units(machine)
        assert machine.run("sysctl", "-n", "net.inet.carp.preempt").strip() == "1"
        shown = machine.run("carpctl", "carp0")
        assert "OUTSIDE" in shown
        assert VIP in shown
        assert "proto netstart" in machine.run("ip", "addr", "show", "dev", "carp0")
        wait_for(lambda machine=machine: has_states(machine), 30, f"{machine} has all states")
    wait_tracked(firewalls.b, outside.connect())
    for machine in firewalls.machines:
        said = machine.run("carpctl", "doctor", check=False)
        assert said.startswith("Nothing is wrong"), said


def test_metrics_are_served(firewalls: Firewalls) -> None:
    """Nobody listens until the socket is enabled; then each connection has an answer, of
    which nothing is left."""
    a = firewalls.a
    ask = r"exec 3<>/dev/tcp/127.0.0.1/9476; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; cat <&3"
    assert "200 OK" not in a.run("bash", "-c", ask, check=False)
    a.run("systemctl", "-q", "enable", "--now", "carp-metrics.socket")
    for _ in range(3):
        told = a.run("bash", "-c", ask)
        assert "200 OK" in told
        assert 'carp_vhost_state{interface="carp0",vhid="1",state="master"} 1' in told
        assert 'pfsync_bulk_done{interface="pfsync0"} 1' in told
    units = "--all", "--plain", "--no-legend", "carp-metrics@*.service"
    wait_for(lambda: not a.run("systemctl", "list-units", *units).strip(), 10, "all have ended")
    # it fails where there is no entry at all
    said = a.run("journalctl", "-b", "-q", "-u", "carp-metrics@*", check=False)
    assert "Started" not in said and not failed_units(a)
    a.run("systemctl", "-q", "disable", "--now", "carp-metrics.socket")


def test_nothing_is_announced_before_the_rules(firewalls: Firewalls) -> None:
    for machine in firewalls.machines:
        rules = moment(machine, "nftables.service", "ActiveEnterTimestampMonotonic")
        carp = moment(machine, "carp.service", "InactiveExitTimestampMonotonic")
        assert 0 < rules < carp


def moment(machine: Machine, unit: str, what: str) -> int:
    """In microseconds since the boot; 0: never."""
    return int(machine.run("systemctl", "show", "--value", "-p", what, unit))


def test_a_reload_moves_nobody(firewalls: Firewalls) -> None:
    pinger = firewalls.client.ping(VIP)
    for machine in firewalls.machines:
        monitor = machine.spawn("carpctl", "monitor")
        machine.run("systemctl", "reload", "carp.service")
        time.sleep(1)
        assert not machine.stop(monitor).strip()
    wait_both(firewalls)
    assert len(lost(pinger.stop())) <= 2


def test_a_reload_applies_what_was_changed(firewalls: Firewalls) -> None:
    a = firewalls.a
    a.run("sed", "-i", "s/OUTSIDE/INSIDE/", "/etc/hostname.carp0")
    a.run("systemctl", "reload", "carp.service")
    assert "INSIDE" in a.run("carpctl", "carp0")
    assert state(a) == "master"


def test_keys_are_credentials(firewalls: Firewalls) -> None:
    """Of the service that starts interfaces, of its reload, and of who starts them by hand."""
    b = firewalls.b
    drop_in = "/etc/systemd/system/carp.service.d/keys.conf"
    b.run("sh", "-c", "umask 077; head -c 32 /dev/urandom > /root/key1")
    encrypt = "systemd-creds encrypt --with-key=host --name=carp.key2 /root/key1 /root/key2.cred"
    b.run(*encrypt.split())
    b.run("mkdir", "-p", str(Path(drop_in).parent))
    b.write(
        drop_in,
        "[Service]\nLoadCredential=carp.key1:/root/key1\n"
        "LoadCredentialEncrypted=carp.key2:/root/key2.cred\n",
    )
    b.run("systemctl", "daemon-reload")
    before = b.run("cat", "/etc/hostname.carp0")
    b.write("/etc/hostname.carp0", f"{before}authkey 1 carp.key1 auth receive\n", 0o600)
    b.run("systemctl", "restart", "carp.service")
    assert "auth receive authkeys 1\n" in b.run("carpctl", "carp0")
    more = "authkey 1 carp.key1 authkey 2 carp.key2 authactive 2 auth permissive\n"
    b.write("/etc/hostname.carp0", f"{before}{more}", 0o600)
    b.run("systemctl", "reload", "carp.service")
    assert "auth permissive authactive 2 authkeys 1,2\n" in b.run("carpctl", "carp0")
    assert "auth" not in b.run("carpctl", "netstart", "--check")
    b.write("/etc/hostname.carp0", before, 0o600)
    b.run("rm", drop_in)
    b.run("systemctl", "daemon-reload")
    b.run("systemctl", "reload", "carp.service")
    assert "auth" not in b.run("carpctl", "carp0")
    wait_both(firewalls)


FOLLOWS = """[Unit]
Requisite=carp-{0}@carp0.target
After=carp-{0}@carp0.target
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=carp-{0}@carp0.target
"""


def test_services_and_hooks_follow_the_master(firewalls: Firewalls) -> None:
    """A service runs where its state is, and also after the daemon was started again."""
    a, b = firewalls.a, firewalls.b
    for machine in firewalls.machines:
        for state_name in ("master", "backup"):
            machine.write(
                f"/etc/systemd/system/follows-{state_name}.service", FOLLOWS.format(state_name)
            )
            machine.run("systemctl", "-q", "enable", f"follows-{state_name}.service")
        machine.write(
            "/etc/carp/hooks.d/write-down",
            '#!/bin/sh\necho "$CARP_INTERFACE $CARP_STATE" >>/run/hook\n',
            0o755,
        )
        machine.run("systemctl", "restart", "carp-react.service")

    def wait_followers(master: Machine, backup: Machine) -> None:
        active = {master: "master", backup: "backup"}
        for machine, follower in active.items():
            wait_for(
                lambda m=machine, f=follower: active_followers(m) == [f],
                30,
                f"what follows a {follower} runs on {machine}",
            )

    wait_followers(a, b)
    b.run("systemctl", "start", unit("master"), check=False)
    wait_followers(a, b)
    a.run("carpctl", "-g", "carp", "carpdemote", "100")
    wait_followers(b, a)
    b.run("systemctl", "kill", "-s", "KILL", "carp-react.service")
    a.run("carpctl", "-g", "carp", "-carpdemote", "100")
    wait_followers(a, b)
    wait_both(firewalls)
    for machine, wanted in ((a, "MASTER"), (b, "BACKUP")):
        heard = machine.run("cat", "/run/hook").splitlines()
        assert heard[-1] == f"carp0 {wanted}", heard
        assert not failed_units(machine)
        machine.run("rm", "/etc/carp/hooks.d/write-down")
        machine.run("systemctl", "disable", "-q", "--now", *map(unit, ("master", "backup")))


def test_a_package_s_service_follows_the_master(firewalls: Firewalls) -> None:
    """As docs/recipes.md says; it names another service."""
    a, b = firewalls.a, firewalls.b
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    section = text.partition("## A service on the master only\n")[2]
    block = re.search(r"\n((?:    .*\n)+)", section)
    assert block
    script = textwrap.dedent(block[1]).replace("dnsmasq.service", "bird.service")

    def runs(machine: Machine) -> bool:
        return machine.run("systemctl", "is-active", "bird", check=False).strip() == "active"

    for machine in firewalls.machines:
        machine.write("/etc/bird/bird.conf", "router id 10.0.0.9;\nprotocol device {}\n", 0o644)
        machine.run("sh", "-ec", script)
    for act, master, backup in (("", a, b), ("carpdemote", b, a), ("-carpdemote", a, b)):
        if act:
            a.run("carpctl", "-g", "carp", act, "100")
        wait_for(lambda m=master: runs(m), 30, f"it runs on {master}")
        wait_for(lambda m=backup: not runs(m), 30, f"it does not run on {backup}")
        backup.run("systemctl", "start", "bird", check=False)
        assert not runs(backup)
    for machine in firewalls.machines:
        machine.run("rm", "/etc/systemd/system/carp-master@carp0.target.wants/bird.service")
        machine.run("systemctl", "revert", "bird.service")
        machine.run("systemctl", "stop", "bird.service")
    wait_both(firewalls)


def unit(follower: str) -> str:
    return f"follows-{follower}.service"


def active_followers(machine: Machine) -> list[str]:
    return [
        name
        for name in ("master", "backup")
        if machine.run("systemctl", "is-active", unit(name), check=False).strip() == "active"
    ]


def test_a_service_that_must_be_active(firewalls: Firewalls) -> None:
    """While it is not its host is demoted, whatever happens to what looks after it."""
    a, b = firewalls.a, firewalls.b
    service, required = "must-run.service", "carp-require@must-run.service"
    a.write(f"/etc/systemd/system/{service}", "[Service]\nExecStart=/usr/bin/sleep infinity\n")
    a.run("systemctl", "daemon-reload")
    a.run("systemctl", "start", service)
    a.run("systemctl", "-q", "enable", "--now", required)
    wait_both(firewalls)
    a.run("systemctl", "stop", service)
    wait_state(b, "master")
    wait_state(a, "backup")
    demoted = "unit:must-run 1 since", "must-run.service is inactive"
    assert all(words in causes(a) for words in demoted), causes(a)
    a.run("systemctl", "kill", "-s", "KILL", required)
    time.sleep(35)
    assert all(words in causes(a) for words in demoted), causes(a)
    a.run("systemctl", "start", service)
    wait_both(firewalls)
    a.run("systemctl", "stop", service)
    wait_state(b, "master")
    # whoever looks no more says nothing any more
    a.run("systemctl", "-q", "disable", "--now", required)
    wait_for(lambda: "unit:" not in causes(a), 40, "the cause has ended")
    wait_both(firewalls)
    assert not failed_units(a)


def causes(machine: Machine) -> str:
    return machine.run("carpctl", "-g", "carp")


def test_a_check_decides(firewalls: Firewalls) -> None:
    a, b = firewalls.a, firewalls.b
    command = "[ -e /run/works ] || { echo it does not work; exit 1; }"
    a.run("touch", "/run/works")
    a.write("/etc/carp/checks.d/works.conf", f"command {command}\nevery 1\n")
    a.run("systemctl", "reload", "carp-check.service")
    time.sleep(5)
    wait_both(firewalls)
    a.run("rm", "/run/works")
    wait_state(b, "master")
    assert ": it does not work" in causes(a)
    a.run("touch", "/run/works")
    wait_both(firewalls)
    a.run("rm", "/etc/carp/checks.d/works.conf")
    a.run("systemctl", "reload", "carp-check.service")
    assert "check works" in a.run("journalctl", "-b", "-q", "-u", "carp-check.service")


def test_a_parent_comes_late(firewalls: Firewalls) -> None:
    """After a boot without it, which nothing else has to suffer from."""
    b = firewalls.b
    b.write(
        "/etc/hostname.carp5",
        "inet 10.0.5.1 255.255.255.0 vhid 5 pass secretpassword carpdev late0\n",
        0o600,
    )
    b.stop_in_order()
    b.start()
    b.wait_up()
    wait_state(b, "backup")
    assert not failed_units(b)
    status = b.run("systemctl", "status", "--no-pager", "carp.service", check=False)
    assert "carp5: carpdev late0: there is no such interface" in status
    b.run("ip", "link", "add", "late0", "arp", "on", "type", "dummy")
    b.run("ip", "link", "set", "late0", "up")
    wait_for(
        lambda: "carp5" in b.run("ip", "-br", "link", "show", "type", "carp"),
        60,
        "carp5 is there",
    )
    wait_for(lambda: addresses(b, "carp5") == ["10.0.5.1/24"], 10, "carp5 has its address")
    assert not failed_units(b)
    assert state(b) == "backup"
    b.run("rm", "/etc/hostname.carp5")
    b.run("ip", "link", "del", "carp5")
    b.run("ip", "link", "del", "late0")


def test_the_master_reboots_in_order(firewalls: Firewalls, outside: Outside) -> None:
    a, b = firewalls.a, firewalls.b
    kept = outside.connect()
    wait_tracked(b, kept)
    pinger = firewalls.client.ping(VIP)
    a.stop_in_order("reboot")
    wait_state(b, "master")
    kept.check()
    a.start()
    a.wait_up()
    wait_both(firewalls)
    kept.check()
    outage = longest_gap(pinger.stop()).seconds
    print(f"reboot of the master: outage at the client {outage:.3f} s")
    assert outage < SLACK, "nobody waited for the master to be missed"


def test_the_master_loses_its_power(firewalls: Firewalls, outside: Outside) -> None:
    a, b = firewalls.a, firewalls.b
    kept = outside.connect()
    wait_tracked(b, kept)
    pinger = firewalls.client.ping(VIP)
    a.kill()
    wait_state(b, "master")
    outage = longest_gap(pinger.stop()).seconds
    print(f"power failure of the master: outage at the client {outage:.3f} s")
    assert outage < TIMEOUT + SLACK
    kept.check()
    a.start()
    a.wait_up()
    wait_both(firewalls)
    kept.check()
    assert not failed_units(a)
