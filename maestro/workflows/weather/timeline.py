"""The timeline picture: when fields were complete, readable and made into products, in the runs that are compared."""

from __future__ import annotations

from pathlib import Path

from .errors import need
from .report import traces
from .trace import Kind

LANES = (
    ("hammer.*", Kind.COMPLETE, "#1f5fb0", "complete in the producer"),
    ("products.*", Kind.RECEIVED, "#e07b1a", "readable by a product worker"),
    ("products.*", Kind.PRODUCT, "#2b9a4a", "product readable"),
    ("archive", Kind.ARCHIVED, "#7c4fa0", "durable in the archive"),
)


def draw(runs: dict[str, Path], path) -> Path:
    """One panel per run: fields over time above, every event of every process below."""
    need("matplotlib", "matplotlib").use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4 * len(runs)), dpi=100)
    longest = max(_length(run) for run in runs.values())
    panels = figure.subplots(2 * len(runs), 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.6] * len(runs)})
    for position, (name, run) in enumerate(runs.items()):
        _counts(panels[2 * position], name, run)
        _processes(panels[2 * position + 1], run)
    panels[-1].set_xlim(0, longest)
    panels[-1].set_xlabel("seconds since the forecast's first field")
    panels[0].legend(loc="lower right", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    return Path(path)


def _begin(run) -> int:
    made = traces(run, "hammer.*")
    return int(made["t"][made["kind"] == Kind.BEGIN].min())


def _length(run) -> float:
    return max((int(traces(run, lane)["t"].max()) - _begin(run)) / 1e9 for lane in ("hammer.*", "products.*"))


def _counts(axes, name: str, run) -> None:
    import numpy as np

    begin = _begin(run)
    for pattern, kind, colour, label in LANES:
        records = traces(run, pattern)
        times = np.sort(records["t"][records["kind"] == kind] - begin) / 1e9
        if len(times):
            axes.plot(times, np.arange(1, len(times) + 1), color=colour, label=label, linewidth=1.4)
    axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    axes.set_ylabel("fields")
    axes.grid(alpha=0.25)


def _processes(axes, run) -> None:
    """One line of ticks per process."""
    begin, names = _begin(run), []
    for pattern, kind, colour, _ in LANES:
        if kind == Kind.PRODUCT:
            continue
        for path in sorted((Path(run) / "trace").glob(pattern)):
            records = traces(run, path.name)
            times = (records["t"][records["kind"] == kind] - begin) / 1e9
            axes.plot(times, [len(names)] * len(times), "|", color=colour, markersize=7, markeredgewidth=0.4)
            names.append(path.name)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.invert_yaxis()
