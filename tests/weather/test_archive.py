"""Fields in FDB: filed under their keys, found by FDB itself, and brought back as the objects that they were."""

import pytest
from typer.testing import CliRunner

import maestro
from maestro import cli
from maestro.archive import fdb
from maestro.archive.store import open_store
from maestro.workflows.weather import archive as forecast
from maestro.workflows.weather import fdbstore, grib, report
from maestro.workflows.weather.plan import Plan
from maestro.workflows.weather.trace import Kind

pytestmark = pytest.mark.usefixtures("sample_fields", "fdb_part")


@pytest.fixture
def config(tmp_path):
    """FDB's configuration, with the schema of the weather workflow."""
    (tmp_path / "root").mkdir()
    (tmp_path / "schema").write_text(fdbstore.SCHEMA)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"type: local\nengine: toc\nschema: {tmp_path}/schema\nspaces: [{{handler: Default, roots: [{{path: {tmp_path}/root}}]}}]\n"
    )
    return path


@pytest.fixture(scope="module")
def messages():
    """Fields of one step, on levels and at the surface, with their keys."""
    plan = Plan(members="1", steps="6", pl={"params": "t/z", "levels": "500/850"}, sfc="msl", grid="O32", sink="file")
    encoder = grib.Encoder(plan)
    try:
        return [(field, bytes(encoder.blank(field.keys))) for field in plan.fields()]
    finally:
        encoder.close()


def archive(*words):
    return CliRunner().invoke(cli.app, ["archive", *map(str, words), "--idle", "0.5"])


def test_fields_are_filed_in_fdb_and_come_back_as_objects(pool, config, messages):
    session = pool.session("hammer")
    for field, message in messages:
        session.offer(message, **field.keys)
    done = archive("--to", f"fdb:{config}")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{len(messages)} objects")
    for field, message in messages:  # as FDB's own users get them
        handle = fdbstore.Reader.__new__(fdbstore.Reader)
        handle.fdb, handle.root, handle.copies = open_store(f"fdb:{config}")._fdb, config, fdbstore.Copies()
        assert bytes(handle.retrieve(field, len(message))) == message
    assert archive("--to", f"fdb:{config}").stdout.startswith("0 objects")  # all of them known
    session.withdraw("")
    done = CliRunner().invoke(cli.app, ["restore", f"fdb:{config}", "levtype = pl"])
    assert done.exit_code == 0, done.output
    field, message = messages[0]
    with session.demand({"param": field.keys["param"], "levelist": field.keys["levelist"]}, timeout=5) as cdo:
        assert bytes(cdo) == message
        assert (cdo["maestro.component"], cdo["step"]) == ("hammer", 6)


def test_the_number_of_a_param_is_read_once_for_all_steps_and_members(config, monkeypatch):
    monkeypatch.setattr(fdb, "param_of", lambda message, read=fdb.param_of: opened.append(message) or read(message))
    plan, opened = Plan(members="1/2", steps="6/12", pl={"params": "t/z", "levels": "500/850"}, sfc="msl", grid="O32", sink="file"), []
    store, encoder = open_store(f"fdb:{config}", write=True), grib.Encoder(plan)
    for field in plan.fields():
        assert store._identifier(field.keys, bytes(encoder.blank(field.keys))) == fdbstore.identifier(field)
    assert len(opened) == len(plan.fields()) / 4
    for field in plan.fields()[:2]:  # nothing says that these are of one param
        bare = {key: value for key, value in field.keys.items() if key != "param"}
        assert store._identifier(bare, bytes(encoder.blank(field.keys))) == fdbstore.identifier(field)
    assert len(opened) == len(plan.fields()) / 4 + 2
    encoder.close()
    store.close()


def test_what_is_no_field_is_refused_by_name(pool, config):
    session = pool.session("hammer")
    session.offer(b"text", param="t", step=6)
    done = archive("--to", f"fdb:{config}")
    assert done.exit_code != 0
    assert "param=t" in str(done.exception)
    assert "is no GRIB message" in str(done.exception)


def test_a_configuration_that_is_none_is_named(pool, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("type: local\n")
    with pytest.raises(maestro.MaestroError, match=r"config\.yaml: it is no configuration of FDB with a 'schema'"):
        open_store(f"fdb:{path}")
    path.write_text(f"schema: {tmp_path}/none\n")
    with pytest.raises(maestro.MaestroError, match=r"read the schema .*/none of FDB .*: No such file"):
        open_store(f"fdb:{path}")


def test_a_forecast_is_archived_by_distinct_fields_also_in_two_lives(pool, tmp_path, messages, monkeypatch):
    monkeypatch.setattr(forecast, "take_second_place", lambda nice: None)
    plan, (first, *rest) = Plan(members="1", steps="6", pl={"params": "t/z", "levels": "500/850"}, sfc="msl", grid="O32"), messages
    observer = pool.session("observer")  # holds the pool
    lives = []
    for offers in ([first], rest):
        with pool.session("hammer") as session:
            foreign = offers[0][0].keys | {"step": 12}
            for keys, message in [(foreign, offers[0][1]), *((field.keys, message) for field, message in offers)]:
                session.offer(message, **keys)
                session.flush()
        lives.append(forecast.run_archive(plan, tmp_path / str(len(lives)), tmp_path / "store", timeout=5))
    assert lives == [1, len(messages)]
    assert observer.count() == 2 + len(messages)
    records = report.traces(tmp_path / "1", "archive")
    assert sorted(records["field"][records["kind"] == Kind.ARCHIVED]) == sorted(field.index for field, _ in rest)
