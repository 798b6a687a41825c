"""Rows of distributed arrays: redistribution and halo exchange, for each MPI family, two ranks, all ways of a case in turn in one run.

Redistribution is told as a ratio to a memcpy of a rank's share, 64 x 64 in microseconds, halo exchange as a ratio to the best of what is
written by hand on plain MPI; the bars are those of the design.  Maestro's figure is that of the method which the plan chooses by itself,
with arrays from maestro_alloc; rows of messages are those of the method that it chooses where each rank is on a node of its own.
"""

from __future__ import annotations

from .ranks import FAMILIES, families, ranks
from .rows import Figures, Other, Row, Value, ratio
from .sources import Source

CUTS = {
    "rc": "row blocks -> column blocks",
    "rt": "the same, to column-major",
    "cy": "block-cyclic -> row blocks",
}
SIZES = (64, 512, 4096)
BARS = {("rc", 512): (1.5, 1.1), ("rc", 4096): (1.5, 1.1), ("rt", 512): (3.5, 2.0), ("rt", 4096): (2.5, 1.5), 64: (1.5, 0.9)}
HALOS = {
    "2d 128 1": "2D, 128 x 128 a rank, width 1",
    "2d 128 3": "2D, 128 x 128 a rank, width 3",
    "2d 1024 1": "2D, 1024 x 1024 a rank, width 1",
    "2d 1024 3": "2D, 1024 x 1024 a rank, width 3",
    "3d 64 1 x3": "3D, 64 x 64 x 64 a rank, width 1, 3 fields",
}
BY_HAND = ("by hand", "persistent", "Alltoallw", "Neighbor_alltoallw", "shared window")
HALO_BY_HAND = ("packed by hand", "datatypes by hand", "a message a region", "persistent", "phases", "Neighbor_alltoallw")
OURS = {
    "auto": ("packed, alloc", "buffered", "datatypes", "staged", "shared"),
    "auto, other": ("packed", "buffered", "datatypes", "staged"),
    "auto, nodes": ("packed", "buffered", "datatypes"),
}  # what each choice chooses from
NO_PEER = "no peer: scripts/bench-peers has not found or built it"
PYTHON_CASES = ("rc 512", "rc 4096")


def sources() -> dict[str, dict[str, Source]]:
    """Group -> name -> source; one group for each family."""
    few = "/".join(f"{cut} {n}" for cut in CUTS for n in SIZES[:2])
    return {
        f"arrays-{family}": {
            "redistribute": ranks(family, "redistribute/--json/--short/--rounds/15", f"redistribute/--json/--short/--rounds/15/{few}"),
            "halo": ranks(family, "halo/--json/--short/--rounds/31", "halo/--json/--short/--rounds/15"),
            "python": ranks(family, "python/maestro.benchmark.alltoallw"),
        }
        for family in families()
    }


def rows() -> list[Row]:
    out = []
    for family in families():
        for cut in CUTS:
            out += [redistribution(family, cut, n) for n in SIZES]
        for cut in CUTS:
            out += [messages(family, cut, n) for n in SIZES]
        out += [halo(family, case) for case in HALOS]
        out += [choice(family, "redistribute", f"{cut} {n}") for cut in CUTS for n in SIZES]
        out += [choice(family, "halo", case) for case in HALOS]
        out += [python(family, case) for case in PYTHON_CASES]
    return out


def least(names: list[str]) -> Value:
    """The least of those figures that there are."""

    def value(figures: Figures) -> float:
        return min(figures[name] for name in names if name in figures)

    return value


def part(above: str, below: Value) -> Value:
    return lambda figures: figures[above] / (figures[below] if isinstance(below, str) else below(figures))


