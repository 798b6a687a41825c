"""Random operations of several processes, held against a model of the pool: what the pool answers is what the model says.

One process at a time does something, so that the model knows the order; what the pool does by itself in between (leases that come back,
shares of consumer groups) is checked where it must show: each object once in each group, marked when it comes again, nothing left at the
end.  MODEL_OPERATIONS says how many (default 6,000; a million are some minutes).
"""

import multiprocessing
import os
import random

import pytest
from poolside import within

import maestro

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", "6000"))
PROCESSES, KEYS, AT_ONCE = 4, 12, 40
YAML = """
schema: model
attributes:
  key:  {type: i64, required: true, identity: true}
  mark: {type: i64, required: true}
"""


# ---- What a process does when it is told
class Actor:
    """One session; every method is an operation, its result what the model is held against."""

    def __init__(self, name, schema):
        self.session = maestro.Session(component=name, schema=schema, timeout=20)
        self.own, self.leases, self.subscriptions, self.requests = {}, {}, {}, []

    def offer(self, key, mark, life):
        cdo = self.session.offer(f"{key} {mark}".encode(), life, key=key, mark=mark)
        try:
            self.session.flush()
        except maestro.DuplicateError:
            return "duplicate"
        self.own[mark] = cdo
        return "offered"

    def withdraw(self, mark):
        try:
            request = self.own.pop(mark).withdraw_start()
            self.session.count()
            request.test()
        except maestro.WithdrawnError:
            return "gone"
        self.requests.append(request)
        return "withdrawn"

    def demand(self, key, number):
        try:
            cdo = self.session.demand({"key": key}, timeout=0)
        except maestro.TimeoutError:
            return None
        except maestro.NotUniqueError:
            return "several"
        self.leases[number] = cdo
        return seen(cdo)

    def look(self, number):
        return seen(self.leases[number])

    def dispose(self, number):
        self.leases.pop(number).dispose()

    def count(self, key):
        return self.session.count({"key": key} if key is not None else None)

    def query(self):
        """A look is no reading."""
        found = []
        for cdo in self.session.query():
            found.append(seen(cdo))
            cdo.reject()
        return sorted(found)

    def abandon(self, key):
        """Declares and fills an object, and gives it up."""
        with self.session.cdo(key=key, mark=0) as cdo:
            cdo.empty(100)[:] = 0

    def subscribe(self, number, group):
        options = {"group": group} if group else {"kinds": "offered,withdrawn,expired"}
        self.subscriptions[number] = self.session.subscribe(**options)
        self.sync()  # the snapshot is taken in slices: what ends before its slice comes is not in it

    def unsubscribe(self, number):
        self.subscriptions.pop(number).dispose()

    def events(self, number, count):
        """As many as there must be, which may be on their way, and all others that are there; read when all have come."""
        events, told = [], []
        while (event := self.subscriptions[number].next(timeout=5 if len(events) < count else 0)) is not None:
            events.append(event)
        for event in events:
            told.append((event.kind, event.cdo["mark"], bytes(event.cdo) if event.kind == "offered" else None))
            event.cdo.dispose()
        return told

    def share(self, number, most, reject):
        """Takes some and acknowledges or rejects them."""
        taken = []
        while len(taken) < most and (cdo := self.subscriptions[number].next(timeout=0)) is not None:
            taken.append((cdo["mark"], cdo.redelivered, bytes(cdo)))
            cdo.reject() if reject else cdo.dispose()
        return taken

    def sync(self):
        """What was done before has been taken in by the manager: it looks at leases that came back before it looks at questions."""
        for _ in range(2):
            self.session.count()

    def end(self):
        """Gives up all leases and subscriptions; withdrawals that waited for others' are done then."""
        for cdo in self.leases.values():
            cdo.dispose()
        for subscription in self.subscriptions.values():
            subscription.dispose()
        self.leases, self.subscriptions = {}, {}
        self.session.count()

    def settle(self):
        for request in self.requests:
            request.wait(10)
        self.requests = []


def seen(cdo):
    return cdo["mark"], bytes(cdo)


def serve(pipe, name, schema):
    actor = Actor(name, schema)
    try:
        while (call := pipe.recv()) is not None:
            try:
                pipe.send((True, getattr(actor, call[0])(*call[1:])))
            except Exception as error:
                pipe.send((False, f"{call}: {type(error).__name__}: {error}"))
        actor.session.close()
    finally:
        pipe.close()
        os._exit(0)


