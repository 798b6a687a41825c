"""The checksum that travels with every field, so that a damaged one is reported by name: XXH3 (64 bits), as a signed number.

That is what the core schema says of `maestro.checksum`, so any program can check a field. 0 stands for none.
"""

from __future__ import annotations

from functools import cache

from .errors import need


@cache
def _function():
    return need("xxhash", "xxhash").xxh3_64_intdigest


def checksum(data) -> int:
    """XXH3 of a contiguous buffer (0.05 ms for 0.5 MiB), -2**63 to 2**63 - 1."""
    found = _function()(data)
    return found - (1 << 64) if found >> 63 else found
