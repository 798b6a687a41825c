"""Maps: projection, palette, title and coast for every param; refusals by name."""

import numpy as np
import pytest

from maestro.workflows.weather import plan


@pytest.fixture(scope="module")
def product(sample_fields):
    """Makes the product message of a param of the default forecast."""
    from maestro.workflows.weather import grib
    from maestro.workflows.weather.fields import Evolution
    from maestro.workflows.weather.interpolate import Interpolator

    forecast = plan.Plan.model_validate(plan.default() | {"grid": "O32"})
    encoder, evolution, tool = grib.Encoder(forecast), Evolution("O32"), Interpolator("O32")

    def make(levtype, param, level=None, post=None):
        keys = {"levtype": levtype, "param": param, "step": 60, "number": 1} | ({"levelist": level} if level else {})
        opened = tool.open(bytes(encoder.encode(keys, evolution.values(keys))))
        made = opened.product(post or {"grid": "2/2", "area": "75/-30/30/45"})
        opened.close()
        return made

    return make


def colours(path) -> int:
    """How many distinct colours of some size a picture has."""
    from matplotlib.image import imread

    pixels = (imread(path)[:, :, :3] * 255).astype("u4")
    packed = pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
    return int((np.unique(packed, return_counts=True)[1] > 100).sum())


@pytest.mark.parametrize(
    ("levtype", "param", "level"),
    [("sfc", "msl", None), ("sfc", "2t", None), ("sfc", "tp", None), ("pl", "z", 500), ("pl", "r", 850), ("ml", "q", 91)],
)
def test_map_has_land_weather_and_scale(product, tmp_path, levtype, param, level):
    pytest.importorskip("matplotlib")
    from maestro.workflows.weather import pictures

    path = pictures.draw(product(levtype, param, level), tmp_path / "map.png")
    assert path.stat().st_size > 20_000
    assert colours(path) >= 6


def test_units_are_a_forecasters(product):
    from maestro.workflows.weather import mapstyle, pictures

    expected = {"2t": ("°C", -60, 50), "msl": ("hPa", 940, 1065), "tp": ("mm", -0.1, 500), "tcc": ("%", -1, 101), "10fg": ("m s⁻¹", 0, 60)}
    for param, (unit, low, high) in expected.items():
        chart = pictures.Chart(product("sfc", param))
        style = mapstyle.style_of("sfc", param, chart.keys["units"], chart.values)
        shown = chart.values * style.factor + style.offset
        assert style.unit == unit
        assert low <= shown.min() <= shown.max() <= high
    chart = pictures.Chart(product("pl", "z", 500))
    style = mapstyle.style_of("pl", "z", "", chart.values)
    assert style.unit == "dam"
    assert 480 < (chart.values * style.factor).mean() < 600


def test_title_comes_from_the_keys(product):
    from maestro.workflows.weather import pictures

    left, right = pictures.titles(pictures.Chart(product("pl", "t", 850)).keys)
    assert left == "Temperature, 850 hPa"
    assert right == "Valid Sat 12 May 2007 12:00 UTC  ·  from 10 May 2007 00 UTC, step 60 h  ·  member 1"


def test_projections_fit_the_area():
    from maestro.workflows.weather import coast

    assert coast.choose(-30, 45, 30, 75).name == "Lambert conformal"
    assert coast.choose(-180, 180, -90, 90).name == "plate carrée"
    assert coast.choose(-180, 180, 30, 90).name == "polar stereographic"
    x, y = coast.Lambert(0, 30, 60)(np.array([0.0, 10.0, -10.0]), np.array([45.0, 45.0, 45.0]))
    assert x[0] == pytest.approx(0)
    assert x[1] == pytest.approx(-x[2])
    assert y[1] == pytest.approx(y[2])


def test_lambert_keeps_angles():
    """A conformal map scales alike to the east and to the north."""
    from maestro.workflows.weather import coast

    project, step = coast.Lambert(5, 35, 65), 1e-4
    for latitude in (38.0, 50.0, 62.0):
        origin, east, north = (np.array(project(lon, lat)) for lon, lat in ((9, latitude), (9 + step, latitude), (9, latitude + step)))
        along, up = np.linalg.norm(east - origin) / np.cos(np.radians(latitude)), np.linalg.norm(north - origin)
        assert along == pytest.approx(up, rel=1e-3)


def test_coastline_knows_where_land_is(sample_fields):
    from maestro.workflows.weather import coast

    points = coast.outline()
    points = points[~np.isnan(points[:, 0])]
    assert len(points) > 10_000
    gibraltar = np.hypot(points[:, 0] + 5.5, points[:, 1] - 36.0).min()
    pacific = np.hypot(points[:, 0] + 140, points[:, 1] - 40).min()
    assert gibraltar < 0.5
    assert pacific > 5


def test_coastline_of_an_area_lies_in_it_wherever_it_begins(sample_fields):
    from maestro.workflows.weather import coast

    for west, east in ((-30, 45), (150, 230), (-180, 180)):
        points = coast.inside(west, east, -50, 75)
        drawn = points[~np.isnan(points[:, 0])]
        assert len(drawn) > 1000
        assert west <= drawn[:, 0].min() < drawn[:, 0].max() <= east
        assert -50 <= drawn[:, 1].min() < drawn[:, 1].max() <= 75


def test_grid_that_cannot_be_drawn_is_refused_by_name(product, tmp_path):
    from maestro.workflows.weather import pictures
    from maestro.workflows.weather.errors import RefusedError

    with pytest.raises(RefusedError, match="reduced_gg"):
        pictures.draw(product("sfc", "2t", post={"grid": "O16"}), tmp_path / "map.png")
