"""Fields in FDB: filed under their keys, found by FDB itself, and brought back as the objects that they were."""

import pytest
from typer.testing import CliRunner

import maestro
from maestro import cli
from maestro.archive.store import open_store
from maestro.workflows.weather import fdbstore, grib
from maestro.workflows.weather.plan import Plan

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
