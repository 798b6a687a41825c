"""Ctrl-C ends every wait at once, and what was waited for goes on in good order afterwards; other signals disturb no wait."""

import signal
import time

import pytest
from poolside import takes_less_than

import maestro

# Each wait would take a minute; PREPARE makes what it needs. The program prints the wait's name when it begins, and when Ctrl-C ended it.
PREPARE = """
s = Session("waiter", schema="mars", timeout=60)
sub = s.subscribe("param = t")
own = s.offer(b"x", param="t", step=0); own.wait()
lease = s.demand("step = 0")
request = s.demand_start("step = 99")
block = np.ones(2 << 20)
def fill():
    keep = []
    while True:
        cdo = s.cdo(param="fill", step=len(keep))
        keep.append((cdo, cdo.empty(16 << 20)))
"""
WAITS = {
    "demand": "s.demand('step = 99')",
    "request": "request.wait()",
    "request, short of its time": "request.wait(30)",
    "next": "[sub.next() for _ in range(2)]",
    "iteration": "for _ in sub: pass",
    "events": "for _ in sub.events(): pass",
    "next_many": "sub.next_many(10)",
    "next_columns": "sub.next_columns(10, ['step'])",
    "query of another subscription": "next(s.subscribe('step = 99'))",
    "withdraw": "own.withdraw()",
    "withdraw consumed": "lease2 = s.offer(b'x', param='t', step=1).withdraw('consumed')",
    "withdraw by selector": "s.withdraw('param = t')",
    "alloc in a full pool": "fill()",
    "offer in a full pool": "for step in range(99): s.offer(block, param='full', step=step)",
    "offer_many in a full pool": "s.offer_many([block] * 99, param='many', step=range(99))",
}
LOOP = """
for name, wait in WAITS.items():
    print(name)
    try:
        exec(compile(wait, name, "exec"))  # of a text, CPython would take the KeyboardInterrupt for the program's own end
    except KeyboardInterrupt:
        print("interrupted", name)
    except Exception as error:
        print(type(error).__name__, error)
print("left", s.count("step = 0 and param = t"))
"""


def interrupt_each(program, waits, delay=0.15):
    for name in waits:
        program.expect(name)
        time.sleep(delay)
        program.process.send_signal(signal.SIGINT)
        with takes_less_than(2):
            program.expect(f"interrupted {name}")


def test_ctrl_c_ends_every_wait(pool):
    pool.set(MAESTRO_POOL_MEMORY="128MiB")
    program = pool.program(f"WAITS = {WAITS!r}{PREPARE}{LOOP}")
    interrupt_each(program, WAITS)
    program.expect("left 0")  # the withdrawals were begun, and stay so
    assert program.process.wait(10) == 0


STOPPED = {
    "flush": "s.flush()",
    "wait for an offer": "s.offer(b'x', param='t', step=5).wait()",
    "count": "s.count()",
    "stats": "s.stats()",
    "subscribe": "s.subscribe(hold=True)",
    "offers that nobody takes": "s.offer_many(param='t', step=range(100, 100_000))",
    "opening": "Session('second')",
    "closing": "s.close()",
}


def test_ctrl_c_ends_waits_for_a_manager_that_is_stopped(pool):
    program = pool.program(f"WAITS = {STOPPED!r}{PREPARE}\nprint('ready'); sys.stdin.readline()\n{LOOP}")
    program.expect("ready")
    pool.kill_manager(signal.SIGSTOP)
    try:
        program.say()
        interrupt_each(program, STOPPED)
    finally:
        pool.kill_manager(signal.SIGCONT)
    program.process.communicate(timeout=20)


def test_stats_of_a_manager_that_is_stopped_end_in_time_and_late_answers_are_thrown_away(pool):
    session = pool.session()
    session.stats()
    pool.kill_manager(signal.SIGSTOP)
    try:
        with takes_less_than(0.8), pytest.raises(maestro.TimeoutError, match="stopped"):
            session.stats(timeout=0.3)
        with takes_less_than(2.0), pytest.raises(maestro.TimeoutError, match="stopped"):
            session.stats(timeout=1.3)
    finally:
        pool.kill_manager(signal.SIGCONT)
    session.offer(b"x", param="t", step=0).wait()
    assert session.stats()["objects"]["live"] == 1


