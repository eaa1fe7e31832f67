# SPDX-License-Identifier: GPL-2.0
"""Under Secure Boot the kernel takes a module that is signed with a key it knows, and no
other: see scripts/test-secure-boot, which signs the modules.
"""

from __future__ import annotations

import pytest
from lib import modules
from lib.process import run

pytestmark = pytest.mark.secure_boot


def signed(name: str) -> str:
    return f"/carp/signed/{name}/carp.ko"


@pytest.mark.parametrize(
    "path, reason",
    [
        (modules.file("carp"), "Key was rejected by service"),
        (signed("stranger"), "Key was rejected by service"),
        (signed("changed"), "Key was rejected by service"),
    ],
    ids=["unsigned", "stranger", "changed"],
)
def test_others_are_refused(path: str, reason: str) -> None:
    loading = run(("insmod", path), check=False)
    assert loading.returncode and reason in loading.stderr
    assert not modules.is_loaded("carp")


def test_the_owners_module_works() -> None:
    assert run(("modinfo", "-F", "signer", signed("owner"))).stdout == "owner\n"
    run(("insmod", signed("owner")))
    run(("ip", "link", "add", "carp0", "type", "carp", "vhid", "1"))
    assert "carp state INIT vhid 1" in run(("ip", "-d", "link", "show", "carp0")).stdout
    run(("ip", "link", "del", "carp0"))
    modules.rmmod_unused("carp")
