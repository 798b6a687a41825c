"""The pools of this node: the rendezvous directory, managers that died or hang, memory limits, job steps."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator

from ...launch import rendezvous
from ..common import human_bytes
from .finding import Finding, error, hint, ok, warning

ANSWER_S = 2.0
SOCKET_PATH_MAX = 107


def directory() -> Iterator[Finding]:
    """The directory must be the user's own and private, and leave room for a socket's name."""
    path = rendezvous.directory()
    try:
        status = path.lstat()
    except FileNotFoundError:
        parent = path.parent
        if not os.access(parent, os.W_OK):
            yield error("rendezvous", f"{path} does not exist and cannot be made in {parent}", "export MAESTRO_DIR=$(mktemp -d)")
        else:
            yield ok("rendezvous", f"{path} will be made by the first session")
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        yield error("rendezvous", f"{path} is not a directory of user {os.geteuid()}", "export MAESTRO_DIR=$(mktemp -d)")
    elif status.st_mode & 0o077:
        yield error("rendezvous", f"{path} can be entered by others; sessions are refused there", f"chmod 700 {shlex.quote(str(path))}")
    elif len(str(path / f"default.{rendezvous.node()}.sock")) > SOCKET_PATH_MAX:
        yield error(
            "rendezvous", f"{path} is too long for the path of a socket ({SOCKET_PATH_MAX} bytes)", "export MAESTRO_DIR=$(mktemp -d)"
        )
    else:
        yield ok("rendezvous", f"{path}, node {rendezvous.node()}")


def managers() -> Iterator[Finding]:
    """Sockets whose manager is dead, and managers that do not answer."""
    shared = rendezvous.shared_filesystem(rendezvous.directory())
    for pool in rendezvous.pools():
        if pool.pid is not None:
            yield _answer(pool)
        elif pool.here or shared is None:  # on a shared file system it may be another node's, alive there
            text = f"pool '{pool.name}' of node {pool.node}: its manager is dead and has left its socket behind"
            yield warning("stale pool", text, shlex.join(["rm", "-f", str(pool.socket), str(pool.lock)]))


def _answer(pool: rendezvous.Pool) -> Finding:
    import maestro

    try:
        with maestro.Session(pool=str(pool.socket), component="maestro-doctor", start_pool=False, timeout=ANSWER_S) as session:
            stats = session.stats(timeout=ANSWER_S)
    except maestro.MaestroError as reason:
        who = f"process {pool.pid}" if pool.pid else "its manager"
        kill = f"kill {pool.pid}" if pool.pid else f"fuser -k {shlex.quote(str(pool.socket))}"
        return error("pool", f"pool '{pool.name}': {who} listens but does not serve: {reason}", kill)
    return ok("pool", f"pool '{pool.name}': manager {stats.get('pid')} answers, {stats.get('objects', {}).get('live', 0):,} objects")


def memory() -> Iterator[Finding]:
    """A pool's limit must lie below what the kernel lets it take, for beyond that it kills."""
    import maestro

    info = maestro.info()
    yield from compare(info, _limits(info))


def _limits(info: dict) -> list[tuple[str, int]]:
    """(what, bytes) of the limit that a new pool would get, and of those that run."""
    import maestro

    setting = os.environ.get("MAESTRO_POOL_MEMORY")
    found = [("a new pool", parse_bytes(setting) if setting else info["memory"]["pool_default"])]
    for name in rendezvous.running():
        try:
            with maestro.Session(pool=name, component="maestro-doctor", start_pool=False, timeout=ANSWER_S) as session:
                found.append((f"pool '{name}'", int(session.stats(timeout=ANSWER_S)["memory"]["limit"])))
        except maestro.MaestroError:
            continue  # `managers` reports it
    return found


def parse_bytes(text: str) -> int:
    """4GiB, 512M, 100000: as csrc/base/settings.c reads sizes."""
    match = re.fullmatch(r"([0-9.]+)([kmgt]?)i?b?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"MAESTRO_POOL_MEMORY={text} is no size; write 4GiB, 512M or 100000")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def compare(info: dict, limits: list[tuple[str, int]]) -> Iterator[Finding]:
    """Each limit against the cgroup's and the machine's."""
    cgroup, machine = info["memory"]["cgroup_limit"], sum(node["bytes"] for node in info["machine"]["numa"])
    for what, limit in limits:
        if cgroup is not None and limit > cgroup:
            text = (
                f"{what} may take {human_bytes(limit)}, but this cgroup is limited to {human_bytes(cgroup)}: "
                "the kernel kills whoever goes beyond"
            )
            yield error("pool memory", text, f"export MAESTRO_POOL_MEMORY={cgroup // 2}")
        elif limit > machine:
            text = f"{what} may take {human_bytes(limit)}, but this machine has {human_bytes(machine)}"
            yield error("pool memory", text, f"export MAESTRO_POOL_MEMORY={machine // 2}")
        else:
            below = f"cgroup limit {human_bytes(cgroup)}" if cgroup is not None else f"no cgroup limit, machine has {human_bytes(machine)}"
            yield ok("pool memory", f"{what} may take {human_bytes(limit)} ({below})")


def batch() -> Iterator[Finding]:
    """A manager that starts inside a job step ends with the step."""
    if "SLURM_JOB_ID" not in os.environ:
        return
    if "SLURM_STEP_ID" in os.environ and not rendezvous.running():
        text = "inside a SLURM step the pool ends with the step; a workflow of several steps starts it before them, in the batch script"
        yield hint("slurm", text, "maestro pool start")
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
    if nodes > 1:
        text = f"the allocation has {nodes} nodes, but a pool serves one: `maestro run` uses the first"
        yield warning("slurm", text, "sbatch --nodes=1 ...")
