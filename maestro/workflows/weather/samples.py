"""Real analysed fields: the GRIB samples of Debian's package python-grib-doc, fetched once with apt and unpacked without root.

Knows where files are and how to get them; what is in them is read by `grib`. Nothing is fetched when the cache is full.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import SampleError

PACKAGE = "python-grib-doc"
INSIDE = Path("usr/share/doc") / PACKAGE / "examples"
TIMEOUT_S = 120


def cache_dir() -> Path:
    """Where the weather workflow keeps what is expensive to get: MAESTRO_CACHE, else the user's cache directory."""
    root = os.environ.get("MAESTRO_CACHE")
    if not root:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maestro"
    path = Path(root) / "weather"
    path.mkdir(parents=True, exist_ok=True)
    return path


def samples_dir() -> Path:
    """Directory of the sample files; fetches the package on first use. Raises SampleError with the remedy."""
    target = cache_dir() / "samples"
    for ready in (target, Path("/") / INSIDE):
        if _has_grib(ready):
            return ready
    with tempfile.TemporaryDirectory(dir=cache_dir()) as work:
        package = _download(Path(work))
        _run(["dpkg-deb", "-x", str(package), str(Path(work) / "tree")], work)
        unpacked = Path(work) / "tree" / INSIDE
        if not _has_grib(unpacked):
            raise SampleError(f"unpack {package.name}: no GRIB files in {INSIDE}; this version of the package is not known")
        fresh = Path(work) / "samples"
        fresh.mkdir()
        for path in sorted(unpacked.iterdir()):
            if _is_grib(path):
                shutil.copy2(path, fresh / path.name)
        try:
            fresh.rename(target)
        except OSError:  # another process was first
            if not _has_grib(target):
                raise
    return target


def sample_files() -> list[Path]:
    """All GRIB files of the package, by name."""
    return [path for path in sorted(samples_dir().iterdir()) if _is_grib(path)]


def _download(work: Path) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise SampleError(f"get {PACKAGE}: this system has no apt-get and dpkg-deb; {_remedy()}")
    try:
        _run(["apt-get", "download", PACKAGE], work)
    except SampleError:
        _run(["apt-get", *_private(work), "update"], work)
        _run(["apt-get", *_private(work), "download", PACKAGE], work)
    found = list(work.glob(f"{PACKAGE}_*.deb"))
    if not found:
        raise SampleError(f"get {PACKAGE}: apt-get left no package; {_remedy()}")
    return found[0]


def _private(work: Path) -> list[str]:
    """Options that let apt keep its package lists in `work`: no root needed, and the system's lists stay as they are."""
    state, cache = work / "state", work / "aptcache"
    for path in (state / "lists" / "partial", cache / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={cache}", "-o", "APT::Sandbox::User="]


def _run(command: list[str], work) -> None:
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SampleError(f"get {PACKAGE}: {' '.join(command[:1])}: {error}; {_remedy()}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SampleError(f"get {PACKAGE}: {' '.join(command)}: {last}; {_remedy()}")


def _remedy() -> str:
    return (
        f"get the package {PACKAGE} on a Debian or Ubuntu machine (apt-get download {PACKAGE}; dpkg -x) "
        f"and copy {INSIDE} to {cache_dir() / 'samples'}"
    )


def _is_grib(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return b"GRIB" in stream.read(65536)


def _has_grib(path: Path) -> bool:
    return path.is_dir() and any(_is_grib(entry) for entry in path.iterdir())
