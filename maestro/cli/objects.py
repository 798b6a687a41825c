"""`maestro ls`, `maestro query`, `maestro export` and `maestro import`: what lies in a pool, and a collection's way to HDF5 and back.

`ls` sums up (which attributes, with which values, how often; of collections the tree of arrays), `query` lists object by object.
Objects are read from a query's stream as they come, their leases are given back at once, and no data is touched.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .common import Json, PoolName, attach, err, human_bytes, out, print_json

SHOWN = 100  # rows of a table, unless told otherwise
VALUES = 12  # values of an attribute that `ls` writes out
Select = Annotated[
    str | None,
    typer.Argument(metavar="[SELECTOR]", help="'param in (t, u) and step <= 24', param=t/u,step=0/to/24/by/6, or a dictionary."),
]
Schema = Annotated[str | None, typer.Option("--schema", help="Name or YAML file of the schema.", show_default="the pool's")]


def register(app: typer.Typer) -> None:
    app.command("ls")(ls)
    app.command("query")(query)
    app.command("export")(export)
    app.command("import")(import_)


def ls(selector: Select = None, pool: PoolName = None, schema: Schema = None, as_json: Json = False) -> None:
    """Sum up what a pool holds: the attributes of its objects and their values."""
    with attach(pool, schema, "ls") as session:
        summary = summarise(_rows(session, selector, records=True))
    print_json(summary) if as_json else _show(summary)


def _show(summary: dict) -> None:
    if not summary["objects"]:
        out.print("no objects")
        return
    out.print(f"{summary['objects']:,} objects, {human_bytes(summary['bytes'])}")
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("attribute")
    drawn.add_column("values", overflow="fold")
    for key, counts in summary["attributes"].items():
        drawn.add_row(key, Text(values_text(counts, summary["objects"])))
    out.print(drawn)
    for name, collection in summary["collections"].items():
        out.print(collection_text(name, collection), highlight=False)


def query(
    selector: Select = None,
    pool: PoolName = None,
    schema: Schema = None,
    count: Annotated[bool, typer.Option("--count", "-c", help="Print the number of objects only.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows shown at most (--json prints all).")] = SHOWN,
    as_json: Json = False,
) -> None:
    """List the objects that match a selector, with their attributes."""
    with attach(pool, schema, "query") as session:
        if count:
            number = session.count(form(selector))
            print_json({"count": number}) if as_json else out.print(str(number))
            return
        with closing(_rows(session, selector)) as found:
            rows = list(found if as_json else islice(found, limit))
        more = 0 if as_json or len(rows) < limit else session.count(form(selector)) - limit
    if as_json:
        print_json({"count": len(rows), "objects": rows})
        return
    out.print(listing(rows))
    if more > 0:
        err.print(f"... and {more:,} more (--limit)")


def export(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    file: Annotated[Path, typer.Argument(help="The HDF5 file to write; it is complete or not there.")],
    selector: Annotated[str | None, typer.Option("--select", "-s", help="Records that match; default all.")] = None,
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Write a collection's records into an HDF5 file, with the same tree of groups and arrays."""
    with attach(pool, schema, "export") as session:
        count = session.collection(collection).to_hdf5(file, form(selector))
    print_json({"records": count, "file": str(file)}) if as_json else out.print(f"{count:,} records in {file}")


def import_(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An HDF5 file that `maestro export` wrote.")],
    pool: PoolName = None,
    schema: Schema = None,
    as_json: Json = False,
) -> None:
    """Offer the records of an HDF5 file to the pool; they stay while the pool does."""
    with attach(pool, schema, "import") as session:
        count = session.collection(collection).from_hdf5(file)
    print_json({"records": count, "file": str(file)}) if as_json else out.print(f"{count:,} records offered")


def form(text: str | None):
    """The argument as the Python interface takes it: a dictionary when it is written as one."""
    import yaml

    from .. import yamlfile

    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return yamlfile.load(text)
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"this dictionary cannot be read: {error}") from error


def _rows(session, selector: str | None, records: bool = False):
    """One dictionary per object: its id, size and attributes; of records, where they are asked for, the record, until the next row."""
    from ..record import Record

    with err.status("reading") as progress:
        for number, cdo in enumerate(session.query(form(selector))):
            is_record = records and "maestro.arrays" in cdo
            row = {"id": cdo.id, "bytes": cdo.nbytes, "attributes": {key: plain(value) for key, value in cdo.attributes.items()}}
            yield row | ({"record": Record(cdo)} if is_record else {})
            cdo.reject()  # a look is no reading (maestro.demands)
            if number % 1000 == 0:
                progress.update(f"reading: {number:,} objects")


