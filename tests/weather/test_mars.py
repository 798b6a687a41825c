"""Lists and ranges in MARS form."""

import pytest

from maestro.workflows.weather import mars


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("step", "0/to/24/by/6", [0, 6, 12, 18, 24]),
        ("step", "0/to/24", [0, 12, 24]),
        ("step", "0/to/6", [0]),
        ("levelist", "1000/to/100/by/300", [1000, 700, 400, 100]),
        ("levelist", "500/.5", [500, 0.5]),
        ("number", "1/to/3", [1, 2, 3]),
        ("param", "t/u/v", ["t", "u", "v"]),
        ("date", "20240130/to/20240202", ["20240130", "20240131", "20240201", "20240202"]),
        ("time", 0, ["0000"]),
        ("time", 12, ["1200"]),
        ("expver", 1, ["0001"]),
        ("step", [0, "6/12"], [0, 6, 12]),
    ],
)
def test_values_expand_as_in_mars(key, value, expected):
    assert mars.expand(key, value) == expected


@pytest.mark.parametrize(("step", "expected"), [("6", 6), ("30m", 0), ("90m", 1), ("7200s", 2), ("2d", 48), ("12h", 12)])
def test_steps_count_in_whole_hours(step, expected):
    assert mars.hours(step) == expected


@pytest.mark.parametrize("text", ["0/to", "0/to/24/by", "0/to/24/by/0", "0/6/to/24", "a/to/c"])
def test_a_broken_range_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"range|step of"):
        mars.expand("step", text)
