"""The figures of a run, from its traces: rates, ages, copies, shares, losses; and the table that sets the runs side by side.

Age of a field: a reader holds readable bytes, minus the field is complete in its producer (before any sink sees it). Age of a product:
it is readable, minus its field was complete. Age of a step: its fence is heard, minus its last field was complete. Everything is
counted from traces. Copies per field are those that sink and source made (counted by `copying`, where they are made) and those that the
pool counted itself; what FDB copies inside of itself is not seen.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from . import trace
from .trace import Kind


def figures(run) -> dict:
    """All figures of the run in directory `run`."""
    import numpy as np

    made, got = traces(run, "hammer.*"), traces(run, "products.*")
    complete = made[made["kind"] == Kind.COMPLETE]
    placed, received = made[made["kind"] == Kind.PLACED], _first(got[got["kind"] == Kind.RECEIVED])
    product = got[got["kind"] == Kind.PRODUCT]
    begin = int(made["t"][made["kind"] == Kind.BEGIN].min()) if len(made) else 0
    ready = dict(zip(complete["field"].tolist(), complete["t"].tolist(), strict=True))
    seconds = _span(begin, received["t"])
    outcome = json.loads((Path(run) / "outcome.json").read_text())
    return {
        "fields_per_s": _rate(len(received), seconds),
        "gb_per_s": _rate(int(received["nbytes"].sum()) / 1e9, seconds, 4),
        "field_age_ms": _ages(received, ready),
        "product_age_ms": _ages(product, ready),
        "step_age_ms": _step_ages(run),
        "copies_per_field": _copies(made, placed, received),
        "data_movement_share": _share(complete, placed, made, received, got),
        "fields_offered": len(np.unique(placed["field"])),
        "fields_received": outcome["received"],
        "requirements": outcome["requirements"],
        "failed_requirements": len(outcome["failed"]),
        "failed": outcome["failed"],
        "lost": outcome["lost"],
        "corrupt": outcome["corrupt"],
        "duplicates": outcome["duplicates"],
        "seconds": round(_span(begin, np.concatenate([made["t"], got["t"]])), 3),
        "components": _components(run, made, got, begin),
    }


def traces(run, pattern: str):
    import numpy as np

    found = [trace.read(path) for path in sorted((Path(run) / "trace").glob(pattern))]
    return np.concatenate(found) if found else np.empty(0, np.dtype(trace.DTYPE))


def _first(records):
    """The first record of each field."""
    import numpy as np

    ordered = records[np.argsort(records["t"], kind="stable")]
    return ordered[np.unique(ordered["field"], return_index=True)[1]]


def _span(begin: int, times) -> float:
    return (int(times.max()) - begin) / 1e9 if len(times) else 0.0


def _rate(amount: float, seconds: float, digits: int = 1) -> float:
    return round(amount / seconds, digits) if seconds > 0 else 0.0


def _ages(records, ready: dict[int, int], key: str = "field") -> dict | None:
    """Mean, median and 99th percentile in milliseconds."""
    import numpy as np

    known = [(t - ready[number]) / 1e6 for number, t in zip(records[key].tolist(), records["t"].tolist(), strict=True) if number in ready]
    if not known:
        return None
    middle, late = np.percentile(known, [50, 99])
    return {"mean": round(float(np.mean(known)), 3), "p50": round(float(middle), 3), "p99": round(float(late), 3)}


def _step_ages(run) -> dict | None:
    """Ages of the steps that were heard to be complete; what a rank completes last before it says so is its last field of a step."""
    import numpy as np

    last: dict[int, int] = {}
    for path in (Path(run) / "trace").glob("hammer.*"):
        records = trace.read(path)
        records = records[np.isin(records["kind"], (Kind.COMPLETE, Kind.STEP))]
        said = np.flatnonzero(records["kind"][1:] == Kind.STEP)
        for before, step in zip(records[said], records["where"][said + 1].tolist(), strict=True):
            if before["kind"] == Kind.COMPLETE:
                last[step] = max(last.get(step, 0), int(before["t"]))
    heard = traces(run, "steps")
    return _ages(heard[heard["kind"] == Kind.STEP], last, "where")


def _copies(made, placed, received) -> float | None:
    """Copies that the mean field saw between its producer and the reader's hands."""
    if not len(placed) or not len(received):
        return None
    by_store = int(made["where"][made["kind"] == Kind.COPIED].sum()) / len(placed)
    return round(float(placed["copies"].mean() + received["copies"].mean()) + by_store, 3)


def _share(complete, placed, made, received, got) -> float:
    """Part of all working time of producers and readers that went into moving fields: placing, flushing, fetching."""
    flushes = made[(made["kind"] == Kind.FLUSHED) & (made["field"] < 0)]["ns"].sum()  # those per field are inside of placing
    moving = int(placed["ns"].sum() + flushes + received["ns"].sum())
    working = int(complete["ns"].sum() + got[got["kind"] == Kind.FINISHED]["ns"].sum())
    return round(moving / (moving + working), 4) if moving + working else 0.0


def _components(run, made, got, begin: int) -> dict:
    """Fields and GB per second of each component over its own time."""
    found = {}
    archived, drawn = traces(run, "archive"), traces(run, "pictures")
    for name, records, kind in (
        ("hammer", made, Kind.PLACED),
        ("products", got, Kind.RECEIVED),
        ("archive", archived, Kind.ARCHIVED),
    ):
        done = records[records["kind"] == kind]
        if len(done):
            seconds = _span(begin, done["t"])
            found[name] = {"fields_per_s": _rate(len(done), seconds), "gb_per_s": _rate(int(done["nbytes"].sum()) / 1e9, seconds, 4)}
    made_products = got[got["kind"] == Kind.PRODUCT]
    if len(made_products):
        found["products"]["products_per_s"] = _rate(len(made_products), _span(begin, made_products["t"]))
        found["products"]["ms_per_product"] = round(float(made_products["ns"].mean()) / 1e6, 2)
    if len(archived):
        complete = made[made["kind"] == Kind.COMPLETE]
        ready = dict(zip(complete["field"].tolist(), complete["t"].tolist(), strict=True))
        found["archive"]["durable_age_ms"] = _ages(archived[archived["kind"] == Kind.ARCHIVED], ready)
    if len(drawn):
        found["pictures"] = {"maps": len(drawn), "ms_per_map": round(float(drawn["ns"].mean()) / 1e6, 1)}
    return found


