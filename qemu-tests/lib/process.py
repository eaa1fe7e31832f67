# SPDX-License-Identifier: GPL-2.0
"""Programs: to run one and have its output, to start one and have it stopped."""

from __future__ import annotations

import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from lib.clock import wait_for


class CommandFailed(AssertionError):
    """A command failed; the message says where, with what, and in whose words."""


def run(
    command: Sequence[str],
    where: str = "the guest",
    check: bool = True,
    input: str | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, with stdout and stderr caught apart."""
    try:
        done = subprocess.run(
            command,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as e:
        raise CommandFailed(
            f"on {where}: {shlex.join(command)} did not end within {timeout:g} s"
        ) from e
    if check and done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "without a word")[-2000:]
        raise CommandFailed(
            f"on {where}: {shlex.join(command)} failed with {done.returncode}: {words}"
        )
    return done


class Process:
    """A program that runs beside the test. The World stops it at the latest."""

    def __init__(self, command: Sequence[str], where: str) -> None:
        self.command = shlex.join(command)
        self.where = where
        # a file, not a pipe: nobody needs to read while the test does other things
        self._output = tempfile.TemporaryFile()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __str__(self) -> str:
        return f"{self.command} on {self.where}"

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """All that it printed so far."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_output(self, text: str, timeout: float) -> str:
        """Waits until it has printed the text."""

        def there() -> str | None:
            output = self.output()
            if text in output:
                return output
            if not self.running():
                raise CommandFailed(f"{self} ended before it said {text!r}: {output}")
            return None

        return wait_for(there, timeout, f"{self} says {text!r}")

    def wait(self, timeout: float = 60) -> str:
        """Waits for its end, which must be a good one; returns what it printed."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise CommandFailed(f"{self} did not end within {timeout:g} s") from e
        if code:
            raise CommandFailed(f"{self} failed with {code}: {self.output()}")
        return self.output()

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Ends it as a crash would: it has no say in it."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, timeout: float = 10) -> str:
        """Asks it to end, makes it end, returns what it printed."""
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.output()
