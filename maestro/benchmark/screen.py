"""The report as a table: one line a row, beneath it what is missed or missing and every peer and reference with its figure."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from .judge import LEFT_OUT

NARROW = 130  # columns of a screen below which rows are named by their keys and some columns are left out
LEFT_OUT_WHERE_NARROW = ("spread", "bound", "aim")
MARKS = {True: "[green]yes[/]", False: "[red]no[/]", None: "-"}


def show(report: dict[str, Any], console: Console) -> None:
    narrow = console.width < NARROW
    table = Table(title=title(report), title_justify="left", show_lines=False, pad_edge=False)
    for name, right in (
        ("what", 0),
        ("value", 1),
        ("spread", 1),
        ("bound", 1),
        ("best peer", 1),
        ("ratio", 1),
        ("must", 1),
        ("aim", 1),
        ("met", 0),
    ):
        if not (narrow and name in LEFT_OUT_WHERE_NARROW):
            table.add_column(name, justify="right" if right else "left", no_wrap=name != "best peer" and (narrow or name != "what"))
    for row in report["rows"]:
        table.add_row(*cells(row, narrow))
    console.print(table)
    for line in notes(report):
        console.print(line, soft_wrap=True)


def title(report: dict[str, Any]) -> str:
    of = report["machine"]
    kind = "quick run" if report["quick"] else "run"
    where = f"{of['cores']} cores of {of['cpu']}, load {of['load_before']:.1f} before, {of['load_after']:.1f} after"
    return f"maestro bench, {kind}, {report['seconds']:.0f} s, {where}; medians of {report['repetitions']} repetitions"


def cells(row: dict[str, Any], narrow: bool = False) -> list[str]:
    bound, best = row["bound"] or {}, next((p for p in row["peers"] if p["name"] == row["best_peer"]), None)
    spread = row.get("spread")
    all_of_them = [
        row["key"] if narrow else row["title"],
        "-" if row["value"] is None else f"{number(row['value'])} {row['unit']}",
        "-" if spread is None else f"{number(spread[0])}..{number(spread[1])}",
        number(bound.get("value")),
        "-" if best is None else f"{best['name']} {number(best['value'])}",
        "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
        number(row["must"]),
        number(row["aim"]),
        MARKS[row["met"]] + (" (close)" if row["close"] else ""),
    ]
    return [all_of_them[i] for i in (0, 1, 4, 5, 6, 8)] if narrow else all_of_them


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    if value != 0 and abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def notes(report: dict[str, Any]) -> list[str]:
    out = ["ratio: how many times better than the best peer of the same run; bound and must in the row's unit."]
    for words, name in (
        ("below must", "missed"),
        ("must lies within the spread", "close"),
        ("behind a peer", "behind_a_peer"),
        ("level with a peer", "level_with_a_peer"),
    ):
        out.append(f"{words}: {', '.join(report[name]) or 'nothing'}")
    for key, names in report["quicker_references"].items():
        out.append(f"{key}: not raced, for it does another thing, and better in figures than Maestro: {', '.join(names)}")
    if report["left_out"]:
        out.append(f"left out of a quick run: {', '.join(report['left_out'])}")
    for row in report["rows"]:
        said = [*row["peers"], *row["references"], *([row["bound"]] if row["bound"] else [])]
        out += [f"{row['key']}: {one['name']} is missing: {one['missing']}" for one in said if one.get("missing", LEFT_OUT) != LEFT_OUT]
        if row["value"] is None:
            out.append(f"{row['key']}: {row['missing']}")
    for row in report["rows"]:
        out += others(row)
    out += [f"not measured: {what}: {why}" for what, why in report["not_measured"].items()]
    return list(dict.fromkeys(out))


def others(row: dict[str, Any]) -> list[str]:
    """Every peer and reference of a row, with its figure and what it does."""
    out = []
    for kind, those in (("beside", row["peers"]), ("for reference", row["references"])):
        for one in those:
            if one.get("value") is not None:
                does = f" ({one['does']})" if "does" in one else ""
                word = f"; Maestro is {one['maestro_is']}" if one.get("maestro_is") else ""
                out.append(f"{row['key']}: {kind} {one['name']}{does}: {number(one['value'])} {row['unit']}{word}")
    return out
