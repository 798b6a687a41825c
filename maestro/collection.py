"""Collections: the records of one name, by whatever producers; attributes and queries on each level; the fence behind a sequence number.

A fence is an object without data of which each producer offers a part: it is there when all have.  A collection's attributes are
those of another one.  So both appear, fail and are withdrawn as records are.
"""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from . import errors
from .cdo import When
from .record import OWN, Array, NewRecord, Record, h5py, new_file, plain, read_record, write_attributes, write_record
from .selectors import Selector, selector_text
from .subscription import Event

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Collection", "Fence"]


@dataclass(frozen=True, slots=True)
class Fence:
    """
    All producers of a collection have said that a sequence number is complete: no more records of it will come.

    Attributes
    ----------
    sequence : int
    missing : IncompleteError or None
        Why it will never be complete: a producer left before it had said so.
    """

    sequence: int
    missing: errors.IncompleteError | None = None


class Collection:
    """
    The records of one name in a pool.  Made by `Session.collection`.

    Attributes
    ----------
    name : str

    Examples
    --------
    >>> import numpy as np
    >>> with maestro.Session() as s:
    ...     hydro = s.collection("hydro")
    ...     with hydro.record(3) as rec:
    ...         rec["mesh/rho"] = np.ones((4, 5))
    ...         rec["time"] = np.array(2.5)
    ...     hydro[3]["mesh/rho"][1:3, 0]
    array([1., 1.])
    """

    def __init__(self, session: Session, name: str, producers: int | None = None):
        if not name or not isinstance(name, str):
            raise errors.ArgumentError(f"collection: {name!r} is no name")
        self._session, self.name, self._producers = session, name, producers

    def __repr__(self) -> str:
        return f"<maestro.Collection {self.name}>"

    def _selector(self, selector: Selector, **more: Any) -> str:
        own, text = selector_text({"maestro.collection": self.name, **more}), selector_text(selector)
        return f"{own} and ({text})" if text else own

    # ---- Attributes of the collection
    def describe(self, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """
        Give the collection attributes of its own, by the session's schema, once; one of its producers does it.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     s.collection("run").describe(param="t", step=0, expver="0042")
        ...     [c.name for c in s.collections("expver = 0042")], s.collection("run").attributes["expver"]
        (['run'], '0042')
        """
        own = {"maestro.name": self.name, "maestro.describes": self.name}
        self._session.offer(None, {**(attributes or {}), **own}, **more)

    @property
    def attributes(self) -> dict[str, Any]:
        """What `describe` gave it; empty where nobody has."""
        for cdo in self._session.query({"maestro.describes": self.name}):
            with cdo:
                return {key: value for key, value in cdo.attributes.items() if not key.startswith(OWN)}
        return {}

    # ---- Making records
    def record(
        self, sequence: int, arrays: Mapping[str, Any] | None = None, *, parts: int = 1, part: int | None = None, **attributes: Any
    ) -> NewRecord:
        """
        Begin a record, or this rank's part of one.

        Parameters
        ----------
        sequence : int
            Its number; one producer offers a number once.
        arrays : mapping of path to (dtype, shape), optional
            What it will hold: then its memory is there at once, and ``rec[path]`` is filled in place, without a copy.  With
            (dtype, shape, global shape, start) it is a block of a distributed array.
        parts : int
            How many parts the ranks of this component make together: the record is visible when the last has been offered.  Each of
            the ranks 0 to parts - 1 gives one or more; when one leaves without, the record is discarded, see `NewRecord.offer`.
        part : int, optional
            Which of them this is; default is the session's rank.
        **attributes
            By the session's schema.

        Returns
        -------
        NewRecord
            Offered by `NewRecord.offer`, or at the end of its ``with`` block.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     with s.collection("ramp").record(0, {"x": ("f8", 3)}) as rec:
        ...         rec["x"][:] = range(3)
        ...     s.collection("ramp")[0]["x"]
        array([0., 1., 2.])
        """
        own = {"maestro.name": f"{self.name}/{sequence}", "maestro.collection": self.name, "maestro.sequence": sequence}
        if parts != 1:
            own["maestro.parts"] = parts
            self._producers = self._producers or parts
            if part is not None:
                own["maestro.part"] = part
        elif part:
            raise errors.ArgumentError(f"record {self.name}/{sequence}: part {part} of 1; say how many parts there are")
        return NewRecord(self, arrays, own, attributes)

    # ---- The fence
    def complete(self, sequence: int, **attributes: Any) -> None:
        """
        Say that this producer offers no more records of a sequence number; when all have said so, `wait_complete` returns.

        How many there are says ``producers`` of `Session.collection`, else ``parts`` of the first record made; else it is one.

        Parameters
        ----------
        sequence : int
        **attributes
            By the session's schema, where it requires some.

        Raises
        ------
        DuplicateError, IncompleteError
            Come with the session's next `flush`: it was said before; another producer has left and will not say it.
        """
        own = {"maestro.name": f"{self.name}/{sequence}/complete", "maestro.fence": self.name, "maestro.sequence": sequence}
        if (self._producers or 1) > 1:
            own["maestro.parts"] = self._producers
        self._session.offer(None, own, **attributes)

    def wait_complete(self, sequence: int, timeout: float | None = None) -> None:
        """
        Wait until all producers have said that a sequence number is complete.

        Parameters
        ----------
        sequence : int
        timeout : float, optional
            Seconds; default is the session's timeout.

        Raises
        ------
        IncompleteError
            A producer left before it had said so; the message names it.
        TimeoutError
            Not all have said so in time.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     run = s.collection("steps")
        ...     run.complete(0)
        ...     run.wait_complete(0)
        """
        seconds = self._session.timeout if timeout is None else timeout
        give_up = time.monotonic() + seconds
        selector = f"{selector_text({'maestro.fence': self.name, 'maestro.sequence': sequence})} or has(maestro.pid)"
        with self._session.subscribe(selector, kinds="offered,incomplete,left") as events:
            while (event := events.next_event(timeout=max(give_up - time.monotonic(), 0))) is not None:
                if event.kind == "offered" and "maestro.fence" in event.cdo:
                    return
                if event.kind == "incomplete":
                    raise self._incomplete(event)
                if event.kind == "gap":  # it may have been in there
                    self.wait_complete(sequence, max(give_up - time.monotonic(), 0))
                    return
                if event.kind == "left" and self._has_left(event):
                    raise errors.IncompleteError(
                        f"wait for {self.name}/{sequence} to be complete: {event.component}[{event.rank}] {event.reason}, and none of "
                        f"{event.component} is left to say so"
                    )
        raise errors.TimeoutError(f"wait for {self.name}/{sequence} to be complete: not all producers have said so within {seconds:g} s")

    def _incomplete(self, event: Event) -> errors.IncompleteError:
        cdo = event.cdo
        return errors.IncompleteError(
            f"collection {self.name}: {cdo['maestro.sequence']} is not complete: {event.reason}; of {cdo['maestro.parts']} producers "
            f"{cdo['maestro.missing']} had not said so"
        )

    def _has_left(self, event: Event) -> bool:
        """Whether who left was the last session of a producer."""
        if any(one["component"] == event.component for one in self._session.stats()["sessions"]):
            return False
        theirs = {"maestro.component": event.component}
        return any(self._session.count({kind: self.name} | theirs) for kind in ("maestro.collection", "maestro.fence"))

    # ---- Reading records
    def demand(self, sequence: int, selector: Selector = None, timeout: float | None = None) -> Record:
        """The record of this number, waited for; a selector says which one where several producers have made one."""
        return Record(self._session.demand(self._selector(selector, **{"maestro.sequence": sequence}), timeout))

    def __getitem__(self, sequence: int) -> Record:
        return self.demand(sequence)

    def query(self, selector: Selector = None) -> Iterator[Record]:
        """The records that are there and match, such as ``"time > 2.5"``."""
        return map(Record, self._session.query(self._selector(selector)))

    def records(self, selector: Selector = None, fences: bool = False, **subscription: Any) -> Iterator[Record | Fence]:
        """
        Every record as it comes, those that are there first.

        A record that another program wrote wrongly does not end the loop: it raises an AttributeValueError where its arrays are asked
        for, see `Record`.

        Parameters
        ----------
        selector : str, dict or None
            Of the records' attributes.
        fences : bool
            Tell of sequence numbers that are complete too, by a `Fence` behind their last record; or that never will be, where
            producers have left (in a consumer group that is not told).
        **subscription
            As for `Session.subscribe`: ``timeout``, ``start``, ``hold``, ``group``, ``limit``, ``acknowledge_within``.
        """
        chosen = self._selector(selector)
        if fences:
            chosen = f"{chosen} or {selector_text({'maestro.fence': self.name})}"
        alone = fences and subscription.get("group") is None
        with self._session.subscribe(chosen, kinds="offered,incomplete" if alone else "offered", **subscription) as subscribed:
            for item in subscribed:
                if isinstance(item, Event):
                    yield from self._told(item)
                elif "maestro.fence" in item:
                    with item:
                        fence = Fence(item["maestro.sequence"])
                    yield fence
                else:
                    yield Record(item)

    def _told(self, event: Event) -> Iterator[Record | Fence]:
        """What an event is to the loop."""
        if event.kind == "gap":
            raise errors.GapError(*event.gap)
        if "maestro.fence" in event.cdo:
            with event.cdo:
                fence = Fence(event.cdo["maestro.sequence"], self._incomplete(event) if event.kind == "incomplete" else None)
            yield fence
        elif event.kind == "offered" and not event.gone:
            yield Record(event.cdo)

    def arrays(
        self, attributes: Mapping[str, Any] | None = None, /, *, path: str = "*", records: Selector = None, **more: Any
    ) -> Iterator[Array]:
        """
        The arrays, of the records that are there, whose own attributes match.

        Parameters
        ----------
        attributes, **more
            What an array's attributes must be, each of them: a value; any of a list or range; ``...`` for any value, None for none; or a
            function of the value, such as ``lambda level: level > 500``.
        path : str
            Pattern of the paths: ``"mesh/*"``; the star reaches over slashes.
        records : str, dict or None
            Selector of the records.

        Yields
        ------
        Array
            ``array[...]`` is its values, ``array.record`` where it is from.

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session() as s:
        ...     with s.collection("air").record(0) as rec:
        ...         for name, unit in (("t", "K"), ("u", "m/s"), ("v", "m/s")):
        ...             rec[f"fields/{name}"] = np.zeros(3)
        ...             rec.array(f"fields/{name}").attributes["unit"] = unit
        ...     [array.path for array in s.collection("air").arrays(unit="m/s", path="fields/*")]
        ['fields/u', 'fields/v']
        """
        wanted = {**(attributes or {}), **more}
        for record in self.query(records):
            for array in record.arrays():
                if fnmatch.fnmatchcase(array.path, path) and all(agrees(array.attributes, key, what) for key, what in wanted.items()):
                    yield array

    def withdraw(
        self,
        sequence: int | Iterable[int] | None = None,
        when: When = "consumed",
        timeout: float | None = None,
        of: Literal["session", "component"] = "component",
    ) -> int:
        """
        Take back records, with their fences: all those of a sequence number that this component has made, whichever of its ranks did.

        Parameters
        ----------
        sequence : int or iterable of int, optional
            Which numbers; without it all of the collection.
        when, timeout, of
            As `Session.withdraw`; by default when every subscription that matches has received and released them.

        Returns
        -------
        int
            How many objects were withdrawn.
        """
        numbers = {} if sequence is None else {"maestro.sequence": sequence}
        own = " or ".join(selector_text({key: self.name} | numbers) for key in ("maestro.collection", "maestro.fence"))
        return self._session.withdraw(own, when, timeout, of)

    # ---- HDF5
    def to_hdf5(self, path: str | os.PathLike, selector: Selector = None) -> int:
        """
        Write the records that are there into a file, a group each, named by sequence; the collection's attributes are the file's.

        The file is complete or not there, whatever happens.  Returns the number of records.
        """
        count = 0
        with new_file(path) as file:
            file.attrs["maestro.collection"] = self.name
            write_attributes(self.attributes, file)
            for record in self.query(selector):
                with record:
                    component, rank = record.producer
                    name = str(record.sequence)
                    group = file.create_group(name if name not in file else f"{name}.{component}.{rank}")
                    write_record(record, group)
                    count += 1
        return count

    def from_hdf5(self, path: str | os.PathLike) -> int:
        """Offer the records of a file that `to_hdf5` wrote, and the collection's attributes; the number of records."""
        count = 0
        with h5py().File(path, "r") as file:
            described = {key: plain(value) for key, value in file.attrs.items() if not key.startswith(OWN)}
            if described:
                self.describe(described)
            for group in file.values():
                if "maestro.sequence" not in group.attrs:  # an archive's index
                    continue
                with self.record(int(group.attrs["maestro.sequence"])) as record:
                    read_record(group, record)
                count += 1
        return count


def agrees(attributes: Mapping[str, Any], key: str, wanted: Any | Callable[[Any], bool]) -> bool:
    """Whether an attribute of an array is as wanted."""
    if wanted is None or key not in attributes:
        return wanted is None and key not in attributes
    value = attributes[key]
    if wanted is ...:
        return True
    if callable(wanted):
        return bool(wanted(value))
    if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
        return True
    return isinstance(wanted, (list, tuple, set, range)) and not isinstance(value, (list, dict)) and value in wanted
