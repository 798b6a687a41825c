"""Sessions: opening, names and defaults, what closing means, the end of the program."""

import gc
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from poolside import managers, raises, within

import maestro


# ---- Opening
def test_first_session_starts_the_manager_and_it_leaves_after_the_last(pool):
    assert managers(pool.folder) == []
    first, second = pool.session("first"), pool.session("second")
    pid = pool.manager()
    first.close()
    assert managers(pool.folder) == [pid]
    second.close()
    within(2, lambda: not managers(pool.folder), "the manager's leaving")
    assert not pool.socket.exists()


def test_manager_that_left_is_started_again(pool):
    pool.session().close()
    within(2, lambda: not managers(pool.folder))
    with pool.session() as session:
        assert session.count() == 0


def test_start_pool_false_says_how_to_start_one(pool):
    with raises(maestro.PoolStartError, "no pool default", "maestro pool start"):
        pool.session(start_pool=False)
    pool.session()
    pool.session(start_pool=False)


def test_missing_manager_executable_is_named(pool):
    pool.set(MAESTRO_MANAGER="/nowhere/maestro-pool")
    with raises(OSError, "/nowhere/maestro-pool", "MAESTRO_MANAGER"):
        pool.session()


def test_manager_that_ends_at_once_is_told_with_its_code(pool):
    pool.set(MAESTRO_MANAGER="/bin/false")
    with raises(maestro.PoolStartError, "/bin/false: it ended with code 1"):
        pool.session()


def test_pools_of_two_names_do_not_meet(pool):
    one, other = pool.session(pool="one"), pool.session(pool="other")
    one.offer(b"x", param="t", step=0)
    one.flush()
    assert (one.count(), other.count()) == (1, 0)
    assert len(managers(pool.folder)) == 2


@pytest.mark.parametrize("name", ["", ".hidden", "white space", "x" * 64])
def test_bad_pool_name_is_an_argument_error(pool, name):
    with raises(ValueError, "pool name"):
        pool.session(pool=name or " ")


def test_pool_may_be_the_path_of_a_socket(pool):
    path = os.path.join(pool.folder, "by.sock")
    with pool.session(pool=path) as session:
        assert session.pool == path
        assert os.path.exists(path)


@pytest.mark.parametrize("wrong", [{"component": "x" * 64}, {"component": "a\0b"}])
def test_bad_component_is_named(pool, wrong):
    with raises(ValueError, "component"):
        pool.session(**wrong)


def test_directory_that_others_may_enter_is_refused_with_the_remedy(pool):
    os.chmod(pool.folder, 0o755)
    with raises(maestro.RefusedError, f"chmod 700 {pool.folder}"):
        pool.session()


def test_path_too_long_for_a_socket_is_named(pool, tmp_path):
    pool.set(MAESTRO_DIR=tmp_path / ("x" * 80))
    (tmp_path / ("x" * 80)).mkdir(mode=0o700)
    with raises(OSError, "MAESTRO_DIR"):
        pool.session()


# ---- Names and defaults
def test_names_come_from_arguments_then_environment_then_script(pool):
    assert repr(pool.session("model", rank=3)) == "<maestro.Session model[3] pool default>"
    pool.set(MAESTRO_COMPONENT="from-environment", MAESTRO_RANK="2")
    session = maestro.Session()
    pool.opened.append(session)
    assert (session.component, session.rank) == ("from-environment", 2)
    (told,) = [s for s in session.stats()["sessions"] if s["session"] == 2]
    assert (told["component"], told["rank"]) == ("from-environment", 2)


