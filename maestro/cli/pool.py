"""`maestro pool start|stop|status`: the manager as a thing of its own, for workflows of several job steps.

Everywhere else the first session starts the manager and it leaves by itself.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

import typer

from ..launch import rendezvous
from .common import CommandError, Json, PoolName, attach, clock, human_bytes, out, print_json

STOP_S = 5.0

group = typer.Typer(help="Start, stop and look at the pool managers of this node.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="pool")


@group.command("start")
def start(
    pool: PoolName = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Limit of the pool's memory, such as 4GiB.")] = None,
    schema: Annotated[str | None, typer.Option("--schema", help="Name or YAML file of the pool's schema.")] = None,
    linger: Annotated[float, typer.Option("--linger", min=0, help="Seconds it stays without any session.")] = 86400.0,
    as_json: Json = False,
) -> None:
    """Start a pool manager that stays without sessions; a job script calls this before its steps."""
    import maestro

    name = pool or "default"
    if name in rendezvous.running():
        raise CommandError(f"pool start: pool '{name}' runs on this node already; look at it with: maestro pool status")
    os.environ["MAESTRO_LINGER_S"] = str(linger)
    if memory:
        os.environ["MAESTRO_POOL_MEMORY"] = memory
    with maestro.Session(pool=name, component="maestro-pool-start", schema=schema) as session:
        stats = session.stats()
    _show([stats], as_json)


@group.command("stop")
def stop(pool: PoolName = None, as_json: Json = False) -> None:
    """End a pool manager in good order, with whatever its pool still holds."""
    name = pool or "default"
    found = next((one for one in rendezvous.pools() if one.name == name and one.here and one.pid), None)
    if found is None:
        there = ", ".join(rendezvous.running()) or "none"
        raise CommandError(f"pool stop: no pool '{name}' runs on this node; running: {there}")
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while rendezvous.listener(found.socket) is not None:
        if time.monotonic() > deadline:
            text = f"manager {found.pid} of pool '{name}' did not end within {STOP_S:.0f} s"
            raise CommandError(f"pool stop: {text}; run: kill -9 {found.pid}")
        time.sleep(0.02)
    print_json({"pool": name, "pid": found.pid, "stopped": True}) if as_json else out.print(f"pool {name}: manager {found.pid} has ended")


@group.command("status")
def status(as_json: Json = False) -> None:
    """List the pools of this node."""
    found = []
    for name in rendezvous.running():
        with attach(name, command="pool") as session:
            found.append(session.stats())
    _show(found, as_json)


def _show(found: list[dict], as_json: bool) -> None:
    if as_json:
        keys = ("pool", "node", "pid", "uptime_s", "version", "memory", "objects")
        print_json({"pools": [{key: stats.get(key) for key in keys} for stats in found]})
        return
    for stats in found:
        memory, objects = stats.get("memory", {}), stats.get("objects", {})
        out.print(
            f"pool {stats.get('pool')}: manager {stats.get('pid')} for {clock(stats.get('uptime_s', 0))}, "
            f"memory {human_bytes(memory.get('used'))} of {human_bytes(memory.get('limit'))}, objects {objects.get('live', 0):,}"
        )
    if not found:
        out.print("no pool runs on this node")
