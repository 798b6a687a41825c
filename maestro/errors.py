"""Exceptions: one class per error of the C library's status table, generated from it, each also the builtin that a caller would catch.

What stands here and not there is which builtin that is, and GapError, which the library tells as an event.
Invariant: str() of an exception is the library's message: operation, object, cause, remedy.
"""

import builtins

from . import _core

__all__ = ["GapError", "MaestroError"]  # the generated ones are added below


class MaestroError(Exception):
    """What every error of Maestro is; ``status`` is its number in the C library (None where C knows no such error)."""

    status: int | None = None

    def __str__(self):
        return str(self.args[0]) if self.args else type(self).__doc__


class GapError(MaestroError, RuntimeError):
    """A subscription was too slow and has lost events; it goes on behind the gap.

    Attributes
    ----------
    first, last : int
        Numbers of the first and last lost event in the node's event log.
    """

    def __init__(self, first: int, last: int):
        super().__init__(
            f"iterate over a subscription: it was too slow, events {first} to {last} of the pool's log are lost to it; "
            "subscribe again for a snapshot of what lives, or with hold=True so that offers wait"
        )
        self.first, self.last = first, last

    def __reduce__(self):
        return type(self), (self.first, self.last)


# Which builtin a caller would catch. ConnectionError and TimeoutError are OSErrors.
_BUILTINS = {
    "ArgumentError": ValueError,
    "AttributeKeyError": KeyError,
    "AttributeTypeError": TypeError,
    "AttributeValueError": ValueError,
    "SelectorError": ValueError,
    "SchemaError": ValueError,
    "TimeoutError": builtins.TimeoutError,
    "NotFoundError": KeyError,  # an attribute that the object does not have
    "NotUniqueError": LookupError,
    "MemoryError": builtins.MemoryError,
    "TooLargeError": ValueError,
    "MissingAttributeError": ValueError,  # the object given is not complete
    "DuplicateError": ValueError,
    "WithdrawnError": LookupError,
    "StateError": RuntimeError,
    "CorruptError": OSError,
    "IncompleteError": LookupError,
    "ClosedError": ValueError,  # as a closed file
    "ForkedError": RuntimeError,
    "RefusedError": PermissionError,
    "ProtocolError": ConnectionError,
    "LinkLostError": ConnectionError,
    "PoolLostError": ConnectionError,
    "PoolStartError": OSError,
    "SystemError": OSError,
}


def _generate():
    """The classes of the status table, in its order."""
    for status, name, text in _core.STATUSES.values():
        if name is not None:
            members = {"status": status, "__doc__": text[0].upper() + text[1:] + ".", "__module__": __name__}
            yield status, type(name, (MaestroError, _BUILTINS[name]), members)


_BY_STATUS = dict(_generate())
globals().update({error.__name__: error for error in _BY_STATUS.values()})
__all__ += [error.__name__ for error in _BY_STATUS.values()]
_core.use_exceptions(_BY_STATUS, GapError)
