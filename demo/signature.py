# SPDX-License-Identifier: GPL-2.0
"""signature.py VMLINUZ: whether a kernel is the one that was signed for Secure Boot.

A signed kernel carries the signature in itself, and in that the checksum of all
the rest (Authenticode, an appendix to the Portable Executable format). If the
file still has that checksum, the signer's name is printed; else nothing, and the
exit status is 1. Who may sign is the firmware's business, not ours.
"""

from __future__ import annotations

import hashlib
import re
import struct
import sys
from pathlib import Path

PE32_PLUS = 0x20B
CHECKSUM = 64
"""Where the optional header keeps the one checksum that is not hashed."""
CERTIFICATES = 112 + 4 * 8
"""Where it keeps offset and length of the signatures."""


def signer(image: bytes) -> str | None:
    """Who signed it, if it is as it was when that was done."""
    (pe,) = struct.unpack_from("<I", image, 0x3C)
    optional = pe + 24
    if image[pe : pe + 4] != b"PE\0\0":
        return None
    if struct.unpack_from("<H", image, optional) != (PE32_PLUS,):
        return None
    checksum, entry = optional + CHECKSUM, optional + CERTIFICATES
    start, length = struct.unpack_from("<II", image, entry)
    signature = image[start : start + length]
    hashed = image[:checksum] + image[checksum + 4 : entry] + image[entry + 8 : start]
    if not start or hashlib.sha256(hashed).digest() not in signature:
        return None
    # DER puts a string's length into the byte before it
    name = re.search(rb"Debian Secure Boot Signer", signature)
    return signature[name.start() :][: signature[name.start() - 1]].decode() if name else None


def main() -> int:
    name = signer(Path(sys.argv[1]).read_bytes())
    if name:
        print(name)
    return 0 if name else 1


if __name__ == "__main__":
    sys.exit(main())
