# SPDX-License-Identifier: GPL-2.0
"""A Debian 13 with a disk and systemd, as somebody installed it: see scripts/machine-image.

It is driven as the guests of multi/ are, but boots by itself from its own disk, which
outlives it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "multi"))

from cluster import Cluster, Node, wait_for  # noqa: E402
from hub import Hub  # noqa: E402

WORDS = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=-1 oops=panic panic_on_warn=1 "
    "loglevel=4 log_buf_len=4M systemd.show_status=no"
)
DEBS = "/debs"


class Machine(Node):
    """With one network card, eth0."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        super().__init__(name, number, folder, "virtio-net-pci")
        self.disk = folder / f"{name}.disk"

    def make_disk(self) -> None:
        """As after the installation of Debian."""
        shutil.copyfile(Path(os.environ["CARP_MACHINE"]) / "disk", self.disk)

    def command(self) -> tuple[str, ...]:
        path = str(self.folder / self.name)
        return (
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults",
            "-no-user-config", "-display", "none", "-vga", "none", "-M", "pc", "-m", "800",
            "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand", "-no-reboot",
            "-accel", "tcg,thread=multi",
            "-kernel", os.environ["CARP_VMLINUX"],
            "-initrd", f"{os.environ['CARP_MACHINE']}/initrd",
            "-append", f"{WORDS} tsc_early_khz={os.environ['CARP_TSC_KHZ']}",
            "-drive", f"file={self.disk},format=raw,if=none,id=disk,cache=unsafe",
            "-device", "virtio-blk-pci,drive=disk",
            "-device", "virtio-serial-pci,ioeventfd=off",
            "-chardev", f"socket,path={path}.control,server=on,wait=off,id=control",
            "-device", "virtserialport,chardev=control,name=carp.control",
            "-qmp", f"unix:{path}.qmp,server=on,wait=off",
            "-netdev", f"stream,id=net0,server=off,addr.type=unix,addr.path={path}.net",
            "-device", f"virtio-net-pci,netdev=net0,mac={self.mac}",
            "-serial", f"file:{path}.console",
        )  # fmt: skip

    def output(self) -> str:
        return super().output() + self.console()[-4000:]

    def console(self) -> str:
        path = self.folder / f"{self.name}.console"
        return path.read_text(errors="replace") if path.exists() else ""

    def is_up(self) -> bool:
        """systemd has nothing left to do."""
        return self.run("systemctl", "is-system-running", check=False).strip() in (
            "running",
            "degraded",
        )

    def wait_up(self) -> None:
        self.wait_booted()
        wait_for(self.is_up, 240, f"{self} has booted")

    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop_in_order(self, command: str = "poweroff") -> None:
        """Returns when the machine is off; a reboot is what comes then."""
        self.run("systemctl", "--no-block", command)
        wait_for(self.ended, 120, f"{self} goes off")
        self._gone()

    def end(self) -> None:
        self.kill()

    def install(self, *packages: str, folder: str = DEBS) -> str:
        """As the README says; returns what apt said."""
        names = " ".join(f"{folder}/{package}_*.deb" for package in packages)
        command = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq -y {names} 2>&1"
        return self.run("sh", "-c", command, timeout=400)

    def run(self, *command: str, check: bool = True, timeout: float = 120) -> str:
        # systemd and its neighbours take their time on an emulated processor
        return super().run(*command, check=check, timeout=timeout)

    def setup(self) -> None:
        """It does that by itself."""


class Firewalls(Cluster):
    """Machines a and b, and a client, on one hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.a = Machine("a", 2, folder)
        self.b = Machine("b", 3, folder)
        self.client = Node("client", 100, folder, "virtio")
        self.nodes = [self.a, self.b, self.client]
        self.hub = Hub(folder, [node.name for node in self.nodes])

    @property
    def machines(self) -> list[Machine]:
        return [self.a, self.b]

    def both(self, do: Callable[[Machine], object]) -> None:
        """Does something on both at once, for there are two processors."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(do, self.machines))
