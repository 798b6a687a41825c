"""MIR in process: decoded once or as a message, the product is the same; refusals have a name."""

import numpy as np
import pytest

from maestro.workflows.weather import plan

POST = {"grid": "2/2", "area": "70/-20/30/40"}


@pytest.fixture(scope="module")
def messages(sample_fields):
    """A level field, an accumulated field and a constant one, on O32."""
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.fields import Evolution

    forecast = plan.Plan.model_validate(plan.default() | {"grid": "O32"})
    encoder, evolution, made = grib.Encoder(forecast), Evolution("O32"), {}
    for levtype, param in (("pl", "t"), ("sfc", "tp"), ("sfc", "2t")):
        keys = {"levtype": levtype, "param": param, "step": 12, "number": 2} | ({"levelist": 500} if levtype == "pl" else {})
        made[param] = bytes(encoder.encode(keys, evolution.values(keys)))
        made[f"constant {param}"] = bytes(encoder.encode(keys, np.zeros(len(evolution.latitudes()))))
    encoder.close()
    return made


def decoded(message):
    from maestro.workflows.weather import grib

    handle, ec = grib.open_message(message), grib.eccodes()
    geometry = [grib.text(handle, key) for key in ("Ni", "Nj", "latitudeOfFirstGridPointInDegrees", "longitudeOfFirstGridPointInDegrees")]
    result = ec.codes_get_values(handle), grib.message_keys(handle), geometry, grib.text(handle, "bitsPerValue")
    ec.codes_release(handle)
    return result


@pytest.mark.parametrize("post", [POST, {"grid": "5/5"}])
@pytest.mark.parametrize("param", ["t", "tp", "2t"])
def test_array_way_makes_the_product_that_mir_makes_of_the_message(messages, post, param):
    from maestro.workflows.weather.interpolate import Interpolator

    tool = Interpolator()
    opened = tool.open(messages[param])
    assert opened.grid == "O32"
    ours, theirs = decoded(opened._by_array(post)), decoded(opened._by_message(post))
    opened.close()
    assert ours[1:3] == theirs[1:3]
    np.testing.assert_allclose(ours[0], theirs[0], atol=np.ptp(theirs[0]) / 2**14)


def test_a_product_does_not_depend_on_what_was_made_before(messages):
    """A constant field leaves its packing (0 bits) behind in the template."""
    from maestro.workflows.weather.interpolate import Interpolator

    def product(tool, name):
        opened = tool.open(messages[name])
        made = opened.product(POST)
        opened.close()
        return made

    fresh, used = Interpolator("O32"), Interpolator("O32")
    product(used, "constant 2t")
    assert product(used, "2t") == product(fresh, "2t")


def test_each_field_is_decoded_once(messages, monkeypatch):
    from maestro.workflows.weather import interpolate

    tool, count = interpolate.Interpolator("O32"), []
    real = tool.ec.codes_get_values
    monkeypatch.setattr(tool.ec, "codes_get_values", lambda handle: count.append(1) or real(handle))
    opened = tool.open(messages["2t"])
    for grid in ("2/2", "5/5", "10/10"):
        opened.product({"grid": grid})
    opened.close()
    assert len(count) == 1


def test_missing_values_stay_missing(sample_fields):
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.interpolate import Interpolator

    message = next(grib.read_messages(sample_fields / "reduced_latlon_surface.grib2"))
    opened = Interpolator().open(message)
    values = decoded(opened.product({"grid": "5/5"}))[0]
    assert opened.grid is None
    assert (values == 9999).any()
    assert values[values != 9999].max() < 20  # a wave height


def test_refusal_names_grid_and_reason(sample_fields):
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.errors import RefusedError
    from maestro.workflows.weather.interpolate import Interpolator

    opened = Interpolator().open(next(grib.read_messages(sample_fields / "ngm.grb")))
    with pytest.raises(RefusedError, match=r"interpolate to .*1/1.*: \w+"):
        opened.product({"grid": "1/1"})


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no GRIB message"), (b"not weather" * 100, "no GRIB message"), ("cut", "damaged or truncated")]
)
def test_bad_files_are_refused_by_name(sample_fields, tmp_path, content, words):
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.errors import GribError

    whole = (sample_fields / "flux.grb").read_bytes()
    path = tmp_path / "mine.grib"
    path.write_bytes(whole[:46_000] if content == "cut" else content)
    with pytest.raises(GribError, match=f"mine.grib: .*{words}"):
        list(grib.read_messages(path))


def test_a_message_with_damaged_sections_is_not_passed_over(sample_fields, tmp_path):
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.errors import GribError

    good = (sample_fields / "regular_latlon_surface.grib2").read_bytes()
    path = tmp_path / "mine.grib"
    path.write_bytes(good + good[:16] + b"\xff" * 44 + good[60:])
    with pytest.raises(GribError, match="only 1 of 2 messages can be read"):
        list(grib.read_messages(path))
