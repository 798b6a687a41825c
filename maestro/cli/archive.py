"""`maestro archive` and `maestro restore`: objects to disk as they come, and back.

`archive` is a component: it runs until its source ends, it is stopped (Ctrl-C, SIGTERM), or nothing comes any more (--idle). With --json
each object is a line on standard output when it is on disk; else a terminal shows how it goes, and a pipe gets the sum at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import CommandError, Json, PoolName, err, human_bytes, out, print_json
from .objects import Schema, Select, form, listing

To = Annotated[str | None, typer.Option("--to", help="Folder of the store, or fdb:CONFIG.yaml for GRIB fields in FDB.")]


def register(app: typer.Typer) -> None:
    app.command("archive")(archive)
    app.command("restore")(restore)


def archive(
    selector: Select = None,
    to: To = None,
    every: Annotated[int | None, typer.Option("--every", min=1, help="Keep every n-th, by the sequence of records.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="module:function that says of an object whether to keep it.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="A YAML file with several rules.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Keep nothing, only answer demands that the pool cannot meet.")] = False,
    group: Annotated[str | None, typer.Option("--group", help="A name: archives of one group share the objects.")] = None,
    idle: Annotated[float | None, typer.Option("--idle", min=0, help="End when nothing has come for so many seconds.")] = None,
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each object that is on disk.")] = False,
) -> None:
    """Keep what a rule selects on disk, and answer demands with it."""
    import maestro

    from ..archive.component import Archiver
    from ..archive.rules import Rules, check_selectors, load
    from ..archive.store import open_store

    if serve and (selector or rules or every or filter_):
        raise CommandError("archive: --serve keeps nothing: give neither a selector nor rules, or leave --serve out")
    if rules and (selector or every or filter_):
        raise CommandError("archive: the rules say what is kept; give --rules, or a selector with --every and --filter")
    sys.path.insert(0, os.getcwd())  # where filters are looked for
    wanted, source = load(rules) if rules else (Rules.model_construct(rules=[]) if serve else from_words(selector, every, filter_), None)
    to = to or wanted.to
    if to is None:
        raise CommandError("archive: where to? give --to FOLDER, or 'to' in the rules")
    with ExitStack() as stack:
        store = open_store(to, write=True, limits=wanted.period.limits())
        stack.callback(store.close)
        name = os.environ.get("MAESTRO_COMPONENT") or "archive"
        session = stack.enter_context(maestro.Session(pool=pool, component=name, schema=schema or store.schema, relay=True))
        if source:
            check_selectors(wanted, source, session)
        screen = stack.enter_context(Screen(as_json))
        archiver = Archiver(session, store, wanted.rules, screen.tell, f"archive-{group}" if group else "archive")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: archiver.stop())
        screen.ready(store)
        counts = archiver.run(idle)
        store.finish_period()
    screen.sum_up(to, counts)
    if counts.conflicts:
        raise CommandError(f"archive: {counts.conflicts:,} objects were not kept: {to} has others of their identity and version")


def restore(
    store: Annotated[str, typer.Argument(help="Folder of the store, or fdb:CONFIG.yaml.")],
    selector: Select = None,
    listed: Annotated[bool, typer.Option("--list", help="Show what there is instead of offering it.")] = False,
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Offer archived objects to a pool again, of each identity the newest version; they stay while the pool does."""
    import maestro

    from ..archive.answer import restore as bring_back
    from ..archive.kept import describe
    from ..archive.store import open_store
    from ..selectors import selector_text

    with ExitStack() as stack:
        source = open_store(store)
        if listed and selector is None:
            return show(list(source.catalogue), as_json)
        session = stack.enter_context(maestro.Session(pool=pool, component="maestro-restore", schema=schema or source.schema, relay=True))
        text = selector_text(form(selector))
        if listed:
            return show(source.catalogue.find(session, text), as_json)
        with err.status("restoring") as progress:
            result = bring_back(session, source, text, lambda entry: progress.update(f"restoring: {describe(entry.line)}"))
    summary = {"store": store, "found": result.found, "restored": len(result.offered), "live": result.live}
    if as_json:
        print_json(summary)
    else:
        out.print(f"{summary['restored']:,} objects offered" + (f", {result.live:,} were in the pool already" if result.live else ""))
    return None


# ---- Parts
def from_words(selector: str | None, every: int | None, filter_: str | None):
    """The one rule of a command line."""
    import pydantic

    from ..archive.rules import Rule, Rules

    try:
        return Rules(rules=[Rule(select=form(selector) or "", every=every or 1, filter=filter_)])
    except pydantic.ValidationError as error:
        detail = error.errors()[0]
        raise CommandError(f"archive: --{detail['loc'][-1]}: {detail['msg'].removeprefix('Value error, ')}") from error


def show(entries: list[Any], as_json: bool) -> None:
    rows = [entry.line for entry in entries]
    if as_json:
        print_json({"count": len(rows), "objects": [shown(line) for line in rows]})
    elif rows:
        out.print(listing([{"attributes": shown(line)["attributes"], "bytes": line["nbytes"]} for line in rows]))
    else:
        out.print("no objects")


def shown(line: dict[str, Any]) -> dict[str, Any]:
    """An object for people and programs: readable values; the layout of a record is told by its arrays."""
    from ..archive.kept import readable

    attributes = {key: readable(value) for key, value in line["attributes"].items() if key != "maestro.arrays"}
    return {"bytes": line["nbytes"], "digest": line["digest"], "attributes": attributes}


class Screen(AbstractContextManager):
    """What an archive says: lines of JSON, a line that changes on a terminal, or the sum alone."""

    def __init__(self, as_json: bool):
        self.as_json, self.status = as_json, err.status("archive") if sys.stderr.isatty() and not as_json else None

    def __enter__(self) -> Screen:
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *exception) -> None:
        if self.status:
            self.status.stop()

    def ready(self, store: Any) -> None:
        if self.as_json:
            self._line({"event": "ready", "objects": len(store.catalogue), "bytes": store.catalogue.nbytes})

    def tell(self, word: str, what: dict[str, Any], counts: Any) -> None:
        if self.as_json:
            self._line({"event": word, **(shown(what) if "attributes" in what else what)})
        elif self.status:
            self.status.update(f"archive: {counts.kept:,} objects, {human_bytes(counts.nbytes)} on disk, {counts.answered:,} brought back")
        if word == "conflict":
            err.print(f"[bold yellow]not kept[/]: {what['attributes']}: the store has another object of this identity and version")

    def _line(self, what: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(what, default=str) + "\n")
        sys.stdout.flush()

    def sum_up(self, to: str, counts: Any) -> None:
        if self.as_json:
            return self._line({"event": "end", **asdict(counts)})
        text = f"{counts.kept:,} objects, {human_bytes(counts.nbytes)} archived in {to}"
        more = {"known": "there already", "passed": "passed over", "gone": "gone before they came", "answered": "brought back"}
        out.print(", ".join([text, *(f"{getattr(counts, key):,} {words}" for key, words in more.items() if getattr(counts, key))]))
        return None
