"""Objects that differ in anything come back as they were set: the pool keeps once what they have in common, and must not mix them up."""

import random

import pytest

import maestro

PARAMS, STREAMS = ["t", "u", "v", "msl", "2t"], ["oper", "enfo"]


def random_attributes(dice, number):
    """Few or many keys, values that recur for a while or never, text with and without a code in the pool."""
    attributes = {"step": number - 2000, "param": dice.choice(PARAMS), "maestro.name": f"object {number}"}
    if dice.random() < 0.7:
        attributes["stream"] = STREAMS[number // 1500 % 2]
    if dice.random() < 0.5:
        attributes["levelist"] = dice.choice([500.0, 0.5, 850.0])
    if dice.random() < 0.3:
        attributes["number"] = dice.choice([-(2**63), 2**63 - 1, 0, number])
    if dice.random() < 0.3:
        attributes["origin"] = dice.choice(["ecmf", f"centre {number}", "x" * dice.randrange(1, 300)])
    if dice.random() < 0.2:
        attributes["maestro.checksum"] = dice.getrandbits(63)
    return attributes


def test_random_objects_of_one_session_are_read_as_they_were_set(pool):
    dice = random.Random(5)
    producer, reader = pool.session("producer"), pool.session("reader")
    offered = {}
    for number in range(4000):
        attributes = random_attributes(dice, number)
        offered[number] = producer.offer(None, attributes), attributes
        if number > 100 and dice.random() < 0.2:
            gone = dice.choice(list(offered))
            offered.pop(gone)[0].withdraw()
    producer.flush()
    came = {cdo["maestro.name"]: cdo for cdo in reader.query()}
    assert len(came) == len(offered)
    for number, (_, attributes) in offered.items():
        cdo = came[f"object {number}"]
        assert {key: cdo[key] for key in attributes} == attributes
        assert set(cdo) - attributes.keys() <= {"maestro.component", "maestro.rank", "expver", "domain", "class", "type"}
    step = [attributes["step"] for _, attributes in offered.values()]
    assert reader.count("step < 0") == sum(value < 0 for value in step)
    assert reader.count({"stream": "enfo"}) == sum(attributes.get("stream") == "enfo" for _, attributes in offered.values())


def test_same_identity_is_found_whatever_objects_have_in_common(pool):
    """The identity is one thing, how an object is kept another: with other constants, the same is still the same."""
    session = pool.session("producer")
    for origin in ("ecmf", "kwbc"):
        for step in range(2000):
            session.offer(None, param="t", step=step, origin=origin)
    session.flush()
    for step in (0, 700, 1999):
        with pytest.raises(maestro.DuplicateError, match=f"step={step} "):
            session.offer(None, param="t", step=step, origin="ecmf").wait()