def test_interrupted_subscribe_leaves_no_subscription_that_holds_offers(pool):
    keeper = pool.session("keeper")
    program = pool.program("""
        s = Session("waiter", schema="mars", timeout=60)
        print("ready")
        sys.stdin.readline()
        print("subscribes")
        try:
            s.subscribe(hold=True)
        except KeyboardInterrupt:
            print("interrupted")
        sys.stdin.readline()
    """)
    keeper.offer(b"x", param="t", step=0).wait()
    program.expect("ready")
    pool.kill_manager(signal.SIGSTOP)
    try:
        program.say()
        program.expect("subscribes")
        time.sleep(0.15)
        program.process.send_signal(signal.SIGINT)
        program.expect("interrupted")
    finally:
        pool.kill_manager(signal.SIGCONT)
    stats = keeper.stats()
    assert not any(one["subscriptions"] for one in stats["sessions"])
    assert stats["leases"]["live"] == 0
    program.say()
    assert program.end() == ""


def test_frequent_signals_do_not_keep_a_session_from_opening(pool):
    program = pool.program("""
        import signal
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        Session("first").close()
        signal.setitimer(signal.ITIMER_REAL, 0)  # at its end Python gives up its handlers
        print("opened")
    """)
    assert program.end() == "opened\n"


def test_other_signals_do_not_end_a_wait(pool):
    """A handler that returns: the wait goes on, and takes as long as it should."""
    program = pool.program("""
        import signal, time
        seen = []
        signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        s = Session("waiter", schema="mars")
        sub = s.subscribe()
        begin = time.monotonic()
        try:
            s.demand("step = 99", timeout=0.5)
        except TimeoutError:
            print("timeout", 0.5 <= time.monotonic() - begin < 0.8)
        print(sub.next(timeout=0.3))
        s.offer_many(np.ones((100, 100_000)), param="t", step=range(100))
        s.flush()
        print(s.count(), len(seen) > 10)
        s.close()
        signal.setitimer(signal.ITIMER_REAL, 0)  # at its end Python gives up its handlers
    """)
    assert program.end() == "timeout True\nNone\n100 True\n"


@pytest.mark.parametrize("number", range(5))
def test_ctrl_c_at_any_moment_leaves_the_pool_in_order(pool, number):
    keeper = pool.session("keeper")
    program = pool.program("""
        print("go")
        try:
            with Session("busy", schema="mars") as s:
                step = 0
                while True:
                    with s.cdo(param="t", step=step) as cdo:
                        cdo.empty(1000, "f8")[:] = step
                        cdo.offer()
                    assert (s.demand({"step": step}).array() == step).all()
                    step += 1
        except KeyboardInterrupt:
            print("interrupted")
    """)
    program.expect("go")
    time.sleep(0.25 + 0.013 * number)
    program.process.send_signal(signal.SIGINT)
    with takes_less_than(3):
        program.expect("interrupted")
        assert program.process.wait(3) == 0
    assert all((cdo.array() == cdo["step"]).all() for cdo in keeper.query())
    assert keeper.stats()["sessions"][0]["component"] == "keeper"


def test_waits_end_in_time_though_a_ticker_ends_them_again_and_again(pool):
    pool.set(MAESTRO_POOL_MEMORY="32MiB")
    program = pool.program("""
        import signal, time
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        s = Session("ticked", schema="mars", timeout=0.5)
        keep = []
        def fill():
            while True:
                keep.append(s.cdo(param="t", step=len(keep)))
                keep[-1].empty(4 << 20)
        def fill_many():
            s.offer_many([np.ones(1 << 19)] * 20, param="u", step=range(20))
        for wait in (fill, fill_many):
            begin = time.monotonic()
            try:
                wait()
            except maestro.MaestroError as error:
                print(time.monotonic() - begin < 2, isinstance(error.offered, int) if wait is fill_many else "")
        signal.setitimer(signal.ITIMER_REAL, 0)  # at its end Python gives up its handlers
    """)
    assert program.end() == "True \nTrue True\n"


def test_a_look_without_a_wait_is_none_though_signals_come(pool):
    program = pool.program("""
        import signal, time
        signal.signal(signal.SIGALRM, lambda *_: None)
        s = Session("ticked", schema="mars")
        events = s.subscribe("param = t")
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        end, found = time.monotonic() + 1, 0
        while time.monotonic() < end:
            found += events.next(timeout=0) is not None
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(found)
    """)
    assert program.end() == "0\n"


def test_an_allocation_that_a_signal_interrupts_goes_on_with_the_time_that_was_left(pool):
    pool.set(MAESTRO_POOL_MEMORY="32MiB")
    program = pool.program("""
        import signal, time
        signal.signal(signal.SIGALRM, lambda *_: None)
        s = Session("ticked", schema="mars", timeout=2)
        keep = []
        begin = time.monotonic()
        try:
            while True:
                keep.append(s.cdo(param="t", step=len(keep)))
                begin = time.monotonic()
                signal.setitimer(signal.ITIMER_REAL, 1.5)  # once, late
                keep[-1].empty(4 << 20)
        except maestro.MemoryError:
            print(f"{time.monotonic() - begin:.0f} s")
    """)
    assert program.end() == "2 s\n"
