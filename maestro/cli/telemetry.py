"""From the manager's counters to what a screen shows: two samples give rates.

Pure functions over the JSON of `Session.stats()`; nothing is asked or drawn here. The manager counts by session and forgets a
session when it ends, so components are put together here, and one that was in the first sample only is shown as gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

COUNTERS = ("offers", "offered_bytes", "copied", "refused", "withdrawn", "demands", "events", "event_bytes")


@dataclass
class Row:
    """One component: its sessions that are there, and what they did between the samples."""

    component: str
    state: str  # running, waiting (for memory, or for a subscription that holds), gone
    waits_s: float  # how long the one that waits longest does; 0: nobody waits
    waits_for: str  # who makes that one wait
    ranks: list[int]
    pids: list[int]
    totals: dict[str, int]
    rates: dict[str, float]  # per second, of the same counters
    leases: int
    oldest_lease_s: float | None
    memory_lent: int  # pool memory that is its to fill, objects in it included
    memory_used: int  # by objects
    lag: int | None  # events its slowest subscription is behind; None: it has none
    gaps: int
    hold: bool
    groups: dict[str, int]  # consumer groups it is a member of, and how many objects they are behind


@dataclass
class Group:
    """A consumer group; what its members hold is not yet acknowledged."""

    name: str
    selector: str
    lag: int  # objects that it is behind
    rate: float  # objects per second that it was given
    redelivered: int
    members: dict[str, int]  # component[rank]: objects that it holds


@dataclass
class Tier:
    """One kind of memory of the pool, in bytes."""

    name: str
    limit: int
    used: int  # by objects
    lent: int  # in segments: what writers have, used or not, and what is idle
    idle: int  # kept for the next writer
    peak: int  # the most that objects used


@dataclass
class Screen:
    pool: str
    node: str
    pid: int
    uptime_s: float
    memory: dict
    objects: dict
    leases: dict
    events: dict
    interval_s: float
    components: list[Row]
    groups: list[Group]
    tiers: list[Tier]

    def as_dict(self) -> dict:
        return asdict(self)


def screen(before: dict, after: dict, interval_s: float, own_pid: int | None = None) -> Screen:
    """What happened between two samples `interval_s` apart; `own_pid` leaves out the process that asks."""
    earlier, now = by_component(before, own_pid), by_component(after, own_pid)
    lags = {group["name"]: group["lag"] for group in after.get("groups", [])}
    rows = [_row(name, sessions, earlier.get(name, []), interval_s, lags) for name, sessions in now.items()]
    rows += [_row(name, [], sessions, interval_s, lags) for name, sessions in earlier.items() if name not in now]
    parts = {key: after.get(key, {}) for key in ("memory", "objects", "leases", "events")}
    levels = {"interval_s": interval_s, "components": rows, "groups": _groups(before, after, interval_s), "tiers": _tiers(parts["memory"])}
    return Screen(after["pool"], after["node"], after["pid"], after["uptime_s"], **levels, **parts)


def _groups(before: dict, after: dict, interval_s: float) -> list[Group]:
    earlier = {group["name"]: group["delivered"] for group in before.get("groups", [])}
    return [
        Group(
            name=group["name"],
            selector=group["selector"],
            lag=group["lag"],
            rate=max(0, group["delivered"] - earlier.get(group["name"], 0)) / interval_s,
            redelivered=group["redelivered"],
            members={f"{one['component']}[{one['rank']}]": one["unacknowledged"] for one in group["members"]},
        )
        for group in after.get("groups", [])
    ]


def _tiers(memory: dict) -> list[Tier]:
    """The manager has one kind of memory so far."""
    return [Tier("DRAM", memory["limit"], memory["used"], memory["lent"], memory["idle"], memory["used_peak"])] if memory else []


def by_component(stats: dict, own_pid: int | None = None) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for session in stats.get("sessions", []):
        if session["pid"] != own_pid:
            found.setdefault(session["component"], []).append(session)
    return found


def totals(sessions: list[dict]) -> dict[str, int]:
    return {name: sum(session.get(name, 0) for session in sessions) for name in COUNTERS}


def _row(name: str, now: list[dict], before: list[dict], interval_s: float, lags: dict[str, int]) -> Row:
    stayed = {session["session"] for session in now}
    done, earlier = totals(now), totals([session for session in before if session["session"] in stayed])
    subscriptions = [one for session in now for one in session.get("subscriptions", [])]
    longest = max(now, key=lambda session: session.get("waits_s", 0), default={})
    return Row(
        component=name,
        state=_state(now),
        waits_s=longest.get("waits_s", 0),
        waits_for=longest.get("waits_for", ""),
        ranks=sorted(session.get("rank", 0) for session in now),
        pids=sorted(session["pid"] for session in now),
        totals=done,
        rates={counter: (done[counter] - earlier[counter]) / interval_s for counter in COUNTERS},
        leases=sum(session.get("leases", 0) for session in now),
        oldest_lease_s=max((session["oldest_lease_s"] for session in now if session.get("leases")), default=None),
        memory_lent=sum(session.get("memory_lent", 0) for session in now),
        memory_used=sum(session.get("memory_used", 0) for session in now),
        lag=max((one.get("lag", 0) for one in subscriptions), default=None),
        gaps=sum(one.get("gaps", 0) for one in subscriptions),
        hold=any(one.get("hold") for one in subscriptions),
        groups={one["group"]: lags.get(one["group"], 0) for one in subscriptions if "group" in one},
    )


def _state(sessions: list[dict]) -> str:
    if not sessions:
        return "gone"
    return "waiting" if any(session.get("state") == "waiting" for session in sessions) else "running"
