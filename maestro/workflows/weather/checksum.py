"""The checksum that travels with every field, so that a damaged one is reported by name. 63 bits, to fit a signed attribute."""

from __future__ import annotations

from functools import cache


@cache
def _function():
    try:
        from xxhash import xxh3_64_intdigest
    except ImportError:
        from zlib import crc32

        return crc32
    return xxh3_64_intdigest


def checksum(data) -> int:
    """Checksum of a contiguous buffer; xxHash where installed (0.05 ms for 0.5 MiB), else CRC-32."""
    return _function()(data) & 0x7FFF_FFFF_FFFF_FFFF
