"""The session: one process's connection to the pool of its node.

What must be quick (offer) and what waits stands in _core; here are names, defaults, selectors and the end of the program.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
import warnings
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from . import _core, columns, errors
from .cdo import OF, WHEN, Cdo, Need, Request, When, choose
from .collection import Collection
from .selectors import Selector, selector_text
from .subscription import STARTS, Event, Subscription, kinds_mask

__all__ = ["Session"]

_core.use_classes(Cdo, Request, Event._make)
TYPES = {
    "bool": _core.MAESTRO_TYPE_BOOL,
    "i64": _core.MAESTRO_TYPE_I64,
    "f64": _core.MAESTRO_TYPE_F64,
    "string": _core.MAESTRO_TYPE_STRING,
    "timestamp": _core.MAESTRO_TYPE_TIMESTAMP,
    "blob": _core.MAESTRO_TYPE_BLOB,
}
Priority = Literal["urgent", "normal", "background"]
PRIORITIES = {
    None: _core.MAESTRO_PRIORITY_DEFAULT,
    "urgent": _core.MAESTRO_PRIORITY_URGENT,
    "normal": _core.MAESTRO_PRIORITY_NORMAL,
    "background": _core.MAESTRO_PRIORITY_BACKGROUND,
}
_open: weakref.WeakSet[Session] = weakref.WeakSet()


class Session(_core.SessionHandle):
    """
    One process's connection to the pool of its node.  The first session starts the pool manager.

    A session may be used by several threads at once; one object, subscription or request by one thread at a time.  In a forked
    child it is invalid (ForkedError); open another one there.  Ctrl-C ends every wait.

    Parameters
    ----------
    component : str, optional
        The program's name in the workflow; default is ``MAESTRO_COMPONENT``, else the script's name.
    rank : int
        This process's rank in its component; 0 becomes ``MAESTRO_RANK`` where that is set.
    schema : str, optional
        A built-in name ("mars") or a YAML file; default is the pool's schema, else the core one.
    pool : str, optional
        The pool's name, or the path of its socket; default is ``MAESTRO_POOL``, else "default".
    timeout : float, optional
        Seconds after which waits give up; default is ``MAESTRO_TIMEOUT_S``, else 60.
    start_pool : bool
        Start the pool manager when there is none.
    relay : bool
        For programs that pass on what others have offered elsewhere, such as archives: they may set maestro.component, maestro.rank,
        maestro.version and maestro.node of what they offer.
    priority : {"urgent", "normal", "background"}, optional
        Class of service of this session, and of its objects unless `maestro.priority` says otherwise; default is
        ``MAESTRO_PRIORITY``, else "normal".

    Attributes
    ----------
    timeout : float
        Default bound of every wait, in seconds.
    group : str or None
        The component's consumer group as the workflow file says it (``MAESTRO_GROUP``), for `subscribe`.
    closed : bool

    Raises
    ------
    PoolStartError
        The pool manager could not be started, or there is none and `start_pool` is False.
    RefusedError
        It belongs to another user, speaks another protocol version, or knows another schema of that name.
    SchemaError
        The schema cannot be understood; the message has file, line and column.

    Examples
    --------
    >>> with maestro.Session(component="hammer", schema="mars") as s:
    ...     cdo = s.offer(b"bytes", param="msl", step=12)
    ...     bytes(s.demand({"param": "msl", "step": 12}))
    b'bytes'
    """

    def __init__(
        self,
        component: str | None = None,
        rank: int = 0,
        schema: str | os.PathLike | None = None,
        pool: str | os.PathLike | None = None,
        timeout: float | None = None,
        start_pool: bool = True,
        relay: bool = False,
        priority: Priority | None = None,
    ):
        component = component or os.environ.get("MAESTRO_COMPONENT") or script_name()
        rank = rank or int(number_from_environment("MAESTRO_RANK", 0))
        schema, pool = (None if given is None else os.fspath(given) for given in (schema, pool))
        timeout = number_from_environment("MAESTRO_TIMEOUT_S", 60) if timeout is None else timeout
        self._open(pool, component, rank, schema, timeout, start_pool, relay, choose("priority", priority, PRIORITIES))
        self.component, self.rank, self.pool = component, rank, pool or os.environ.get("MAESTRO_POOL") or "default"
        self.group = os.environ.get("MAESTRO_GROUP") or None
        _open.add(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except errors.MaestroError as second:  # must not hide what ended the block
            error.add_note(f"The session's close failed too: {type(second).__name__}: {second}")

    def __del__(self):
        if self.closed or self not in _open:
            return
        warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)
        with contextlib.suppress(errors.ForkedError):
            self.close()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<maestro.Session {self.component}[{self.rank}] pool {self.pool}{state}>"

    # ---- Offering
    def cdo(self, like: Cdo | Mapping[str, Any] | None = None, /, *, name: str | None = None, **attributes: Any) -> Cdo:
        """
        Declare an object, to be filled and offered.

        Parameters
        ----------
        like : Cdo or mapping, optional
            Attributes to begin with: those of another object (also one from a consumer's side), or a dictionary.
        name : str, optional
            The object's name (attribute maestro.name).
        **attributes
            Attributes; None means absent.

        Returns
        -------
        Cdo

        Raises
        ------
        AttributeKeyError
            The schema has no such attribute; the message names the nearest one.
        AttributeTypeError, AttributeValueError
            The value does not agree with the schema.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     first = s.cdo({"class": "od"}, param="q", step=0)
        ...     second = s.cdo(first, step=6)
        ...     second["class"], second["param"], second["step"]
        ('od', 'q', 6)
        """
        if isinstance(like, Cdo):
            return self._declare(name, like, None, attributes)
        return self._declare(name, None, like, attributes)

    def offer_many(self, payloads: Any = None, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> int:
        """
        Offer many objects in one call.

        Parameters
        ----------
        payloads : sequence of arrays or bytes-like, numpy.ndarray or None
            The data of each object; an array's first axis are the objects.  Copied once, as by `offer`.
        attributes, **more
            Columns: for each attribute one value for all objects, or a list or array with one for each.

        Returns
        -------
        int
            How many objects were offered.

        Raises
        ------
        ArgumentError
            Columns differ in length, or none says how many objects there are.
        MaestroError
            As `offer`; the message has the object's number, objects before it were offered (the exception's ``offered``).

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session(schema="mars") as s:
        ...     s.offer_many(np.zeros((3, 181, 360)), param=["t", "u", "v"], step=18, levelist=850)
        3
        """
        count, prepared, payloads = columns.prepare(payloads, {**(attributes or {}), **more})
        offered, error = _core.offer_batch(self, count, prepared, payloads)
        if error is not None:
            error.offered = offered
            raise error
        return offered

    def withdraw(
        self, selector: Selector, when: When = "released", timeout: float | None = None, of: Literal["session", "component"] = "session"
    ) -> int:
        """
        Take back all own objects that match, and wait until nobody reads them any more.

        Parameters
        ----------
        selector : str or dict
        when : {"released", "consumed"}
            As `Cdo.withdraw`.
        timeout : float, optional
            Seconds; default is the session's timeout.
        of : {"session", "component"}
            Whose objects: those that this session has offered, or all of its component, so that one rank takes a step back for all.

        Returns
        -------
        int
            How many objects were withdrawn.

        Raises
        ------
        TimeoutError
            Names who still holds objects.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many(param="w", step=[0, 6, 12])
        ...     s.withdraw("param = w")
        3
        """
        return self._withdraw(selector_text(selector), choose("when", when, WHEN) + choose("of", of, OF), timeout)

    # ---- Asking
    def demand(self, selector: Selector, timeout: float | None = None) -> Cdo:
        """
        Wait for the one object that matches, and lease it.

        Parameters
        ----------
        selector : str or dict
            "param = msl and step = 12", "param=msl,step=12", or {"param": "msl", "step": 12}.
        timeout : float, optional
            Seconds; default is the session's timeout.

        Returns
        -------
        Cdo

        Raises
        ------
        TimeoutError
            Nothing matched in time; the message names the selector and what came nearest.
        NotUniqueError
            Several identities match; the message has their number and the keys that differ.
        LinkLostError
            What matches lies on another node, and the link to it has gone; raised at once.
        SelectorError
            The selector cannot be understood.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     cdo = s.offer(b"bytes", param="sp", step=0)
        ...     s.demand("param = sp").nbytes
        5
        """
        return self._demand_start(selector_text(selector), timeout).wait()

    def demand_start(self, selector: Selector, timeout: float | None = None) -> Request:
        """Start a `demand`; the request gives the object when it is waited for."""
        return self._demand_start(selector_text(selector), timeout)

    def demand_set(self, selectors: Iterable[Selector], timeout: float | None = None) -> list[Cdo]:
        """
        Wait for several objects that are needed together, such as vorticity and divergence: all of them, or an error and none.

        Parameters
        ----------
        selectors : iterable of str or dict
            Each as for `demand`.
        timeout : float, optional
            Seconds for all together; default is the session's timeout.

        Returns
        -------
        list of Cdo
            In the selectors' order.

        Raises
        ------
        TimeoutError, NotUniqueError, SelectorError
            As `demand`, of the first selector that is not met.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many([b"vo", b"d"], param=["vo", "d"], step=30)
        ...     [bytes(cdo) for cdo in s.demand_set([{"param": param, "step": 30} for param in ("vo", "d")])]
        [b'vo', b'd']
        """
        with contextlib.ExitStack() as stack:
            requests = [stack.enter_context(self.demand_start(selector, timeout)) for selector in selectors]
            found: list[Cdo] = []
            try:
                for request in requests:
                    found.append(request.wait())
            except BaseException:
                for cdo in found:
                    cdo.dispose()
                raise
            return found

    def require(self, selector: Selector) -> Need:
        """
        Declare that objects which match will be needed.

        Who can provide them is told, by an event "required": an archive, a link to other nodes, a producer that asks `wanted`.  A
        subscription, and a demand that waits, is a need without being declared.

        Parameters
        ----------
        selector : str, dict or None
            None is everything.

        Returns
        -------
        Need
            It ends with its `retract`, at the latest with the session.

        Raises
        ------
        SelectorError, AttributeKeyError
            The selector cannot be understood.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     need = s.require("param in (t, u)")
        ...     s.wanted(param="t", step=0), s.wanted(param="q", step=0)
        (True, False)
        """
        return self._require(Need, selector_text(selector))

    def wanted(self, attributes: Mapping[str, Any] | None = None, /, **more: Any) -> bool:
        """
        Whether anybody needs an object of these attributes: all that it will be offered with.

        What nobody needs should neither be made nor moved.  See `Cdo.wanted`; it costs no message but for a session's first question.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     fields = s.subscribe("param = t and levelist in (500, 850)")
        ...     [level for level in (1000, 850, 700, 500) if s.wanted(param="t", step=0, levelist=level)]
        [850, 500]
        """
        with self.cdo(attributes, **more) as cdo:
            return cdo.wanted()

    def wait_for_peers(self, names: Iterable[str] | Mapping[str, int], timeout: float | None = None) -> None:
        """
        Wait until components have joined the pool.

        Parameters
        ----------
        names : iterable of str, or mapping of str to int
            Their names; with a number, so many sessions of each.
        timeout : float, optional
            Seconds; default is the session's timeout.

        Raises
        ------
        TimeoutError
            Says who is missing, and who is there.

        Examples
        --------
        >>> with maestro.Session(component="hammer") as s:
        ...     s.wait_for_peers(["hammer"], timeout=5)
        """
        wanted = Counter(dict(names)) if isinstance(names, Mapping) else Counter(names)
        there: Counter[str] = Counter()
        give_up = time.monotonic() + (self.timeout if timeout is None else timeout)
        with self.subscribe(kinds="joined,left") as sessions:
            while missing := wanted - there:
                event = sessions.next(timeout=max(give_up - time.monotonic(), 0))
                if event is None:
                    who = ", ".join(f"{name} ({there[name]} of {wanted[name]})" for name in missing)
                    here = ", ".join(sorted(+there)) or "nobody"
                    raise errors.TimeoutError(f"wait for peers: missing: {who}; there are: {here}")
                if event.kind in ("joined", "left"):
                    there[event.component] += 1 if event.kind == "joined" else -1

    def query(self, selector: Selector = None) -> Iterator[Cdo]:
        """
        Iterate over the objects that match and live now, with their leases.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many(param="d", step=[0, 6, 12])
        ...     sorted(cdo["step"] for cdo in s.query("param = d and step > 0"))
        [6, 12]
        """
        with self.subscribe(selector, start="query") as found:
            while (cdo := found.next()) is not None:
                yield cdo
            if not found.ended:
                raise errors.TimeoutError(
                    f"query: the pool manager did not go on within {self.timeout:g} s; is it stopped? see maestro doctor"
                )

    def demand_all(self, selector: Selector = None) -> list[Cdo]:
        """The objects of `query` as a list: all of them leased at once."""
        return list(self.query(selector))

    def count(self, selector: Selector = None, timeout: float | None = None) -> int:
        """
        How many live objects match.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many(param="vo", step=[0, 6, 12])
        ...     s.count("param = vo and step in 0/to/6/by/6")
        2
        """
        return self._count(selector_text(selector), timeout)

    def subscribe(
        self,
        selector: Selector = None,
        kinds: str | Iterable[str] = "offered",
        start: Literal["snapshot", "now", "query"] = "snapshot",
        hold: bool = False,
        window: int = 0,
        timeout: float | None = None,
        group: str | None = None,
        limit: int = 0,
        acknowledge_within: float = 0,
        observe: bool = False,
        prefetch: int = 0,
    ) -> Subscription:
        """
        Get every object that matches, exactly once, as it comes.

        Parameters
        ----------
        selector : str, dict or None
            None is everything.
        kinds : str or iterable of str
            What to hear of: "offered", "withdrawn", "joined", "left", "expired", "required", "retracted", "incomplete";
            several as "offered,withdrawn" or as a list.
        start : {"snapshot", "now", "query"}
            Begin with the matching objects that live, or with what comes; "query" ends after those that live.
        hold : bool
            Offers wait for this subscription instead of leaving it behind with a gap.
        window : int
            Bytes of events that may wait in the subscription's ring, with their leases; 0 is 1 MiB.
        timeout : float, optional
            Iteration ends quietly after so many seconds without event; without it, it raises TimeoutError after the session's
            timeout.  ``math.inf`` waits for ever.
        group : str, optional
            Consumer group to join: each object goes to one of its members, by demand.  The first member says what the group selects, and
            where it starts.  Offers wait for groups as for ``hold``; a group outlives its members by a minute (`MAESTRO_POOL_GROUP_S`).
        limit : int
            In a group: objects that this member may have without having disposed them; 0 is as its pace suggests, 256 at most.  A loop
            that asks for the next one before it has disposed the last (no ``with cdo:``) needs 2.
        prefetch : int
            In a group: objects that this member may have however slow it is, within the limit, so that they are near when it comes to
            them; 0 is two, the one in work and the next.  What a member has in hand nobody else works on.
        acknowledge_within : float
            In a group: what is not disposed after so many seconds goes to another member; 0 is only when this one leaves or dies.
        observe : bool
            Only watch: what the selector selects does not count as needed, so nobody makes or fetches it for this subscription.

        Returns
        -------
        Subscription
            Iterate over it, for `Cdo` objects (kinds "offered" alone) or `Event` objects.

        Raises
        ------
        SelectorError, AttributeKeyError
            The selector cannot be understood.
        ArgumentError
            The group selects something else.

        Examples
        --------
        >>> with maestro.Session(schema="mars") as s:
        ...     n = s.offer_many(param="cc", step=[0, 6, 12])
        ...     sum(cdo["step"] for cdo in s.subscribe("param = cc", timeout=0.1))
        ...     painters = [s.subscribe("param = cc", timeout=0.1, group="paint") for _ in range(2)]
        ...     sum(cdo["step"] for painter in painters for cdo in painter)
        18
        18
        """
        return self._subscribe(
            Subscription,
            selector_text(selector),
            kinds_mask(kinds),
            choose("start", start, STARTS),
            hold,
            window,
            timeout,
            group,
            limit,
            acknowledge_within,
            observe,
            prefetch,
        )

    def collection(self, name: str, producers: int | None = None) -> Collection:
        """
        The records of a collection: sets of arrays that become visible together.

        Parameters
        ----------
        name : str
        producers : int, optional
            How many sessions of this component make its records, where they say what is complete (`Collection.complete`).

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session() as s:
        ...     with s.collection("run").record(0) as rec:
        ...         rec["mesh/zones/pressure"] = np.zeros((2, 3))
        ...     print(s.collection("run")[0].tree())
        └─ mesh
           └─ zones
              └─ pressure  float64 2 x 3
        """
        return Collection(self, name, producers)

    def collections(self, selector: Selector = None) -> list[Collection]:
        """
        The collections that are in the pool, in the order of their names; with a selector those whose own attributes match, see
        `Collection.describe`.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     for name in ("b", "a"):
        ...         with s.collection(name).record(0):
        ...             pass
        ...     s.collections()
        [<maestro.Collection a>, <maestro.Collection b>]
        """
        text = selector_text(selector)
        chosen = f"has(maestro.describes) and ({text})" if text else "has(maestro.describes) or has(maestro.collection)"
        names = set()
        for cdo in self.query(chosen):
            with cdo:
                names.add(cdo.get("maestro.describes") or cdo["maestro.collection"])
        return [Collection(self, name) for name in sorted(names)]

    # ---- Telling
    def stats(self, timeout: float | None = None) -> dict[str, Any]:
        """
        The pool's counters and limits: memory, objects, and per session offers, demands, bytes, leases and state.

        Offers that are still under way may not be counted yet; `flush` first where they must be.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the manager's answer; default is the session's timeout.

        Raises
        ------
        TimeoutError
            The manager did not answer in time: it is stopped.
        """
        return self._stats(timeout)

    @property
    def schema(self) -> dict[str, Any]:
        """The session's schema: name, version, and its attributes with type, flags and documentation."""
        if not hasattr(self, "_schema_read"):
            self._schema_read = self._schema()
        return self._schema_read

    def _types_of(self, keys: Iterable[str]) -> dict[str, int]:
        """The C type of each attribute; the library's error for an unknown one."""
        if not hasattr(self, "_types_read"):
            self._types_read = {
                attribute["name"]: TYPES[attribute["type"]] | (_core.MAESTRO_TYPE_ARRAY if attribute.get("array") else 0)
                for attribute in self.schema["attributes"]
            }
        known = self._types_read
        for key in keys:
            if key not in known:
                with self.cdo() as nothing:
                    nothing.get(key)
        return {key: known[key] for key in keys}


def number_from_environment(name: str, otherwise: float) -> float:
    """A setting; what is no non-negative number is ignored, as the library does (and says)."""
    with contextlib.suppress(ValueError):
        return number if (number := float(os.environ.get(name, ""))) >= 0 else otherwise
    return otherwise


def script_name() -> str | None:
    """The program's name where the executable is Python: "model" of model.py, the package's of ``python -m``."""
    script = Path(sys.argv[0] if sys.argv else "")
    name = script.parent.name if script.stem == "__main__" else script.stem
    return name[:63] if name not in ("", "-c", "-") else None


@atexit.register
def _close_all() -> None:
    """Sessions that the program left open are flushed and closed; what was refused is told as an unhandled error is."""
    for session in list(_open):
        try:
            session.close()
        except errors.ForkedError:
            pass
        except errors.MaestroError:
            sys.excepthook(*sys.exc_info())