# ---- The model
WEIGHTS = {
    "offer": 30, "withdraw": 12, "demand": 12, "look": 4, "dispose": 10, "count": 4, "query": 2, "subscribe": 2, "unsubscribe": 1,
    "events": 5, "share": 10, "abandon": 2,
}  # fmt: skip


class Model:
    """What must be: live objects by owner and key; what each subscription has still to tell; what each group has still to give out."""

    def __init__(self, chance, call, versions):
        self.chance, self.call, self.versions = chance, call, versions
        self.live = {}  # (owner, key) -> mark
        self.key_of, self.number = {}, 0
        self.demands = {}  # mark -> how often it may still be read
        self.own = [[] for _ in range(PROCESSES)]
        self.leases = [{} for _ in range(PROCESSES)]  # number -> mark
        self.plain, self.members, self.groups = {}, {}, {}

    def fresh(self):
        self.number += 1
        return self.number

    def bytes_of(self, mark):
        return f"{self.key_of[mark]} {mark}".encode()

    def tell(self, kind, mark):
        for expected in self.plain.values():
            expected.append((kind, mark, self.bytes_of(mark) if kind == "offered" else None))
        for group in self.groups.values():
            if kind == "offered":
                group["to come"].add(mark)
            else:
                group["may be missing"].add(mark)

    def drop(self, identity, kind):
        self.tell(kind, self.live.pop(identity))

    def read(self, who, mark):
        """A reading that counts; the last one ends the object."""
        if mark not in self.demands:
            return
        self.demands[mark] -= 1
        self.call(who, "sync")  # or the last one might come before one that came before it
        if self.demands[mark]:
            return
        del self.demands[mark]
        identity = next((identity for identity, lives in self.live.items() if lives == mark), None)
        if identity is not None:
            self.drop(identity, "expired")

    # ---- Operations
    def offer(self, who):
        key, mark, life = self.chance.randrange(KEYS), self.fresh(), self.chance.choices([None, "lifetime", "demands"], [8, 1, 1])[0]
        demands = self.chance.randrange(1, 5)
        wanted = {"lifetime": {"maestro.lifetime": 0}, "demands": {"maestro.demands": demands}}.get(life)
        identity, answer = (who, key), self.call(who, "offer", key, mark, wanted)
        if identity in self.live and not self.versions:
            assert answer == "duplicate"
            return
        assert answer == "offered"
        self.key_of[mark] = key
        if identity in self.live:
            self.drop(identity, "withdrawn")
        self.live[identity] = mark
        self.own[who].append(mark)
        self.tell("offered", mark)
        if life == "demands":
            self.demands[mark] = demands
        if life == "lifetime":
            self.call(who, "count", None)  # by then it has expired
            self.drop(identity, "expired")

    def withdraw(self, who):
        if not self.own[who]:
            return
        mark = self.own[who].pop(self.chance.randrange(len(self.own[who])))
        identity = (who, self.key_of[mark])
        lives = self.live.get(identity) == mark
        assert self.call(who, "withdraw", mark) == ("withdrawn" if lives else "gone")
        if lives:
            self.drop(identity, "withdrawn")

    def demand(self, who):
        key, number = self.chance.randrange(KEYS), self.fresh()
        there = [mark for (_, k), mark in self.live.items() if k == key]
        answer = self.call(who, "demand", key, number)
        if len(there) != 1:
            assert answer == ("several" if there else None)
            return
        assert answer == (there[0], self.bytes_of(there[0]))
        self.leases[who][number] = there[0]
        if len(self.leases[who]) > AT_ONCE:
            self.dispose(who)

    def look(self, who):
        if self.leases[who]:
            number, mark = self.chance.choice(list(self.leases[who].items()))
            assert self.call(who, "look", number) == (mark, self.bytes_of(mark))

    def dispose(self, who):
        if self.leases[who]:
            number = self.chance.choice(list(self.leases[who]))
            mark = self.leases[who].pop(number)
            self.call(who, "dispose", number)
            self.read(who, mark)

    def count(self, who):
        key = self.chance.choice([None, self.chance.randrange(KEYS)])
        assert self.call(who, "count", key) == sum(key in (None, k) for _, k in self.live)

    def query(self, who):
        assert self.call(who, "query") == sorted((mark, self.bytes_of(mark)) for mark in self.live.values())

    def abandon(self, who):
        self.call(who, "abandon", self.chance.randrange(KEYS))

    def subscribe(self, who):
        if sum(owner == who for owner, _ in (*self.plain, *self.members)) > 3:
            self.unsubscribe(who)
            return
        number, group = self.fresh(), self.chance.choice([None, None, "red", "blue"])
        self.call(who, "subscribe", number, group)
        snapshot = sorted(self.live.values())
        if group is None:
            self.plain[who, number] = [("offered", mark, self.bytes_of(mark)) for mark in snapshot]
            return
        self.members[who, number] = group
        if group not in self.groups:
            self.groups[group] = {"to come": set(snapshot), "given": set(), "again": set(), "may be missing": set()}

    def unsubscribe(self, who):
        mine = [(owner, number) for owner, number in (*self.plain, *self.members) if owner == who]
        if not mine:
            return
        one = self.chance.choice(mine)
        self.call(who, "unsubscribe", one[1])
        self.plain.pop(one, None)
        if (group := self.members.pop(one, None)) is not None:
            self.groups[group]["returned"] = True  # what it had unread comes again, marked

    def events(self, who):
        for (owner, number), expected in self.plain.items():
            if owner == who:
                told = self.call(who, "events", number, len(expected))
                assert told == expected
                expected.clear()
                for kind, mark, _ in told:
                    if kind == "offered":
                        self.read(who, mark)

    def share(self, who):
        for (owner, number), name in self.members.items():
            if owner != who:
                continue
            reject = self.chance.random() < 0.2
            for mark, redelivered, content in self.call(who, "share", number, self.chance.randrange(1, 30), reject):
                self.take(who, self.groups[name], mark, redelivered, reject)
                assert content == self.bytes_of(mark)

    def take(self, who, group, mark, redelivered, reject):
        if redelivered:
            assert mark in group["again"] or group.get("returned")
        else:
            assert mark in group["to come"]
        assert mark not in group["given"]
        group["to come"].discard(mark)
        if reject:
            group["again"].add(mark)
        else:
            group["again"].discard(mark)
            group["given"].add(mark)
            self.read(who, mark)

    def step(self):
        (operation,) = self.chance.choices(list(WEIGHTS), WEIGHTS.values())
        getattr(self, operation)(self.chance.randrange(PROCESSES))

    # ---- The end
    def drain(self):
        """Each plain subscription tells what it has to; each group gives out all that was not withdrawn meanwhile."""
        for who in range(PROCESSES):
            self.events(who)
        for name, group in self.groups.items():
            members = [one for one, of in self.members.items() if of == name]
            if not members:
                who, number = 0, self.fresh()
                self.call(who, "subscribe", number, name)
                members = [(who, number)]
                self.members[who, number] = name

            def empty(group=group, members=members):
                for who, number in members:
                    for mark, redelivered, _ in self.call(who, "share", number, 1000, False):
                        self.take(who, group, mark, redelivered, False)
                return not (group["to come"] | group["again"]) - group["may be missing"]

            within(5, empty, f"group {name} has given out everything")


