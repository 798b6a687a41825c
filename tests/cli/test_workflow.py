"""The workflow file: models, launch lines, `maestro check`."""

import sys
from pathlib import Path

import pytest

from maestro import yamlfile
from maestro.launch import lines, mpi, workflow

GOOD = """
workflow: weather
components:
  hammer: {run: "python producer.py", ranks: 2}
  products: {run: "python 'a b.py' $HOME", processes: 2, on_failure: continue}
"""


def load(tmp_path, text):
    path = tmp_path / "w.yaml"
    path.write_text(text)
    return workflow.load(path)[0]


def mistake(tmp_path, text):
    with pytest.raises(yamlfile.FileError) as error:
        load(tmp_path, text)
    return error.value.problems[0].removeprefix(str(tmp_path / "w.yaml")).splitlines()[0]


def test_components_have_sizes_and_words(tmp_path):
    flow = load(tmp_path, GOOD)
    assert [part.size() for part in flow.components.values()] == [2, 2]
    assert flow.components["products"].words() == ["python", "a b.py", "$HOME"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workflow: w\ncomponents: {}", ":2:13: components: Dictionary should have at least 1 item"),
        ("workflow: w", ":1:1: required key 'components' is missing"),
        ("workflow: w\ncomponents: {a: {run: x, rank: 2}}", ":2:26: components.a.rank: unknown key; did you mean 'ranks'?"),
        ("workflow: w\ncomponents: {a: {run: x}}\nwait_for: [b]", ":3:12: wait_for.0: no component 'b'; known are: a"),
        ("workflow: w\ncomponents: {aa: {run: x}}\nwait_for: [ab]", ":3:12: wait_for.0: no component 'ab'; did you mean 'aa'?"),
        ("workflow: w\ncomponents: {a: {run: x, ranks: 2, processes: 2}}", ":2:17: components.a: give 'ranks'"),
        ('workflow: w\ncomponents: {a: {run: "x \'y"}}', ":2:17: components.a: 'run' cannot be split into words"),
        ("workflow: w\ncomponents: {a: {run: ''}}", ":2:17: components.a: 'run' is empty"),
        ("workflow: w\ncomponents: {a: {run: x, ranks: 0}}", ":2:33: components.a.ranks: Input should be greater than 0"),
        ("workflow: w\ncomponents: {a: {run: x, on_failure: ignore}}", ":2:38: components.a.on_failure: Input should be 'stop' or"),
        ("workflow: a/b\ncomponents: {a: {run: x}}", ":1:11: workflow: 'a/b' is no name"),
        ("workflow: w\ncomponents: {a: {run: x, priority: high}}", ":2:36: components.a.priority: Input should be 'urgent', 'normal' or"),
        ("workflow: w\ncomponents: {a: {run: x, group: g}}", ":2:17: components.a: 'group' shares out what the component consumes"),
        (
            "workflow: w\ncomponents: {a: {run: x, resources: {core: 1}}}",
            ":2:38: components.a.resources.core: unknown key; did you mean 'cores'?",
        ),
        ("workflow: w\ncomponents: {a: {run: x, consumes: [{1: 2}]}}", ":2:37: components.a.consumes.0: selector: 1 is no attribute name"),
        ("workflow: w\npool: {memory: lots}\ncomponents: {a: {run: x}}", ":2:16: pool.memory: could not parse value"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, expected):
    assert mistake(tmp_path, text).startswith(expected)


def test_ranks_go_through_mpiexec_and_processes_start_plainly(tmp_path):
    flow = load(tmp_path, GOOD)
    made = [line for name, part in flow.components.items() for line in lines.lines_of(name, part, ["mpiexec"])]
    assert [line.words for line in made] == [["mpiexec", "-n", "2", "python", "producer.py"], *[["python", "a b.py", "$HOME"]] * 2]
    assert [(line.ranks, line.first_rank) for line in made] == [(2, 0), (1, 0), (1, 1)]


def test_ranks_without_any_launcher_name_the_remedy(tmp_path):
    with pytest.raises(lines.LaunchError, match=r"start hammer: no mpiexec beside .* pip install mpich"):
        lines.lines_of("hammer", load(tmp_path, GOOD).components["hammer"], None)


@pytest.fixture
def allocation(tmp_path, monkeypatch):
    for name in ("srun", "mpiexec"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'mpiexec (Open MPI) 5.0.3'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(mpi, "beside_python", lambda name="mpiexec": None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path


@pytest.mark.parametrize(("family", "words"), [("MPICH", ["--mpi=pmi2"]), ("Intel MPI", ["--mpi=pmi2"]), (None, [])])
def test_inside_an_allocation_ranks_go_through_srun(allocation, monkeypatch, family, words):
    monkeypatch.setattr(mpi, "library", lambda: mpi.Library(family, "", None))
    assert lines.launcher_words() == ["srun", "--overlap", "--nodes=1", "--relative=0", "--quit-on-interrupt", *words]


def test_inside_an_allocation_open_mpi_starts_its_ranks_itself(allocation, monkeypatch):
    monkeypatch.setattr(mpi, "library", lambda: mpi.Library("Open MPI", "", None))
    assert lines.launcher_words()[:2] == [str(allocation / "mpiexec"), "--oversubscribe"]


def test_programs_beside_this_python_are_found_first(tmp_path, monkeypatch):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lines.find_program(["python"], tmp_path) == str(Path(sys.executable).parent / "python")
    assert lines.find_program(["./python"], tmp_path) == str(other)
    assert lines.find_program(["./nothing"], tmp_path) is None


def test_check_finds_what_cannot_start(cli):
    cli.write("w.yaml", "workflow: w\ncomponents: {a: {run: no-such-program}, b: {run: ./w.yaml}}")
    found = cli.json("check", "w.yaml")
    assert not found["ok"]
    assert found["problems"][0].startswith("w.yaml:2:23: components.a.run: program 'no-such-program' is not found on PATH")
    assert found["problems"][1].startswith("w.yaml:2:50: components.b.run: program './w.yaml' is not found, or may not be executed")


def test_check_says_what_could_start(cli):
    cli.write("w.yaml", "workflow: w\ncomponents: {a: {run: python x.py, processes: 3}}")
    done = cli("check", "w.yaml")
    assert (done.returncode, done.stdout) == (0, "w.yaml: workflow w can start here: a (3)\n")


def test_check_of_a_wrong_file_is_one_text_and_exit_code_1(cli):
    cli.write("w.yaml", "workflow: w\ncomponents: {a: {rum: x}}")
    done = cli("check", "w.yaml")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "w.yaml:2:18: components.a.rum: unknown key; did you mean 'run'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pool_larger_than_the_machine_is_refused(cli):
    cli.write("w.yaml", "workflow: w\npool: {memory: 900TiB}\ncomponents: {a: {run: python x.py}}")
    assert cli.json("check", "w.yaml")["problems"][0].startswith("w.yaml:2:16: pool.memory: 900.0TiB is more than")


def check(cli, components, schema="mars"):
    cli.write("w.yaml", f"workflow: w\npool: {{schema: {schema}}}\ncomponents:\n{components}")
    found = cli.json("check", "w.yaml")
    return tuple([text.splitlines()[0].removeprefix("w.yaml:") for text in found[kind]] for kind in ("problems", "warnings"))


PRODUCER = "  a: {run: python x.py, offers: {param: t/u/q, step: 0/to/12/by/6, levtype: pl}}\n"


def test_a_consumer_without_producer_is_an_error(cli):
    errors, _ = check(cli, PRODUCER + "  b: {run: python x.py, consumes: [param = t, {param: u, levtype: sfc}]}\n")
    assert errors == ["5:47: components.b.consumes.1: no component offers what b consumes here"]


def test_a_consumer_of_what_may_be_offered_is_a_warning(cli):
    errors, warnings = check(cli, PRODUCER + "  b: {run: python x.py, consumes: step = 24}\n  c: {run: python x.py}\n")
    assert errors == []
    assert warnings == ["5:35: components.b.consumes: no component offers what b consumes here; c may, but does not say what it offers"]


def test_values_that_nobody_uses_are_named(cli):
    errors, warnings = check(cli, PRODUCER + "  b: {run: python x.py, consumes: 'param in (t, q) and step <= 6'}\n")
    assert errors == []
    assert sorted(warnings) == [
        "4:33: components.a.offers: no component consumes param = u",
        "4:33: components.a.offers: no component consumes step = 12",
    ]


def test_an_offer_that_nobody_uses_is_named(cli):
    other = "  b: {run: python x.py, offers: [{param: z}], consumes: 'param in (t, u, q)'}\n"
    assert check(cli, PRODUCER + other) == ([], ["5:34: components.b.offers.0: no component consumes anything of what b offers here"])


def test_members_of_a_group_consume_the_same(cli):
    errors, _ = check(
        cli, PRODUCER + "  b: {run: python x.py, consumes: param = t, group: g}\n  c: {run: python x.py, consumes: param = u, group: g}\n"
    )
    assert errors == ["6:53: components.c.group: group 'g' has another selector in component b; members of a group consume the same"]


def test_a_component_may_have_several_schemas(cli):
    (cli.folder / "own.yaml").write_text("schema: own\nversion: 1\nattributes: {title: {type: string}}\n")
    b = "  b: {run: python x.py, schema: [mars, own.yaml], consumes: 'param in (t, u, q)', offers: title = x}\n"
    errors, warnings = check(cli, PRODUCER + b + "  c: {run: python x.py, schema: own.yaml, consumes: title like 'x*'}\n")
    assert (errors, warnings) == ([], [])
    errors, _ = check(cli, PRODUCER + b + "  c: {run: python x.py, consumes: title = x}\n")
    assert errors[0].startswith("6:35: components.c.consumes: selector, character 1: ")


def test_more_cores_or_memory_than_there_are_is_an_error(cli):
    errors, _ = check(cli, "  a: {run: python x.py, processes: 3, resources: {cores: 400, memory: 400TiB}}\n")
    assert errors[0].startswith("4:58: components.a.resources.cores: with this one the components need 1200 cores, and ")
    assert errors[1].startswith("4:71: components.a.resources.memory: 1.2PiB is more than this machine's ")


def test_warnings_do_not_fail_and_are_told_as_such(cli):
    cli.write("w.yaml", "workflow: w\npool: {schema: mars}\ncomponents:\n" + PRODUCER + "  b: {run: python x.py, consumes: param = t}\n")
    done = cli("check", "w.yaml")
    assert done.returncode == 0
    assert done.stdout == "w.yaml: workflow w can start here: a (1), b (1)\n"
    assert done.stderr.startswith("warning: w.yaml:4:33: components.a.offers: no component consumes param = q, u\n")
