"""Plan files: the fields they stand for, and errors that point at the place."""

import pytest

from maestro.workflows.weather import plan
from maestro.yamlfile import FileError


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "plan.yaml"
        path.write_text(text)
        return plan.load(path)

    return read


def test_default_forecast_has_230_fields_per_step_and_member():
    fields = plan.Plan.model_validate(plan.default()).fields()
    assert len(fields) == 4600
    first_step = [f for f in fields if f.keys["step"] == 6 and f.keys["number"] == 1]
    count = {levtype: sum(f.keys["levtype"] == levtype for f in first_step) for levtype in ("ml", "pl", "sfc")}
    assert count == {"ml": 110, "pl": 90, "sfc": 30}
    assert len({tuple(sorted(f.keys.items())) for f in fields}) == 4600


def test_order_is_step_member_levtype_level_param():
    fields = plan.Plan.model_validate(plan.default()).fields()
    kinds = {"ml": 0, "pl": 1, "sfc": 2}
    order = [(f.keys["step"], f.keys["number"], kinds[f.keys["levtype"]], f.keys.get("levelist", 0)) for f in fields]
    assert order == sorted(order)


@pytest.mark.parametrize("nranks", [1, 2, 3, 7])
def test_every_field_has_one_rank_and_levels_stay_together(nranks):
    fields = plan.Plan.model_validate(plan.default()).fields()
    owner = {}
    for item in fields:
        assert 0 <= item.rank(nranks) < nranks
        if "levelist" in item.keys:
            level = item.keys["levtype"], item.keys["levelist"]
            assert owner.setdefault(level, item.rank(nranks)) == item.rank(nranks)


def test_surface_fields_have_no_level():
    fields = plan.Plan.model_validate(plan.default()).fields()
    assert all(("levelist" in f.keys) == (f.keys["levtype"] != "sfc") for f in fields)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("sfc: [msl]\nsnik: fdb\n", "2:1", "did you mean 'sink'"),
        ("sfc: [msl]\nsink: fbd\n", "2:7", "sink"),
        ("pl:\n  params: [t, rh]\n  levels: [500]\n", "2:15", "param 'rh'"),
        ("pl:\n  params: [t]\n", "1:1", "'levels' is missing"),
        ("sfc: [msl]\nfdb:\n  flush: never\n", "3:10", "flush"),
        ("sfc: [msl]\nsteps: 0/to\n", "2:8", "range"),
        ("sfc: [msl]\ngrid: 0.25/0.25\n", "2:7", "O320"),
        ("sfc: [msl\n", "2:1", "expected"),
        ("members: 1\n", "1:1", "no field"),
        ("sfc: [msl]\nmode: replay\n", "1:1", "forecast"),
        ("sfc: [msl]\ndate: 20071399\n", "2:7", "'20071399' is no date"),
        ("sfc: [msl]\ntime: 99\n", "2:7", "'99' is no time"),
        ("sfc: [msl]\nsteps: 6/12/6\n", "2:8", "step 6 stands here a second time"),
        ("ml: {params: t, levels: 38/200}\n", "1:25", "less than or equal to 91"),
        ("sfc: [msl]\ngrid: O9999\n", "2:7", "up to O2560"),
    ],
)
def test_errors_name_file_line_and_column(load, text, place, words):
    with pytest.raises(FileError) as caught:
        load(text)
    message = str(caught.value)
    assert words in message
    assert f"plan.yaml:{place}: " in message


def test_two_runs_differ_in_one_word(load):
    common = "sfc: [msl]\nsink: "
    one, other = load(common + "maestro\n"), load(common + "fdb\n")
    assert one.model_dump() | {"sink": "fdb"} == other.model_dump()
