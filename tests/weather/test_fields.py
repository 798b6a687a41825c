"""The forecast's values: real ranges and patterns of each param, smooth evolution, GRIB that carries the keys."""

import numpy as np
import pytest

from maestro.workflows.weather import params, plan

GRID = "O32"

# What the atmosphere of an ordinary day shows: least, mean from .. to, greatest. Step 60, both members.
SURFACE = {
    "10u": (-40, -3, 3, 40), "10v": (-40, -3, 3, 40), "10fg": (0, 4, 14, 60),
    "msl": (93000, 100500, 101800, 106500), "sp": (48000, 95500, 99500, 106500),
    "2t": (195, 284, 293, 322), "2d": (190, 278, 289, 306), "mx2t6": (195, 284, 294, 326), "mn2t6": (195, 283, 292, 320),
    "skt": (190, 284, 294, 335), "ci": (0, 0.01, 0.1, 1), "sd": (0, 0.01, 1.5, 15), "sf": (0, 0, 0.003, 0.3),
    "tp": (0, 0.0005, 0.02, 0.6), "cp": (0, 0.0005, 0.02, 0.6), "tcc": (0, 0.45, 0.8, 1), "lcc": (0, 0.1, 0.5, 1),
    "mcc": (0, 0.05, 0.4, 1), "hcc": (0, 0.15, 0.6, 1), "tcw": (0, 18, 32, 100), "tcwv": (0, 18, 32, 90),
    "cape": (0, 50, 600, 9500), "ssr": (0, 2e7, 5e7, 1.2e8), "str": (-6e7, -1.8e7, -7e6, 6e6), "ttr": (-9e7, -6e7, -4.5e7, -1.5e7),
    "sshf": (-6e7, -8e6, 0, 4e7), "slhf": (-1.3e8, -2.8e7, -1e7, 1.5e7), "sund": (0, 4e4, 1.3e5, 2.3e5),
    "lsm": (0, 0.25, 0.4, 1), "z": (-2000, 1500, 5000, 60000),
}  # fmt: skip
UPPER = {
    ("t", 500): (215, 252, 264, 280), ("t", 1000): (225, 283, 295, 325), ("z", 500): (44000, 53000, 57500, 59500),
    ("z", 100): (138000, 155000, 162000, 166500), ("u", 250): (-70, 5, 25, 100), ("v", 250): (-80, -4, 4, 80),
    ("q", 850): (0, 0.003, 0.009, 0.03), ("q", 200): (0, 0, 1e-4, 1e-3), ("r", 700): (0, 25, 65, 110),
    ("w", 500): (-6, -0.05, 0.05, 6), ("vo", 500): (-1e-3, -2e-6, 2e-6, 1.2e-3), ("d", 500): (-1e-3, -2e-6, 2e-6, 1e-3),
}  # fmt: skip


@pytest.fixture(scope="module")
def evolution(sample_fields):
    from maestro.workflows.weather.fields import Evolution

    return Evolution(GRID)


@pytest.fixture(scope="module")
def area(evolution):
    """Weights for a mean over the globe."""
    return np.cos(np.radians(evolution.latitudes()))


def values(evolution, levtype, param, level=None, step=60, number=1):
    return evolution.values({"levtype": levtype, "param": param, "levelist": level, "step": step, "number": number})


@pytest.mark.parametrize("name", list(params.SURFACE))
def test_surface_field_is_within_what_the_atmosphere_shows(evolution, area, name):
    least, from_, to, greatest = SURFACE[name]
    for number in (1, 2):
        made = values(evolution, "sfc", name, number=number)
        assert least <= made.min()
        assert made.max() <= greatest
        assert from_ <= np.average(made, weights=area) <= to
        assert made.std() > 0


@pytest.mark.parametrize(("name", "level"), list(UPPER))
def test_upper_air_field_is_within_what_the_atmosphere_shows(evolution, area, name, level):
    least, from_, to, greatest = UPPER[name, level]
    made = values(evolution, "pl", name, level)
    assert least <= made.min()
    assert made.max() <= greatest
    assert from_ <= np.average(made, weights=area) <= to
    assert made.std() > 0