def test_script_gives_the_component_its_name(pool, tmp_path):
    script = tmp_path / "my_model.py"
    script.write_text("import maestro\nwith maestro.Session() as s: print(s.component, s.stats()['sessions'][0]['component'])\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "my_model my_model\n"


def test_timeout_comes_from_the_environment(pool):
    pool.set(MAESTRO_TIMEOUT_S="0.3")
    with maestro.Session() as session:
        assert session.timeout == 0.3
        with raises(TimeoutError, "nobody", seconds=1):
            session.demand("maestro.name = nobody")


def test_unknown_setting_is_warned_of_with_the_nearest(pool):
    program = pool.program("Session().close()", MAESTRO_POOL_MEMROY="1GiB")
    _, err = program.process.communicate(timeout=20)
    assert "MAESTRO_POOL_MEMROY is unknown; did you mean MAESTRO_POOL_MEMORY" in err


SCHEMAS = {
    "schema: x\nversion: 1\nattributes:\n  a: {type: i65}\n": (":4:13", "i65", "i64"),
    "schema: x\nversion: 1\nattributes:\n  a: {tipe: i64}\n": (":4:7", "tipe", "type"),
    "schema: x\nversion: 1\nattributes:\n  a: {type: i64\n": (":5:1",),
    "- 1\n": (":1:1",),
}


@pytest.mark.parametrize("text", SCHEMAS)
def test_mistake_in_a_schema_is_told_with_file_line_and_column(pool, tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with raises(maestro.SchemaError, *(f"{path}{word}" if word.startswith(":") else word for word in SCHEMAS[text])):
        pool.session(schema=path)
    assert managers(pool.folder) == []  # found before anything starts


def test_missing_schema_file_is_named(pool, tmp_path):
    with raises(maestro.SystemError, f"{tmp_path}/none.yaml", "No such file"):
        pool.session(schema=tmp_path / "none.yaml")


def test_schema_of_the_same_name_and_other_content_is_refused_with_the_difference(pool, tmp_path):
    for kind in ("i64", "f64"):
        (tmp_path / f"{kind}.yaml").write_text(f"schema: own\nversion: 1\nattributes:\n  a: {{type: {kind}}}\n")
    first = pool.session(schema=tmp_path / "i64.yaml")
    with raises(maestro.RefusedError, "own", "differs", "a"):
        pool.session(schema=tmp_path / "f64.yaml")
    first.offer(b"x", a=1).wait()


def test_schema_lists_attributes_with_types(pool):
    schema = pool.session().schema
    assert schema["name"] == "mars"
    known = {attribute["name"]: attribute for attribute in schema["attributes"]}
    assert (known["step"]["type"], known["levelist"]["type"], known["maestro.time"]["type"]) == ("i64", "f64", "timestamp")
    assert known["param"]["doc"]


def test_later_session_takes_over_the_pools_schema(pool):
    pool.session(schema="mars")
    assert pool.session(schema=None).schema["name"] == "mars"


def test_stats_count_what_happened(pool):
    session = pool.session()
    session.offer(np.zeros(1000), param="t", step=0)
    session.offer(b"", param="t", step=1)
    lease = session.demand("step = 0")
    stats = session.stats()
    assert stats["objects"]["live"] == 2
    assert stats["objects"]["bytes_total"] == 8000
    assert stats["objects"]["copied_total"] == 1
    assert stats["leases"]["live"] == 1
    assert stats["memory"]["limit"] == 512 << 20
    (own,) = stats["sessions"]
    assert (own["offers"], own["demands"], own["leases"], own["pid"]) == (2, 1, 1, os.getpid())
    lease.dispose()
    within(1, lambda: session.stats()["leases"]["live"] == 0)


# ---- What goes wrong outside
def test_stale_socket_is_replaced(pool):
    first = pool.session()
    pool.kill_manager()
    with raises(maestro.PoolLostError, "is gone"):
        first.flush()
    assert pool.socket.exists()
    with pool.session() as session:
        assert session.count() == 0


def test_other_things_in_the_sockets_place_are_left_alone(pool):
    with pool.session():
        path = pool.socket
    within(2, lambda: not managers(pool.folder))
    path.write_text("no socket")
    with raises(maestro.ArgumentError, str(path), "is no socket"):
        pool.session()
    assert path.read_text() == "no socket"


def test_a_file_given_as_pool_is_left_alone(pool, tmp_path):
    (tmp_path / "forecast.grib").write_text("GRIB")
    with raises(maestro.ArgumentError, "forecast.grib is no socket"):
        pool.session(pool=str(tmp_path / "forecast.grib"))
    assert (tmp_path / "forecast.grib").read_text() == "GRIB"


def test_relative_path_of_a_pool_is_cleaned_up(pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pool.session(pool="./mine.sock"):
        assert (tmp_path / "mine.sock").is_socket()
    within(2, lambda: not (tmp_path / "mine.sock").exists())


def test_late_answer_is_not_taken_for_that_of_the_next_question(pool):
    producer, consumer = pool.session("producer"), pool.session("consumer")
    producer.offer(np.arange(1000.0), param="t", step=0).wait()
    pool.kill_manager(signal.SIGSTOP)
    try:
        with raises(maestro.TimeoutError, "stopped", seconds=3):
            consumer.stats(timeout=1)
    finally:
        pool.kill_manager(signal.SIGCONT)
    assert (consumer.demand("step = 0").array() == np.arange(1000.0)).all()  # its memory is asked for on the same socket
    assert consumer.stats()["objects"]["live"] == 1


def test_manager_without_descriptors_turns_sessions_away_and_serves_the_others(pool):
    pool.set(MAESTRO_MANAGER=few_files(pool, 40))
    sessions = [pool.session(f"s{i}") for i in range(4)]
    with raises(maestro.MaestroError, "open files", seconds=5):
        while len(sessions) < 20:
            sessions.append(pool.session(f"more{len(sessions)}", timeout=1))
    sessions[0].offer(param="t", step=0).wait()
    assert sessions[1].demand("step = 0")["param"] == "t"
    for session in sessions[4:]:
        session.close()
    within(2, lambda: len(sessions[0].stats()["sessions"]) == 4, "their end")
    assert pool.session("later").count() == 1


def few_files(pool, number):
    """A manager with a low limit of open files."""
    program = Path(maestro.__file__).parent / "_bin/maestro-pool"
    script = Path(pool.folder) / "few"
    script.write_text(f'#!/bin/sh\nulimit -n {number}\nexec {program} "$@"\n')
    script.chmod(0o700)
    return script


def test_client_without_descriptors_says_so_and_goes_on(pool):
    session = pool.session()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))  # one is left, where a subscription needs two
    try:
        with raises(maestro.MaestroError, "open files"):
            session.subscribe()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    session.flush()  # what ends a subscription goes with the next message
    assert session.stats()["sessions"][0]["subscriptions"] == []
    subscriptions = [session.subscribe() for _ in range(3)]
    assert len(subscriptions) == 3


def test_use_in_a_forked_child_is_an_error_and_leaves_the_parent_alone(pool):
    program = pool.program("""
        import os
        s = Session("parent", schema="mars")
        cdo, sub, request = s.offer(b"x", param="t", step=0), s.subscribe(), s.demand_start("step = 9")
        uses = [s.flush, s.count, s.stats, s.subscribe, lambda: s.cdo(param="t"), lambda: s.offer(b"", param="t", step=1), cdo.wait,
                cdo.withdraw, sub.next, request.test, lambda: s.offer_many(param="t", step=[5]), s.close]
        if os.fork() == 0:
            told = []
            for use in uses:
                try:
                    use()
                except maestro.ForkedError as error:
                    told.append("parent process" in str(error))
            own = Session("child", schema="mars")
            print(told == [True] * len(uses), own.count(), flush=True)
            own.close()
            sys.exit()
        os.wait()
        print(s.count(), sub.next()["step"], bytes(s.demand("step = 0")))
        s.close()
    """)
    assert program.end() == "True 1\n1 0 b'x'\n"


def test_info_needs_no_session():
    info = maestro.info()
    assert info["machine"]["cores"] >= 1
    assert info["memory"]["pool_default"] > 0


# ---- Closing
def test_every_use_after_close_is_a_closed_error(pool):
    session = pool.session()
    cdo = session.offer(b"x", param="t", step=0)
    declared, subscription, request = session.cdo(param="t", step=1), session.subscribe(), session.demand_start("step = 7")
    session.close()
    assert session.closed
    for use in (
        session.flush, session.stats, session.count, session.subscribe, session.cdo, lambda: session.offer(b"", param="t", step=2),
        lambda: session.offer_many(param="t", step=[1, 2]), lambda: session.demand("step = 0"), lambda: list(session.query()),
        lambda: session.withdraw("step = 0"), lambda: session.schema, lambda: session.demand_start("step = 0"), cdo.array, cdo.wait,
        cdo.withdraw, lambda: bytes(cdo), declared.offer, lambda: declared.empty(3), subscription.next, lambda: list(subscription),
        lambda: subscription.next_many(3), subscription.fileno, request.wait, request.test,
    ):  # fmt: skip
        with raises(maestro.ClosedError, "closed", seconds=1):
            use()
    session.close()  # closing again does nothing
    assert "closed" in repr(session)


def test_disposal_after_close_is_fine(pool):
    session = pool.session()
    with session.offer(b"x", param="t", step=0), session.subscribe() as subscription, session.demand_start("step = 7"):
        assert subscription.next(1)
        session.close()


def test_views_outlive_the_session(pool):
    session = pool.session()
    session.offer(np.arange(1e6), param="t", step=0)
    array = session.demand("step = 0").array()
    view = memoryview(session.demand("step = 0"))
    session.close()
    gc.collect()
    assert array[-1] == 999999
    assert view.nbytes == 8_000_000
    other = pool.session("other")
    assert other.stats()["leases"]["live"] == 2  # the connection stays while they live
    del array
    view.release()
    gc.collect()
    within(1, lambda: len(other.stats()["sessions"]) == 1, "the end of the connection")
    assert other.stats()["leases"]["live"] == 0


def test_objects_stay_after_their_producer_closed(pool):
    consumer = pool.session("consumer")
    with pool.session("producer") as producer:
        producer.offer(b"stays", param="t", step=0)
    assert bytes(consumer.demand("step = 0")) == b"stays"


def test_close_tells_what_was_refused(pool):
    session = pool.session()
    for _ in range(3):
        session.offer(b"x", param="t", step=0)
    with raises(maestro.DuplicateError, "2 offers were refused"):
        session.close()
    assert session.closed


def test_error_in_the_block_is_not_hidden_by_that_of_close(pool):
    def fail():
        with pool.session() as session:
            session.offer(b"x", param="t", step=0)
            session.offer(b"x", param="t", step=0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert "DuplicateError" in caught.value.__notes__[0]


def test_forgotten_session_warns_and_closes(pool):
    pool.session("watcher")
    with pytest.warns(ResourceWarning, match=r"forgetful.*never closed"):
        maestro.Session("forgetful")
    assert [s["component"] for s in pool.session().stats()["sessions"]] == ["watcher", "tester"]


def test_session_left_open_at_the_programs_end_is_flushed_and_refusals_are_told(pool):
    keeper = pool.session("keeper")
    program = pool.program("s = Session(schema='mars')\nfor _ in range(2): s.offer(b'x', param='t', step=0)\n")
    _, err = program.process.communicate(timeout=20)
    assert "DuplicateError" in err
    assert keeper.count("param = t") == 1
