"""The errors of an archive."""

from ..errors import MaestroError


class ArchiveError(MaestroError, OSError):
    """A store cannot be read or written; the message says which, why, and what to do."""


def from_system(operation: str, path, error: OSError) -> ArchiveError:
    """What the operating system (or HDF5) refused."""
    cause = error.strerror or str(error)
    remedy = "; make room and start the archive again: what was not reported comes again" if error.errno in (27, 28, 122) else ""
    return ArchiveError(f"archive: {operation} {path}: {cause}{remedy}")