def digests(run) -> dict[str, str]:
    """SHA-256 of each destination's file of products."""
    files = sorted((Path(run) / "products").glob("*.grib"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def summary(columns: dict[str, dict], same: bool | None) -> dict:
    """The whole report: per sink its figures, and on top the worst that any sink showed."""
    sinks: dict = {}
    for name, column in columns.items():
        place = sinks
        *above, last = name.split(".")
        for part in above:
            place = place.setdefault(part, {})
        place[last] = column
    every = columns.values()
    return {
        "fields_offered": min(column["fields_offered"] for column in every),
        "fields_received": min(column["fields_received"] for column in every),
        "requirements": max(column["requirements"] for column in every),
        "failed_requirements": max(column["failed_requirements"] for column in every),
        "lost": max(len(column["lost"]) for column in every),
        "corrupt": max(len(column["corrupt"]) for column in every),
        "duplicates": max(len(column["duplicates"]) for column in every),
        "products_identical": same,
        "sinks": sinks,
    }


def mean_age(column: dict) -> float:
    return column["field_age_ms"]["mean"] if column["field_age_ms"] else float("inf")


def bars(dry: dict) -> list[dict]:
    """What a dry run must reach, as far as its parts and columns can tell: `what`, `value`, `must`, `met`."""
    found = []
    age = dry.get("at_rate", {}).get("sinks", {}).get("maestro", {}).get("field_age_ms")
    if age:
        found += [_at_most("mean", age, 0.5), _at_most("p99", age, 3)]
    full = dry.get("full_rate", {}).get("sinks", {})
    if "maestro" in full and "fdb" in full:
        ratio = round(full["maestro"]["fields_per_s"] / max(column["fields_per_s"] for column in full["fdb"].values()), 2)
        found.append(
            {"what": "fields per second as multiple of the best FDB column", "value": ratio, "must": "5 at least", "met": ratio >= 5}
        )
    return found


def full_bars(result: dict) -> list[dict]:
    """What a full run must reach: the age of a field at or below that of the best FDB column."""
    age, others = result["sinks"].get("maestro", {}).get("field_age_ms"), result["sinks"].get("fdb", {})
    others = [column["field_age_ms"] for column in others.values() if column["field_age_ms"]]
    if not age or not others:
        return []
    return [_at_most(which, age, min(other[which] for other in others), ", as the best FDB column") for which in ("mean", "p99")]


def _at_most(which: str, age: dict, most: float, why: str = "") -> dict:
    return {"what": f"age of a field, {which} ms", "value": age[which], "must": f"{most:g} at most{why}", "met": age[which] <= most}


# Label; the figure of a column, None where it has none; how it is written; whether the least or the greatest is best.
ROWS = (
    ("fields per second", lambda c: c["fields_per_s"], "{:,.0f}", max),
    ("GB per second", lambda c: c["gb_per_s"], "{:.3f}", max),
    ("field age mean, ms", lambda c: _age(c, "field_age_ms", "mean"), "{:,.2f}", min),
    ("field age p50, ms", lambda c: _age(c, "field_age_ms", "p50"), "{:,.2f}", min),
    ("field age p99, ms", lambda c: _age(c, "field_age_ms", "p99"), "{:,.1f}", min),
    ("product age mean, ms", lambda c: _age(c, "product_age_ms", "mean"), "{:,.1f}", min),
    ("product age p99, ms", lambda c: _age(c, "product_age_ms", "p99"), "{:,.0f}", min),
    ("copies per field", lambda c: c["copies_per_field"], "{:g}", min),
    ("moving data, % time", lambda c: 100 * c["data_movement_share"], "{:.0f}", min),
    ("fields offered", lambda c: c["fields_offered"], "{:,}", None),
    ("fields received", lambda c: c["fields_received"], "{:,}", None),
    ("requirements met", lambda c: f"{c['requirements'] - c['failed_requirements']}/{c['requirements']}", "{}", None),
    ("lost/damaged/double", lambda c: f"{len(c['lost'])}/{len(c['corrupt'])}/{len(c['duplicates'])}", "{}", None),
    ("seconds", lambda c: c["seconds"], "{:.1f}", None),
)


def table(title: str, columns: dict[str, dict]):
    """The rich table of all sinks side by side, one line a row within 80 characters; the best figure of a row is bold."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    made.add_column("", no_wrap=True)
    for name in columns:
        made.add_column(name.replace(".", " ").replace("_", "\n"), justify="right", no_wrap=True, vertical="bottom")
    for label, figure, form, best in ROWS:
        values = [figure(column) for column in columns.values()]
        made.add_row(label, *_cells(values, form, best))
    return made


def _cells(values: list, form: str, best) -> list[str]:
    known = [value for value in values if value is not None]
    winner = best(known) if best and len(set(known)) > 1 else None
    texts = ["-" if value is None else form.format(value) for value in values]
    return [f"[bold]{text}[/bold]" if winner is not None and value == winner else text for text, value in zip(texts, values, strict=True)]


def _age(column: dict, key: str, which: str) -> float | None:
    return column[key][which] if column[key] else None
