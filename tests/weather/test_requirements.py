"""Requirements: expansion to products, the subscription that brings their fields, errors."""

import pydantic
import pytest

from maestro.workflows.weather import plan, requirements
from maestro.yamlfile import FileError


@pytest.fixture(scope="module")
def forecast():
    return plan.Plan.model_validate(plan.default())


def expand(data, fields):
    return requirements.expand(pydantic.TypeAdapter(list[requirements.Requirement]).validate_python(data), fields)


def one(retrieve):
    return [{"name": "one", "retrieve": retrieve, "post": {"grid": "1/1"}, "to": "here"}]


def test_default_wishes_are_more_than_400_and_bring_every_field(forecast):
    fields = forecast.fields()
    products = expand(requirements.default(forecast), fields)
    assert len(products) >= 400
    assert all(product.field for product in products)
    assert requirements.covers(products, fields) == {f.index for f in fields}
    assert 5 <= sum(product.picture for product in products) <= 20


def test_lists_and_ranges_become_one_product_per_field(forecast):
    wanted = {"param": "t", "levtype": "pl", "levelist": "500/850", "step": "6/to/30/by/12", "number": "1/to/2"}
    products = expand(one(wanted), forecast.fields())
    assert len(products) == 2 * 3 * 2
    assert {p.field.keys["step"] for p in products} == {6, 18, 30}


def test_default_step_of_a_range_of_steps_is_12(forecast):
    products = expand(one({"param": "msl", "step": "12/to/36", "number": 1}), forecast.fields())
    assert [p.field.keys["step"] for p in products] == [12, 24, 36]


def test_a_level_asks_for_no_surface_field(forecast):
    products = expand(one({"param": "z", "levelist": 500, "step": 6, "number": 1}), forecast.fields())
    assert [p.field.keys["levtype"] for p in products] == ["pl"]


def test_what_the_plan_does_not_make_is_a_product_without_field(forecast):
    products = expand(one({"param": "t", "levtype": "pl", "levelist": 501, "step": 6, "number": 1}), forecast.fields())
    assert [p.field for p in products] == [None]
    assert "501" in products[0].name


def test_union_of_keys_selects_by_level_type(forecast):
    wishes = one({"param": "t/u", "levtype": "pl", "levelist": 500, "step": 6, "number": 1})
    wishes += one({"param": "msl", "levtype": "sfc", "step": 12, "number": 2})
    text = requirements.selector(expand(wishes, forecast.fields()))
    assert "levtype = pl and param in (t, u) and levelist = 500 and step = 6 and number = 1" in text
    assert "levtype = sfc and param = msl and step = 12 and number = 2" in text
    assert text.count(" or ") == 1


def test_params_without_a_name_are_selected_as_text():
    keys = {"levtype": "sfc", "step": 0}
    fields = [plan.Field(i, 0.0, keys | {"param": name, "iteration": i + 1}, 0) for i, name in enumerate(("0", "2t", "msl"))]
    text = requirements.selector(expand([one({"iteration": i + 1})[0] for i in range(3)], fields))
    assert "param in ('0', '2t', msl) and step = 0" in text


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- name: a\n  retrieve: {parm: t}\n  post: {grid: 1/1}\n  to: x\n", 2, "did you mean 'param'"),
        ("- name: a\n  retrieve: {param: t}\n  post: {grid: 1by1}\n  to: x\n", 3, "no grid"),
        ("- name: a\n  retrieve: {param: t}\n  post: {grid: 1/1, area: 30/0/75/10}\n  to: x\n", 3, "north"),
        ("- name: a\n  retrieve: {param: t}\n  post: {grid: 1/1}\n", 1, "'to' is missing"),
        ("- name: a\n  retrieve: {param: t}\n  post: {grid: 1/1}\n  to: ../x\n", 4, "to"),
        ("- name: a\n  retrieve: {step: 0/to/b}\n  post: {grid: 1/1}\n  to: x\n", 2, "range"),
        ("- name: a\n  retrieve: {date: 20071399/to/20080101}\n  post: {grid: 1/1}\n  to: x\n", 2, "yyyymmdd"),
        ("- name: a\n  retrieve: {param: }\n  post: {grid: 1/1}\n  to: x\n", 2, "'param' has no value"),
        ("- name: a\n  retrieve: t\n  post: {grid: 1/1}\n  to: x\n", 2, "keys and values"),
        ("- name: a\n  retrieve: {param: t}\n  post: {grid: 1.2.3/1}\n  to: x\n", 3, "no grid"),
        ("[]\n", 1, "at least 1 item"),
    ],
)
def test_errors_name_the_line(tmp_path, text, line, words):
    path = tmp_path / "requirements.yaml"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        requirements.load(path)
    assert words in str(caught.value)
    assert f"requirements.yaml:{line}:" in str(caught.value)