@pytest.mark.parametrize("name", list(params.UPPER))
def test_model_levels_exist_for_every_upper_air_param(evolution, name):
    param = params.UPPER[name]
    for level in (38, 62, 91):
        made = values(evolution, "ml", name, level)
        assert np.isfinite(made).all()
        assert param.low <= made.min() <= made.max() <= param.high


def test_patterns_are_those_of_the_earth(evolution):
    latitude = evolution.latitudes()
    tropics, poles = np.abs(latitude) < 20, np.abs(latitude) > 65
    assert values(evolution, "sfc", "2t")[tropics].mean() > values(evolution, "sfc", "2t")[poles].mean() + 25
    assert values(evolution, "sfc", "tcwv")[tropics].mean() > 4 * values(evolution, "sfc", "tcwv")[poles].mean()
    heights = [values(evolution, "pl", "z", level).mean() for level in (1000, 850, 500, 200, 100)]
    assert heights == sorted(heights)
    westerlies = (np.abs(latitude) > 30) & (np.abs(latitude) < 60)
    assert values(evolution, "pl", "u", 250)[westerlies].mean() > 10


@pytest.mark.parametrize(("levtype", "name", "level"), [("pl", "t", 500), ("sfc", "msl", None), ("sfc", "2t", None), ("ml", "q", 91)])
def test_evolution_is_smooth_and_members_differ(evolution, levtype, name, level):
    first, next_, later = (values(evolution, levtype, name, level, step=step) for step in (6, 12, 60))
    spread = first.std()
    assert 0 < np.abs(next_ - first).mean() < np.abs(later - first).mean() < 2 * spread
    other = values(evolution, levtype, name, level, step=60, number=2)
    assert 0 < np.abs(other - later).mean() < spread


def test_accumulated_fields_only_grow(evolution):
    for name in ("tp", "ssr", "sund"):
        early, late = (values(evolution, "sfc", name, step=step) for step in (6, 60))
        assert (late >= early - 1e-9 * np.abs(early).max()).mean() > 0.99


@pytest.mark.parametrize("packing", ["ccsds", "simple16"])
def test_messages_carry_keys_and_values(evolution, packing):
    from maestro.workflows.weather import grib

    draft = plan.default() | {"grid": GRID, "packing": packing}
    forecast = plan.Plan.model_validate(draft)
    encoder, ec = grib.Encoder(forecast), grib.eccodes()
    chosen = [f for f in forecast.fields() if f.keys["step"] == 12 and f.keys["number"] == 2 and f.keys.get("levelist") in (None, 500, 62)]
    assert len(chosen) == 50
    for item in chosen:
        made = evolution.values(item.keys)
        handle = grib.open_message(bytes(encoder.encode(item.keys, made)))
        found = grib.message_keys(handle)
        assert {key: found.get(key) for key in item.keys} == item.keys
        assert int(grib.text(handle, "paramId")) == item.param_id
        assert grib.text(handle, "packingType") == grib.PACKING[packing]
        assert grib.text(handle, "gridName") == GRID
        step = (made.max() - made.min()) / 2**15
        np.testing.assert_allclose(ec.codes_get_values(handle), made, atol=max(step, 1e-12))
        ec.codes_release(handle)
    encoder.close()


def test_rekeyed_message_differs_in_its_keys_only(evolution):
    from maestro.workflows.weather import grib

    forecast = plan.Plan.model_validate(plan.default() | {"grid": GRID, "mode": "rekey"})
    encoder, ec = grib.Encoder(forecast), grib.eccodes()
    for levtype, name in (("pl", "t"), ("sfc", "tp"), ("sfc", "mx2t6")):
        keys = {"levtype": levtype, "param": name, "step": 6, "number": 1} | ({"levelist": 500} if levtype == "pl" else {})
        first = bytes(encoder.encode(keys, evolution.values(keys)))
        other = bytes(encoder.rekey(keys | {"step": 60, "number": 2}))
        handles = [grib.open_message(message) for message in (first, other)]
        assert [grib.message_keys(h)["step"] for h in handles] == [6, 60]
        assert [grib.message_keys(h)["number"] for h in handles] == [1, 2]
        assert grib.text(handles[1], "validityDate") == "20070512"
        np.testing.assert_array_equal(*(ec.codes_get_values(h) for h in handles))
        for handle in handles:
            ec.codes_release(handle)
    encoder.close()
