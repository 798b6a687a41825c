"""Where finished products go: a part file per destination and worker, and (with the sink maestro) into the pool as objects.

At the end the parts are put together to one file per destination, in the order of the requirements, so that the files of two runs
can be compared byte by byte.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import trace
from .copying import read_all, write_all
from .notices import Writer
from .requirements import Product
from .trace import Kind, Record, Trace, now


class Outlet:
    """Writes the products of one worker; each is readable when `give` returns."""

    def __init__(self, run, worker: int, log: Trace, pool=None, pictures: bool = False):
        self.run, self.worker, self.trace, self.pool = Path(run), worker, log, pool
        self.files: dict[str, int] = {}
        self.draw = Writer(run, ["pictures"]) if pictures else None

    def give(self, product: Product, message: bytes, started: int) -> None:
        """Write one product and record it."""
        if self.pool is not None:
            self.pool.offer_product(product, message)
        stream = self._file(product.to)
        offset = os.lseek(stream, 0, os.SEEK_END)
        write_all(stream, message)
        end = now()
        where = {"product": product.index, "offset": offset, "nbytes": len(message), "where": self.worker}
        self.trace.add(Kind.PRODUCT, product.field.index, end, end - started, **where)
        if self.draw and product.picture:
            self.draw.send(0, Record(Kind.PRODUCT, product.field.index, end, rank=self.worker, **where))

    def close(self) -> None:
        for stream in self.files.values():
            os.close(stream)
        if self.draw:
            self.draw.end(self.worker, 0)

    def _file(self, destination: str) -> int:
        if destination not in self.files:
            path = part_file(self.run, destination, self.worker)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.files[destination] = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        return self.files[destination]


def part_file(run, destination: str, worker: int) -> Path:
    return Path(run) / "parts" / f"{destination}.{worker}"


def read_part(run, product: Product, record) -> bytes:
    """The message of one product, by its trace record."""
    with part_file(run, product.to, int(record.where)).open("rb") as stream:
        return bytes(read_all(stream.fileno(), int(record.nbytes), int(record.offset)))


def assemble(run, products: list[Product]) -> dict[str, Path]:
    """Put the parts together: `products/<destination>.grib`, in the order of the requirements; returns the files."""
    run = Path(run)
    made: dict[int, Record] = {}
    for path in sorted((run / "trace").glob("products.*")):
        for record in trace.records(path):
            if record.kind == Kind.PRODUCT:
                made[record.product] = record
    files = {}
    for product in products:
        if product.index not in made:
            continue
        path = run / "products" / f"{product.to}.grib"
        if product.to not in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            files[product.to] = path
        with path.open("ab") as stream:
            stream.write(read_part(run, product, made[product.index]))
    return files
