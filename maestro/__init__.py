"""Maestro hands data from program to program, in memory, by meaning.

A producer offers immutable bytes with attributes (a core data object) to the pool of its node; consumers subscribe to what they need
or demand it.  Bytes lie in shared memory and are not copied; nothing needs to be started first.

>>> import maestro, numpy as np
>>> with maestro.Session(schema="mars") as s:
...     cdo = s.offer(np.arange(3.0), param="t", step=6, levelist=500)
...     s.demand({"param": "t", "step": 6}).array()
array([0., 1., 2.])

The library below is loaded when it is first needed, so that the command line can explain what is missing where it was not built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .arrays.fields import Field
    from .arrays.layout import Layout, Local
    from .arrays.memory import empty
    from .arrays.names import comm_split
    from .arrays.plan import Halo, Plan, redistribute, relabel
    from .blocks import BlockArray
    from .cdo import Cdo, Need, Request
    from .collection import Collection, Fence
    from .errors import *  # noqa: F403
    from .placement import Pin, Placement
    from .record import Array, Group, NewRecord, Record
    from .selectors import check_selector
    from .session import Session
    from .subscription import Event, Subscription, wait

# Where each public name comes from; the exceptions are those of maestro.errors.
_HOMES = {
    "Array": "record",
    "BlockArray": "blocks",
    "Cdo": "cdo",
    "Collection": "collection",
    "Event": "subscription",
    "Fence": "collection",
    "Field": "arrays.fields",
    "Group": "record",
    "Halo": "arrays.plan",
    "Layout": "arrays.layout",
    "Local": "arrays.layout",
    "Need": "cdo",
    "NewRecord": "record",
    "Pin": "placement",
    "Placement": "placement",
    "Plan": "arrays.plan",
    "Record": "record",
    "Request": "cdo",
    "Session": "session",
    "Subscription": "subscription",
    "check_selector": "selectors",
    "comm_split": "arrays.names",
    "empty": "arrays.memory",
    "redistribute": "arrays.plan",
    "relabel": "arrays.plan",
    "wait": "subscription",
}
__all__ = [
    "Array",
    "BlockArray",
    "Cdo",
    "Collection",
    "Event",
    "Fence",
    "Field",
    "Group",
    "Halo",
    "Layout",
    "Local",
    "Need",
    "NewRecord",
    "Pin",
    "Placement",
    "Plan",
    "Record",
    "Request",
    "Session",
    "Subscription",
    "check_selector",
    "comm_split",
    "empty",
    "info",
    "redistribute",
    "relabel",
    "wait",
]


def __getattr__(name: str):
    from importlib import import_module

    if name == "__version__":
        return import_module("._core", __name__).version()
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name) or ("errors" if name.endswith("Error") else None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    from . import errors

    return sorted({*globals(), *__all__, *errors.__all__, "__version__"})


def info() -> dict:
    """
    This machine as Maestro sees it: memory spaces with sizes, cgroup limits, NUMA nodes, cores, pools.

    Examples
    --------
    >>> "memory" in str(maestro.info())
    True
    """
    from . import _core, errors  # noqa: F401  (the exceptions that _core raises)

    return _core.info()
