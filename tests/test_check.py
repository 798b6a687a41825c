"""MAESTRO_CHECK from Python: who writes to an object after its offer, by a view that is older than it, is caught."""

import signal

import numpy as np
import pytest
from poolside import raises

import maestro

CULPRIT = """
    import faulthandler
    faulthandler.enable()
    session = Session(component="culprit", schema="mars")
    field = session.cdo(param="t", step=1)
    values = field.empty(1000, "f8")
    values[:] = 1
    older = values[:500]  # what was taken before the offer stays writable in Python
    field.offer(wait=True)
    print("offered")
    sys.stdin.readline()
    older[3] = 7  # the culprit's line
    print("wrote")
    sys.stdin.readline()
    session.close()
"""


def test_without_a_mode_nothing_tells(pool):
    culprit = pool.program(CULPRIT)
    culprit.expect("offered")
    culprit.say()
    culprit.expect("wrote")
    with pool.session("reader").demand("param = t") as cdo:
        assert "maestro.checksum" not in cdo
        assert cdo.array()[3] == 7
    culprit.say()
    culprit.end()


def test_pages_end_the_culprit_at_its_line(pool):
    culprit = pool.program(CULPRIT, MAESTRO_CHECK="pages")
    culprit.expect("offered")
    with pool.session("reader").demand("param = t") as cdo:
        _, told = culprit.process.communicate("\n", timeout=20)
        assert culprit.process.returncode == -signal.SIGSEGV
        number = next(i for i, line in enumerate(CULPRIT.splitlines()) if "culprit's line" in line)
        assert f'File "<string>", line {number + 3} in <module>' in told
        assert (cdo.array() == 1).all()


def test_sums_name_object_and_offerer_to_who_reads(pool):
    pool.set(MAESTRO_CHECK="sums")
    culprit = pool.program(CULPRIT)
    culprit.expect("offered")
    reader = pool.session("reader")
    with reader.demand("param = t") as before:
        values = before.array()
        assert (values == 1).all()
        culprit.say()
        culprit.expect("wrote")
    with reader.demand("param = t") as cdo:
        for read in (cdo.array, lambda: bytes(cdo), lambda: cdo.nbytes):
            with raises(maestro.CorruptError, "param=t step=1", "component culprit rank 0 offered", "MAESTRO_CHECK=pages"):
                read()
        assert "param=t" in repr(cdo)
    culprit.say()
    culprit.end()


def test_sums_tell_the_producer_at_withdraw_and_dispose(pool):
    pool.set(MAESTRO_CHECK="sums")
    session = pool.session("model")
    for end in ("withdraw", "dispose"):
        field = session.cdo(param="t", step=["withdraw", "dispose"].index(end))
        values = field.empty(10, "f8")
        values[:] = 1
        older = values[:]
        field.offer()
        older[0] = 2
        del values, older
        with raises(maestro.CorruptError, f"{end} expver=0001 param=t", "component model rank 0"):
            getattr(field, end)()


@pytest.mark.parametrize("mode", ["pages", "sums", "pages,sums"])
def test_well_behaved_programs_see_no_difference(pool, mode):
    pool.set(MAESTRO_CHECK=mode)
    producer, consumer = pool.session("producer"), pool.session("consumer")
    for round_number in range(3):
        cdos = []
        for step in range(20):
            field = producer.cdo(param="t", step=step)
            field.empty(step * 100, "f8")[:] = step + round_number
            field.offer()
            cdos.append(field)
        producer.offer_many(np.ones((5, 10)), param="u", step=range(5))
        producer.offer(b"wrapped", param="v", step=1)
        again = producer.cdo(cdos[0], step=50)
        again.empty(5, "f8")[:] = np.arange(5.0)
        again.offer()
        producer.flush()
        for cdo in consumer.query("param = t"):
            with cdo:
                if cdo["step"] < 50:
                    np.testing.assert_array_equal(cdo.array(), np.full(cdo["step"] * 100, cdo["step"] + round_number))
        assert bytes(consumer.demand("param = v")) == b"wrapped"
        assert (consumer.demand("step = 50").array() == np.arange(5.0)).all()
        assert (consumer.demand("param = u and step = 2").array() == 1).all()
        for cdo in cdos:
            cdo.withdraw()
            cdo.dispose()
        producer.withdraw("param in (t, u, v)", timeout=5)


def test_an_unknown_mode_is_refused(pool):
    pool.set(MAESTRO_CHECK="sum")
    with raises(maestro.ArgumentError, 'MAESTRO_CHECK is "sum"', "pages,sums"):
        pool.session()
