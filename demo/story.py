# SPDX-License-Identifier: GPL-2.0
"""The demo, as it runs in a guest: two hosts share an address, one of them dies.

Nothing in it is canned: what it prints was measured a moment before, and it ends
with a sentence and status 1 as soon as anything is not as it should be. What it
recorded goes to /out for picture.py.

Hosts, captures and pings are those of the tests: qemu-tests must be in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import recording as rec
from lib.capture import Capture
from lib.clock import now, wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.pinger import Pinger
from lib.process import run
from lib.world import World
from recording import MILLISECOND, Recording
from terminal import Terminal

VIP = "10.0.0.1"
VHID = 1
MAC = f"00:00:5e:00:01:{VHID:02x}"
ADVSKEW = {"alpha": 0, "beta": 100}
ADDRESS = {"alpha": "10.0.0.2", "beta": "10.0.0.3", "client": "10.0.0.100"}
LATE = MILLISECOND
"""How much later than the protocol's bound a takeover may be."""
EPOCH = datetime.fromtimestamp(0, UTC)
TAINT_OF_OURS = 1 << 12 | 1 << 13
"""Built out of the kernel's tree, and unsigned: what any such module leaves."""

STAGE = """
         alpha                  beta                  client
       10.0.0.2               10.0.0.3              10.0.0.100
           │                      │                      │
      ─────┴──────────────────────┴──────────────────────┴─────  one switch

      alpha and beta share 10.0.0.1; beta stands by with advskew 100.
"""


class Broken(AssertionError):
    """Something is not as it should be; the message says what."""


def fail_unless(condition: bool, sentence: str) -> None:
    if not condition:
        raise Broken(sentence)


def milliseconds(ns: int, digits: int = 1) -> str:
    return f"{ns / 1e6:,.{digits}f} ms"


def microseconds(ns: int) -> str:
    return f"{round(ns / 1e3):,} µs"


class Player:
    """One of the two hosts that share the address, and who watches it."""

    def __init__(self, host: Host, start: int) -> None:
        self.host = host
        self.name = host.name
        self.start = start
        self.record = rec.Host(host.name, advbase=1, advskew=ADVSKEW[host.name])
        # Advertisements both ways, and every sixteenth ping that it answers.
        self._capture: Capture = host.capture(
            only="ip proto 112 or (icmp[0] = 0 and icmp[7] & 15 = 0)"
        )
        self._monitor = host.spawn("ip", "-ts", "-d", "-o", "monitor", "link")
        self._shown = "init"

    def refresh(self) -> rec.Host:
        """Brings the record up to date."""
        record = self.record
        record.sent, record.heard, record.answered = [], [], []
        for packet in self._capture.packets():
            moment = packet.time - self.start
            if packet.data[23] == 112:
                # advskew and advbase of a host that leaves are both 255
                farewell = packet.data[36] == packet.data[39] == 255
                where = record.sent if packet.outgoing else record.heard
                where.append(rec.Advertisement(moment, farewell))
            elif packet.outgoing:
                record.answered.append(moment)
        record.changes = []
        for line in self._monitor.output().splitlines():
            found = re.match(r"\[(\S+)\] \d+: carp0\b.* carp state (\w+)", line)
            if not found:
                continue
            reported = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) - EPOCH
            moment = reported // timedelta(microseconds=1) * 1000 - self.start
            state = found[2].lower()
            if not record.changes or record.changes[-1].state != state:
                record.changes.append(rec.Change(self._tighten(moment), state))
        return record

    def _tighten(self, reported: int) -> int:
        """When a change happened that ip(8) reported: it has an advertisement for
        its cause or at once for its effect, and those have the kernel's timestamps."""
        near = [a.time for a in [*self.record.sent, *self.record.heard]]
        return max((t for t in near if 0 <= reported - t < MILLISECOND), default=reported)

    @property
    def state(self) -> str:
        changes = self.refresh().changes
        return changes[-1].state if changes else "none"

    def news(self) -> tuple[str, str]:
        """The state that was shown last, and the one that it is in now."""
        before, self._shown = self._shown, self.state
        return before, self._shown

    def last_heard(self, before: int) -> int:
        """When the last advertisement before then reached it."""
        heard = [a.time for a in self.refresh().heard if a.time < before]
        fail_unless(bool(heard), f"{self.name} has never heard an advertisement")
        return max(heard)

    def first_sent(self, after: int) -> int:
        """When its first advertisement since then left, which says "I am master"."""
        sent = [a.time for a in self.refresh().sent if a.time >= after and not a.farewell]
        fail_unless(bool(sent), f"{self.name} is master but has not advertised")
        return sent[0]