def plain(value):
    """An attribute's value that JSON knows and a dictionary takes as a key: of an array a tuple."""
    if getattr(value, "dtype", None) is None:
        return value
    return tuple(str(moment) for moment in value) if value.dtype.kind == "M" else tuple(value.tolist())


def summarise(rows) -> dict:
    objects = total = 0
    attributes: dict[str, Counter] = {}
    collections: dict[str, dict] = {}
    for row in rows:
        objects += 1
        total += row["bytes"]
        row["attributes"].pop("maestro.arrays", None)
        if "record" in row:
            add_record(collections, row)
        for key, value in row["attributes"].items():
            attributes.setdefault(key, Counter())[value if not isinstance(value, bytes) else f"{len(value)} bytes"] += 1
    listed = {
        key: [{"value": value, "count": count} for value, count in sorted(counts.items(), key=_order)] for key, counts in attributes.items()
    }
    return {"objects": objects, "bytes": total, "attributes": listed, "collections": collections}


def add_record(collections: dict[str, dict], row: dict) -> None:
    """One more record; the arrays shown are those of the newest."""
    from ..errors import MaestroError

    name, sequence = row["attributes"].get("maestro.collection", ""), row["attributes"].get("maestro.sequence", 0)
    one = collections.setdefault(name, {"records": 0, "first": sequence, "last": sequence, "producers": [], "bytes": 0, "arrays": {}})
    parts = row["attributes"].get("maestro.parts", 1)
    producer = f"{row['attributes'].get('maestro.component')}[{row['attributes'].get('maestro.rank') if parts == 1 else f'{parts} parts'}]"
    one["records"] += 1
    one["bytes"] += row["bytes"]
    if producer not in one["producers"]:
        one["producers"].append(producer)
    one["first"] = min(one["first"], sequence)
    try:
        one["bytes"] += sum(len(row["record"].cdo.part(number).data) for number in range(1, parts))
        if sequence >= one["last"]:
            one["arrays"] = {array.path: {"dtype": str(array.dtype), "shape": list(array.shape)} for array in row["record"].arrays()}
            one["last"] = sequence
            one.pop("error", None)
    except MaestroError as error:
        one["arrays"], one["error"], one["last"] = {}, str(error), max(one["last"], sequence)


def collection_text(name: str, one: dict) -> str:
    from ..record import tree_lines

    arrays = {path: (array["dtype"], array["shape"]) for path, array in one["arrays"].items()}
    head = f"collection {name}: {one['records']:,} records {one['first']} to {one['last']}"
    head += f" of {', '.join(one['producers'])}, {human_bytes(one['bytes'])}"
    return "\n".join([head, *(f"  {line}" for line in (tree_lines(arrays) or [one.get("error", "no arrays")]))])


def _order(item):
    value = item[0]
    return (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))


def values_text(counts: list[dict], objects: int) -> str:
    """All values of an attribute in one line; how many objects have it when not all have."""
    shown = " ".join(f"{one['value']}" for one in counts[:VALUES])
    if len(counts) > VALUES:
        shown += f" ... {counts[-1]['value']} ({len(counts):,} values)"
    having = sum(one["count"] for one in counts)
    return shown if having == objects else f"{shown}   [{having:,} objects]"


def listing(rows: list[dict]) -> Group:
    """A table of what differs between the rows, below one line of what is alike in all of them."""
    keys = list(dict.fromkeys(key for row in rows for key in row["attributes"]))
    alike = [key for key in keys if len(rows) > 1 and len({repr(row["attributes"].get(key)) for row in rows}) == 1]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for key in keys:
        if key not in alike:
            drawn.add_column(key)
    drawn.add_column("size", justify="right")
    for row in rows:
        drawn.add_row(*(Text(str(row["attributes"].get(key, ""))) for key in keys if key not in alike), human_bytes(row["bytes"]))
    common = ", ".join(f"{key} {rows[0]['attributes'][key]}" for key in alike)
    return Group(Text(f"alike in all: {common}", style="dim"), drawn) if alike else Group(drawn)
