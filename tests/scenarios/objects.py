"""The bytes that the test programs offer, as programs/common.h makes them: every word follows from producer and number."""

import numpy as np

MASK = (1 << 64) - 1


def mix(x):
    """splitmix64's finaliser, Steele et al. 2014."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def is_whole(cdo):
    """Whether an object has exactly the bytes that its producer wrote."""
    words = np.frombuffer(cdo.data, "u8")
    seed = mix(cdo["maestro.rank"] << 40 ^ cdo["number"]) | 1
    return len(words) >= 8 and bool((words == np.uint64(seed) * np.arange(1, len(words) + 1, dtype="u8")).all())
