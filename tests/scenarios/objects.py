"""The bytes that the test programs offer, as programs/common.h makes them: every word follows from producer and number."""

import numpy as np

MASK = (1 << 64) - 1


def mix(x):
    """splitmix64's finaliser, Steele et al. 2014."""
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def words(rank, number):
    """An array of 100 to 1,123 words that nobody else makes."""
    return np.uint64(mix(rank << 40 ^ number) | 1) * np.arange(1, 101 + number % 1024, dtype="u8")


def arrays(rank, number):
    """The arrays of a record: of several types, in both orders."""
    values = words(rank, number)
    return {
        "mesh/rho": np.asfortranarray(values[:96].reshape(8, 12).astype("f8")),
        "mesh/zones/id": values.astype(">i4"),
        "time": np.array(number / 2),
        "names": np.array([f"zone {number}", "äöü"]),
    }


def is_whole(cdo):
    """Whether an object has exactly the bytes that its producer wrote."""
    words = np.frombuffer(cdo.data, "u8")
    seed = mix(cdo["maestro.rank"] << 40 ^ cdo["number"]) | 1
    return len(words) >= 8 and bool((words == np.uint64(seed) * np.arange(1, len(words) + 1, dtype="u8")).all())