class Story:
    """The whole demo."""

    def __init__(self, terminal: Terminal, signer: str) -> None:
        self.terminal = terminal
        self.signer = signer
        self.log = Kmsg()
        self._log_taken = 0
        self.world = World()
        self.switch, *others = self.world.make_hosts("switch", "alpha", "beta", "client")
        self.client = others[2]
        self.connect(others)
        self.recording = Recording(kernel=platform.release(), address=VIP)
        self.start = 0
        self.rows: list[tuple[str, str, str]] = []
        self.alpha: Player
        self.beta: Player
        self._hosts = others[:2]
        self._pinger: Pinger | None = None

    def connect(self, hosts: list[Host]) -> None:
        """Puts all of them on one switch."""
        lines = ["link add br0 type bridge forward_delay 0 mcast_snooping 0"]
        for host in hosts:
            lines += [
                f"link add name {host} type veth peer name eth0 netns {host}",
                f"link set dev {host} master br0 up",
            ]
        self.switch.ip_batch(*lines, "link set dev br0 up")
        for host in hosts:
            host.ip_batch("link set dev eth0 up", f"addr add {ADDRESS[host.name]}/24 dev eth0")
        for host in hosts:
            host.settle()

    # -- what is said

    def now(self) -> int:
        return now() - self.start

    def type(self, host: Host | None, command: str, show: str = "") -> str:
        """Types a command on a host, and returns what it printed; of that, what
        matches is shown."""
        self.terminal.typed(self.now(), host.name if host else "guest", command)
        if host:
            output = host.run(*shlex.split(command)).stdout
        else:
            output = run(shlex.split(command)).stdout
        if show:
            found = re.findall(show, output)
            fail_unless(bool(found), f"'{command}' on {host} shows no '{show}': {output}")
            self.terminal.output("\n".join(found))
        return output

    def expect(self, player: Player, state: str, within: float) -> None:
        """Waits until a host is in a state, and shows how it got there."""
        wait_for(
            lambda: player.state == state,
            within,
            f"{player.name} becomes {state}; it is {player.state}",
        )
        before, after = player.news()
        moment = player.record.changes[-1].time
        self.terminal.state(moment, player.name, before, after, self.reason(after))

    def reason(self, state: str) -> str:
        """Why a host entered this state, from the kernel's log."""
        self.log.read()
        for i in range(self._log_taken, len(self.log.lines)):
            found = re.search(
                rf"state transition: \w+ -> {state.upper()} \((.*)\)", self.log.lines[i]
            )
            if found:
                self._log_taken = i + 1
                return f'"{found[1]}"'
        return ""

    def label(self, moment: int, host: str, text: str) -> None:
        """Notes what the picture shall name."""
        self.recording.labels.append(rec.Label(moment, host, text))

    # -- pings

    def change_pinger(self, last: bool = False) -> list[rec.Ping]:
        """Ends a series of pings and returns it; the next one has begun before."""
        old, self._pinger = self._pinger, None
        if not last:
            self._pinger = self.client.ping(VIP)
            # a request a millisecond, whatever else this processor has to do
            pid = self.world.processes[-1].pid
            os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
        if not old:
            return []
        pings = [
            rec.Ping(p.sent - self.start, p.received and p.received - self.start)
            for p in old.stop()
        ]
        self.recording.pings += pings
        answered = sum(1 for p in pings if p.received)
        fail_unless(answered > 1, f"none of {len(pings)} pings to {VIP} was answered")
        return pings

    def none_lost(self, pings: list[rec.Ping], what: str, row: str) -> str:
        """Says that all pings were answered, and insists on it."""
        lost = sum(1 for p in pings if not p.received)
        share = f"{lost} of {len(pings):,}"
        longest = milliseconds(rec.longest_silence(pings).length)
        self.terminal.result(
            pings[-1].sent,
            "client",
            f"{share} pings lost; a reply at least every {longest}",
            good=not lost,
        )
        self.rows.append((f"{row}: pings lost", share, "0"))
        fail_unless(not lost, f"{lost} pings were lost {what}, and none should be")
        return f"{share} pings lost"

    def show_arp(self) -> None:
        """Where client and switch think the address lives."""
        self.type(self.client, f"ip neigh show {VIP}", show=f".*{MAC}.*")
        fdb = self.type(self.switch, "bridge fdb show br br0", show=f".*{MAC}.*")
        fail_unless(len(re.findall(MAC, fdb)) == 1, f"the switch knows {MAC} on several ports")

    # -- the acts

    def opening(self) -> None:
        package = re.search(r"Debian (\S+)", platform.version())
        said = f"Linux {platform.release()}" + (f", Debian {package[1]}" if package else "")
        paint = self.terminal.paint
        self.terminal.line(paint("title", "CARP for Linux: two hosts share one address"))
        self.terminal.line()
        self.terminal.line(f"  kernel   {said}")
        tainted = int(Path("/proc/sys/kernel/tainted").read_text())
        if self.signer and not tainted:
            self.terminal.line("           unmodified: its file is as it was signed by the")
            self.terminal.line(f"           {self.signer}")
        self.terminal.line("  hosts    network namespaces of one guest, joined by a bridge")
        self.terminal.line("  time     the guest's, in seconds; a nanosecond is an instruction")
        self.terminal.line(paint("quiet", STAGE.rstrip()))

    def set_up(self) -> None:
        self.terminal.act("Set up: what is typed on each host")
        self.start = now()
        self.type(None, "insmod carp.ko")
        tainted = int(Path("/proc/sys/kernel/tainted").read_text())
        fail_unless(not tainted & ~TAINT_OF_OURS, f"the kernel says it is tainted: {tainted}")
        self.alpha, self.beta = (Player(host, self.start) for host in self._hosts)
        time.sleep(0.05)
        for player in (self.alpha, self.beta):
            self.type(player.host, "sysctl -w net.inet.carp.preempt=1")
            self.type(
                player.host,
                f"ip link add carp0 type carp vhid {VHID} carpdev eth0 pass secret"
                f" advskew {player.record.advskew}",
            )
            self.type(player.host, f"ip addr add {VIP}/24 dev carp0")
            self.type(player.host, "ip link set carp0 up")
            self.expect(player, "backup", 1)
        self.terminal.say("Both listen. Nobody advertises, and alpha's patience ends first:")
        self.expect(self.alpha, "master", 10)
        self.label(self.alpha.first_sent(0), "alpha", "alpha elected")
        # long enough for beta to contradict, would it want to
        time.sleep(0.5)
        fail_unless(self.beta.state == "backup", f"beta is {self.beta.state}, too")
        for player in (self.alpha, self.beta):
            self.type(player.host, "ip -d link show carp0", show=r"carp state .* advskew \d+")

    def calm(self) -> None:
        self.terminal.act("All is well: the client sends a ping every millisecond")
        self.change_pinger()
        time.sleep(1.5)
        pings = self.change_pinger()
        self.none_lost(pings, "while nothing happened", "nothing happens")
        self.show_arp()

    def death(self) -> int:
        """Returns when it was."""
        self.terminal.act("The master dies without a word: its port at the switch goes dead")
        self.type(self.switch, "bridge link set dev alpha state 0")
        died = self.now()
        self.label(died, "alpha", "alpha is cut off")
        eth0 = self.alpha.host.ip("link", "show", "dev", "eth0")
        fail_unless("LOWER_UP" in eth0, "alpha's eth0 has lost its carrier")
        self.terminal.say(
            f"alpha does not notice: its eth0 has carrier, it is {self.alpha.state.upper()}."
        )
        self.expect(self.beta, "master", 10)
        takeover = self.beta.first_sent(died)
        self.label(takeover, "beta", "beta takes over")
        time.sleep(1.3)
        pings = self.change_pinger()

        last = self.beta.last_heard(takeover)
        patience = self.beta.record.patience
        waited = takeover - last
        self.terminal.say(
            f"{milliseconds(waited, 3)} after the last advertisement that it heard, at "
            f"{last / 1e9:.3f}. 3 x advbase + advskew/256 s = {milliseconds(patience, 3)}."
        )
        silence = rec.longest_silence(pings)
        lost = sum(1 for p in pings if not p.received)
        fail_unless(
            silence.start < takeover < silence.end,
            "the client's silence and the takeover have nothing to do with each other",
        )
        resumed = silence.end - takeover
        self.terminal.result(
            silence.end,
            "client",
            f"{milliseconds(silence.length)} without a reply, {lost:,} pings lost",
            good=False,
        )
        self.show_arp()
        self.terminal.say("The MAC address is the same: only the switch had to learn.")
        due = milliseconds(patience, 3)
        self.rows += [
            ("master dies: last advertisement to takeover", milliseconds(waited, 3), due),
            ("master dies: takeover to first reply", milliseconds(resumed, 3), ""),
            ("master dies: client without a reply", milliseconds(silence.length, 3), ""),
        ]
        self.recording.handovers.append(
            rec.Handover(
                takeover,
                "alpha is cut off, beta takes over",
                [
                    f"{milliseconds(waited, 3)} after the last advertisement;",
                    f"the protocol says {due}",
                ],
            )
        )
        fail_unless(
            patience <= waited <= patience + LATE,
            f"beta took over after {milliseconds(waited, 3)}; the protocol says {due}",
        )
        return died

    def comeback(self, died: int) -> None:
        self.terminal.act("alpha is restarted, and its port repaired")
        self.type(self.alpha.host, "ip link set carp0 down")
        self.expect(self.alpha, "init", 1)
        self.type(self.switch, "bridge link set dev alpha state 3")
        self.alpha.record.cut.append((died, self.now()))
        up = self.now()
        self.type(self.alpha.host, "ip link set carp0 up")
        self.label(up, "alpha", "alpha returns")
        self.expect(self.alpha, "backup", 1)
        self.terminal.say("net.inet.carp.preempt=1: it awaits an advertisement of beta's.")
        self.expect(self.alpha, "master", 10)
        self.expect(self.beta, "backup", 1)
        takeover = self.alpha.first_sent(up)
        self.label(takeover, "alpha", "alpha preempts")
        time.sleep(0.8)
        waited = takeover - self.alpha.last_heard(takeover)
        self.terminal.say(f"alpha was master {microseconds(waited)} after it heard beta.")
        result = self.none_lost(self.change_pinger(), "when alpha came back", "master returns")
        self.recording.handovers.append(
            rec.Handover(
                takeover,
                "alpha is back and preempts",
                [f"{microseconds(waited)} after it heard beta advertise;", result],
            )
        )
        fail_unless(waited < LATE, f"alpha preempted {microseconds(waited)} after it heard beta")

    def handover(self) -> None:
        self.terminal.act("A handover on purpose: maintenance on alpha")
        before = self.now()
        self.type(self.alpha.host, "ip link set carp0 down")
        self.expect(self.alpha, "init", 1)
        self.expect(self.beta, "master", 10)
        takeover = self.beta.first_sent(before)
        farewells = [a.time for a in self.beta.refresh().heard if a.farewell and a.time < takeover]
        fail_unless(bool(farewells), "beta took over, but alpha did not bow out")
        self.label(takeover, "alpha", "alpha hands over")
        waited = microseconds(takeover - farewells[-1])
        self.terminal.say(f"alpha bowed out; {waited} later beta was master.")
        time.sleep(1.2)
        pings = self.change_pinger(last=True)
        result = self.none_lost(pings, "when alpha handed over", "master hands over")
        self.rows.append(("master hands over: farewell to takeover", waited, ""))
        self.recording.handovers.append(
            rec.Handover(
                takeover,
                "alpha hands over to beta",
                [f"{waited} after alpha's farewell;", result],
            )
        )

    def closing(self) -> None:
        self.recording.end = max(ping.sent for ping in self.recording.pings)
        self.recording.hosts = [player.refresh() for player in (self.alpha, self.beta)]
        self.recording.pings.sort(key=lambda p: p.sent)
        self.recording.save(Path("/out/demo.json"))
        self.world.close()
        run(("rmmod", "carp"))
        complaints = self.log.complaints()
        fail_unless(not complaints, f"the kernel complained: {', '.join(complaints)}")
        self.terminal.line()
        self.terminal.table(("", "measured", "due"), self.rows)

    def play(self) -> None:
        self.opening()
        self.set_up()
        self.calm()
        self.comeback(self.death())
        self.handover()
        self.closing()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--colour", action="store_true")
    parser.add_argument("--signer", default="", help="who signed the kernel that runs")
    options = parser.parse_args()
    terminal = Terminal(options.colour)
    try:
        Story(terminal, options.signer).play()
    except (AssertionError, OSError) as e:
        terminal.line()
        terminal.line(terminal.paint("bad", f"The demo failed: {e}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
