"""examples/weather.ipynb: its cells run in order beside a forecast, and it is kept without outputs."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "weather.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
READER = """
import maestro
with maestro.Session(component="plotter", schema="mars") as session:
    for field in session.subscribe("has(param)", group="plots"):
        field.dispose()
"""


def source(cell) -> str:
    """A cell's Python, without lines for Jupyter itself, such as %matplotlib."""
    return "".join(line for line in cell["source"] if not line.startswith("%"))


@pytest.fixture
def forecast(run, private_pool, small_plan, monkeypatch):
    """Fields that come for as long as the test runs, and a group that reads them."""
    from maestro.launch import rendezvous
    from maestro.workflows.weather.demo import environment
    from maestro.workflows.weather.stage import component

    monkeypatch.setenv("MAESTRO_POOL", "forecast")
    monkeypatch.setenv("MAESTRO_LINGER_S", "0.1")
    run.write(small_plan | {"steps": "6/to/6000/by/6", "mode": "rekey", "rate": 50, "workers": 0, "sink": "maestro"}, [])
    with contextlib.ExitStack() as stack:
        for words in (component("hammer", str(run.plan), "--run", str(run.folder)), [sys.executable, "-c", READER]):
            program = stack.enter_context(subprocess.Popen(words, env=environment()))
            stack.callback(program.kill)
        yield
    give_up = time.monotonic() + 5
    while rendezvous.running() and time.monotonic() < give_up:
        time.sleep(0.02)


def test_cells_run_in_order_beside_a_forecast(sample_fields, forecast, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    names = {}
    for number, cell in enumerate(CODE):
        exec(compile(source(cell), cell["id"], "exec"), names)
        if number == 0:
            names["FOLLOW_S"] = 1
    printed = capsys.readouterr().out
    assert "gridName     O32\n" in printed
    assert "5,248 points" in printed
    assert names["steps"].total() > 0
    assert names["levels"].keys() <= {"t", "z", "msl", "2t"}
    assert names["arrivals"]
    assert "at step" in names["arrivals"][-1][2]
    for number, figure in enumerate((names["chart"], names["rates"])):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.stat().st_size > (50_000, 5_000)[number]
    hammer = next(row for row in names["screen"].components if row.component == "hammer")
    assert hammer.rates["offers"] > 0
    assert [(group.name, list(group.members)) for group in names["screen"].groups] == [("plots", ["plotter[0]"])]
    assert "plots" in printed
    assert names["session"].closed


def test_it_is_kept_without_outputs():
    assert [cell["id"] for cell in CODE if cell["outputs"] or cell["execution_count"] is not None] == []
