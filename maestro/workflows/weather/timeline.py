"""The timeline picture: every field and product of the compared runs, by the time when it could be read and its age then.

Above, one dot per field and product (the lower, the fresher); below, what each producer and consumer did when. Same axes in all runs.
"""

from __future__ import annotations

from pathlib import Path

from .errors import need
from .report import traces
from .trace import Kind

LANES = (
    ("hammer.*", Kind.COMPLETE, "#1f5fb0", "field complete in its producer"),
    ("products.*", Kind.RECEIVED, "#e07b1a", "field readable by a product worker"),
    ("products.*", Kind.PRODUCT, "#2b9a4a", "product readable"),
    ("archive", Kind.ARCHIVED, "#7c4fa0", "field durable in the archive"),
)
PROCESSES = (*(lane[:3] for lane in LANES if lane[1] != Kind.PRODUCT), ("steps", Kind.STEP, "black"))


def draw(runs: dict[str, Path], path) -> Path:
    """Two panels per run, drawn to `path` (PNG)."""
    need("matplotlib", "matplotlib").use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2 * len(runs)), dpi=100)
    panels = figure.subplots(2 * len(runs), 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.5] * len(runs)})
    upper = panels[::2]
    for axes, lanes, (name, run) in zip(upper, panels[1::2], runs.items(), strict=True):
        events = {lane: _events(run, *lane[:2]) for lane in LANES}
        _ages(axes, name, run, events)
        _processes(lanes, run)
    low, high = min(axes.get_ylim()[0] for axes in upper), max(axes.get_ylim()[1] for axes in upper)
    for axes in upper:
        axes.set_ylim(max(low, 0.01), high)
    panels[-1].set_xlabel("seconds since the forecast began")
    figure.tight_layout()
    figure.savefig(path)
    return Path(path)


def _begin(run) -> int:
    made = traces(run, "hammer.*")
    return int(made["t"][made["kind"] == Kind.BEGIN].min())


def _events(run, pattern: str, kind: Kind):
    records = traces(run, pattern)
    return records[records["kind"] == kind]


def _ages(axes, name: str, run, events: dict) -> None:
    """Age of each field and product when it became readable, in milliseconds on a logarithmic scale."""
    import numpy as np

    begin, complete = _begin(run), events[LANES[0]]
    ready = np.full(int(complete["field"].max()) + 1, begin)
    ready[complete["field"]] = complete["t"]
    for lane in reversed(LANES[1:]):
        found = events[lane]
        if len(found):
            age = np.maximum((found["t"] - ready[found["field"]]) / 1e6, 0.01)
            axes.plot((found["t"] - begin) / 1e9, age, ".", color=lane[2], markersize=2.5, label=lane[3], alpha=0.7)
    axes.set_yscale("log")
    axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    axes.set_ylabel("age (ms)")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper right", fontsize=8, markerscale=4)


def _processes(axes, run) -> None:
    """One line of ticks per process, and one for the steps that are complete."""
    begin, names = _begin(run), []
    for pattern, kind, colour in PROCESSES:
        for path in sorted((Path(run) / "trace").glob(pattern)):
            times = (_events(run, path.name, kind)["t"] - begin) / 1e9
            axes.plot(times, [len(names)] * len(times), "|", color=colour, markersize=7, markeredgewidth=0.4)
            names.append(path.name)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.invert_yaxis()
