"""From figures of several repetitions to rows that are judged: medians, spread, best peer, ratio, met or not.

Rules.  What is shown and compared are medians over the repetitions.  A row meets a bar when its median reaches it; it is "close" to the bar
when that lies within the spread of its repetitions, be it met or not.  Against a peer a row is "ahead" when its median is better than each
of the peer's repetitions, "behind" when it is worse than each of them, and "level" in between: a machine that others use too moves medians
by more than what is often between two of them.  Against several peers the worst of these words counts.  Where a peer ran once, its one
figure decides; equal figures are level.

Pure functions; nothing is run here.  Invariant: a row whose figure is missing is never met.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from .rows import Figures, Other, Row, Value

LEFT_OUT = "left out of a quick run"


@dataclass
class Measured:
    """What the sources of one group gave: a dictionary for each repetition, and why some gave nothing."""

    repetitions: list[Figures] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # source -> reason
    commands: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)

    def medians(self) -> Figures:
        names = {name for figures in self.repetitions for name in figures}
        return {name: statistics.median(f[name] for f in self.repetitions if name in f) for name in names}


def samples(measured: Measured, value: Value, scale: float) -> list[float]:
    """The value in each repetition that has what it needs."""
    out = []
    for figures in measured.repetitions:
        try:
            out.append(scale * (figures[value] if isinstance(value, str) else value(figures)))
        except (KeyError, ValueError):
            continue
    return out


def told(measured: Measured, other: Other, scale: float) -> dict[str, Any]:
    got = samples(measured, other.value, scale)
    out: dict[str, Any] = {"name": other.name} | ({"does": other.does} if other.does else {})
    missing = reason(measured, other.value)
    return out | (summary(got) if got else {"missing": other.absent if other.absent and missing == LEFT_OUT else missing})


def summary(got: list[float]) -> dict[str, Any]:
    """A program that repeats itself inside and prints medians has no spread here."""
    return {"value": statistics.median(got), "spread": [min(got), max(got)] if len(got) > 1 else None, "repetitions": len(got)}


def reason(measured: Measured, value: Value) -> str:
    source = value.rsplit(":", 1)[0] if isinstance(value, str) else None
    if source in measured.left_out:
        return LEFT_OUT
    if source is not None and source in measured.missing:
        return measured.missing[source]
    return "; ".join(sorted(measured.missing.values())) or LEFT_OUT


def judge(row: Row, measured: Measured) -> dict[str, Any]:
    got = samples(measured, row.value, row.scale)
    medians = measured.medians()
    out: dict[str, Any] = {"key": row.key, "title": row.title, "unit": row.unit, "better": "higher" if row.higher else "lower"}
    out |= summary(got) if got else {"value": None, "missing": reason(measured, row.value)}
    out["bound"] = told(measured, row.bound, row.scale) if row.bound else None
    out["peers"] = [told(measured, peer, row.scale) for peer in row.peers]
    out["references"] = [told(measured, other, row.scale) for other in row.references]
    if not row.peers:
        out["no_peer"] = row.no_peer
    out |= {name: threshold(getattr(row, name), medians, row.scale) for name in ("must", "aim")}
    out |= verdict(row, out)
    out["details"] = {name: statistics.median(few) for name, value in row.details.items() if (few := samples(measured, value, 1.0))}
    out["command"] = f"maestro bench --rows '{row.key}'"
    out["programs"] = measured.commands
    return out


def threshold(bar: Any, medians: Figures, scale: float) -> float | None:
    """A number stands in the row's unit; a bar that hangs on the bound is made of its median, in the source's unit."""
    try:
        return bar(medians) * scale if callable(bar) else bar
    except KeyError:
        return None


def verdict(row: Row, out: dict[str, Any]) -> dict[str, Any]:
    value, must, aim = out["value"], out["must"], out["aim"]
    for peer in out["peers"]:
        peer["maestro_is"] = against(row, value, peer)
    best = best_peer(row, out["peers"])
    return {
        "best_peer": best and best["name"],
        "ratio": best and times_better(row, value, best["value"]),
        "met": None if must is None else reaches(row, value, must),
        "close": None if must is None else within(must, out.get("spread")),
        "aim_met": None if aim is None else reaches(row, value, aim),
        "against_peers": max((peer["maestro_is"] for peer in out["peers"] if peer["maestro_is"]), key=WORDS.index, default=None),
    }


WORDS = ("ahead", "level", "behind")


def against(row: Row, value: float | None, peer: dict[str, Any]) -> str | None:
    """Which side of all the peer's repetitions the median lies on."""
    if value is None or "value" not in peer:
        return None
    low, high = peer["spread"] or (peer["value"], peer["value"])
    if low <= value <= high:
        return "level"
    return "ahead" if (value > high) is row.higher else "behind"


def within(bar: float, spread: list[float] | None) -> bool:
    return spread is not None and spread[0] <= bar <= spread[1] and spread[0] < spread[1]


def times_better(row: Row, value: float | None, other: float) -> float | None:
    if value is None or value <= 0 or other <= 0:
        return None
    return value / other if row.higher else other / value


def best_peer(row: Row, peers: list[dict[str, Any]]) -> dict[str, Any] | None:
    there = [peer for peer in peers if "value" in peer]
    return (max if row.higher else min)(there, key=lambda peer: peer["value"]) if there else None


def reaches(row: Row, value: float | None, bar: float) -> bool:
    return value is not None and (value >= bar if row.higher else value <= bar)


def quicker_references(row: dict[str, Any]) -> list[str]:
    """What does another thing, and that better than Maestro does the row: to be seen, not to be judged."""
    there = [other for other in row["references"] if "value" in other and row["value"] is not None]
    return [one["name"] for one in there if (one["value"] > row["value"]) is (row["better"] == "higher") and one["value"] != row["value"]]