@pytest.mark.timeout(60 + OPERATIONS // 400)
@pytest.mark.parametrize("versions", [False, True], ids=["unique", "versions"])
def test_the_pool_does_what_the_model_says(pool, tmp_path, versions):
    schema = tmp_path / "model.yaml"
    schema.write_text(YAML + ("duplicate: version\n" if versions else ""))
    seed = int(os.environ.get("MODEL_SEED", random.randrange(10**9)))
    chance = random.Random(seed)
    context = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for i in range(PROCESSES):
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, f"actor{i}", str(schema)))
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    calls = []

    def call(who, *words):
        calls.append((who, *words))
        pipes[who].send(words)
        good, answer = pipes[who].recv()
        assert good, answer
        return answer

    model = Model(chance, call, versions)
    try:
        for number in range(OPERATIONS // 2):
            model.step()
            if number % 2000 == 1999:
                model.drain()
        model.drain()
        for who in range(PROCESSES):
            while model.leases[who]:
                model.dispose(who)
        for step in ("end", "settle", "settle"):
            for who in range(PROCESSES):
                call(who, step)
        assert call(0, "query") == sorted((mark, model.bytes_of(mark)) for mark in model.live.values())
    except BaseException:
        print(f"MODEL_SEED={seed}; the last operations:", *calls[-30:], sep="\n  ")
        raise
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join(10)
            pipe.close()