def redistribution(family: str, cut: str, n: int) -> Row:
    def us(way: str) -> str:
        return f"redistribute:{cut} {n}.{way}.us"

    def shown(way: str) -> Value:
        return us(way) if n == SIZES[0] else ratio(us(way), us("memcpy"))

    must, aim = BARS[n] if n in BARS else BARS.get((cut, n), BARS["rc", n])
    scalapack = Other("ScaLAPACK", shown("ScaLAPACK"), "pdtran" if cut == "rt" else "pdgemr2d", NO_PEER)
    return Row(
        f"redistribute-{cut}-{n}-{family}",
        f"arrays-{family}",
        f"{CUTS[cut]}, {n} x {n} doubles, 2 ranks, {FAMILIES[family]}",
        "us" if n == SIZES[0] else "x memcpy",
        shown("auto"),
        must,
        aim,
        bound=Other("memcpy of the share, us", us("memcpy")),
        peers=(*(Other(way, shown(way)) for way in BY_HAND), scalapack),
        details={f"{way}, us": us(way) for way in ("auto", "auto, other", *(w for few in OURS.values() for w in few))},
    )


def messages(family: str, cut: str, n: int) -> Row:
    def us(way: str) -> str:
        return f"redistribute:{cut} {n}.{way}.us"

    others = ("persistent", "Alltoallw", "Neighbor_alltoallw", "ScaLAPACK")
    return Row(
        f"messages-{cut}-{n}-{family}",
        f"arrays-{family}",
        f"the same through messages, {cut} {n}, beside packed by hand, {FAMILIES[family]}",
        "x",
        ratio(us("auto, nodes"), us("by hand")),
        1.0,
        0.85,
        bound=Other("by hand, us", us("by hand")),
        peers=tuple(Other(way, ratio(us(way), us("by hand")), absent=NO_PEER) for way in others),
        details={f"{way}, us": us(way) for way in ("auto, nodes", *OURS["auto, nodes"])},
    )


def halo(family: str, case: str) -> Row:
    def us(way: str) -> str:
        return f"halo:{case}.{way}.us"

    best = least([us(way) for way in HALO_BY_HAND])
    others = (*HALO_BY_HAND, "shared window", "GHEX")
    return Row(
        f"halo-{case.replace(' ', '-')}-{family}",
        f"arrays-{family}",
        f"halo exchange, {HALOS[case]}, beside the best by hand, {FAMILIES[family]}",
        "x",
        part(us("auto"), best),
        1.1,
        0.9,
        bound=Other("a copy in place, us", us("copy in place")),
        peers=tuple(Other(way, part(us(way), best), absent=NO_PEER) for way in others),
        details={"auto, us": us("auto"), "auto, other memory, us": us("auto, other")},
    )


def choice(family: str, program: str, case: str) -> Row:
    """
    How much slower than the best of its methods is the one that a plan has chosen; the worst of Maestro's memory, other memory, messages.

    All are plans that were made with that method: plans of one method differ by where their memory lies.
    """

    def value(figures: Figures) -> float:
        def one(chosen: str) -> float:
            few = [figures[name] for way in OURS[chosen] if (name := f"{program}:{case}.{way}.us") in figures]
            taken = f"{program}:{case}.{chosen}"
            return figures.get(f"{taken}.as_us", figures[f"{taken}.us"]) / min(few)

        return max(one(chosen) for chosen in OURS if f"{program}:{case}.{chosen}.us" in figures)

    return Row(
        f"choice-{case.replace(' ', '-')}-{family}",
        f"arrays-{family}",
        f"{program} {case}: the method chosen beside the best of all methods, {FAMILIES[family]}",
        "x",
        value,
        1.1,
        None,
        no_peer="compared with Maestro's other methods",
    )


def python(family: str, case: str) -> Row:
    memcpy = f"python:{case}.memcpy.us"
    return Row(
        f"python-{case.replace(' ', '-')}-{family}",
        f"arrays-{family}",
        f"row blocks -> column blocks from Python, {case[3:]} x {case[3:]} doubles, {FAMILIES[family]}",
        "x memcpy",
        ratio(f"python:{case}.maestro.us", memcpy),
        1.5,
        1.1,
        bound=Other("memcpy of the share, us", memcpy),
        peers=(Other("mpi4py Alltoallw", ratio(f"python:{case}.Alltoallw.us", memcpy), "what mpi4py-fft does"),),
    )
