"""The fields of one ensemble member and step, by their keys: what one process offers another one finds, each by all that describes it.

The list is that of an operational ensemble: 11 params on 137 model levels, 9 on 22 pressure levels, 30 on the surface: 1,735 fields.
"""

import itertools
import json
import random

import numpy as np
import xxhash

from maestro.workflows.weather.params import SURFACE, UPPER

MODEL_PARAMS = ["t", "u", "v", "q", "w", "vo", "d", "clwc", "ciwc", "cc", "z"]
PRESSURE_PARAMS = ["z", "t", "u", "v", "q", "r", "w", "vo", "d"]
PRESSURE_LEVELS = [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
RUN = {
    "class": "od", "stream": "enfo", "type": "pf", "expver": "0001", "date": "20261124", "time": "0000", "step": 24, "number": 7,
}  # fmt: skip


def field_keys():
    levels = [("ml", MODEL_PARAMS, range(1, 138)), ("pl", PRESSURE_PARAMS, PRESSURE_LEVELS)]
    upper = [
        {**RUN, "levtype": levtype, "levelist": level, "param": param}
        for levtype, params, values in levels
        for level, param in itertools.product(values, params)
    ]
    return upper + [{**RUN, "levtype": "sfc", "param": param} for param in SURFACE]


def checksum(array):
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(array))


PRODUCER = """
    import json, time, xxhash
    keys = json.loads(sys.stdin.readline())
    random = np.random.default_rng(7)
    session = Session(component="member", rank=7, schema="mars")
    sums = []
    for key in keys:
        with session.cdo(key) as field:
            values = field.empty(int(random.integers(10, 2000)), "f4")
            values[:] = random.normal(size=len(values))
            sums.append(xxhash.xxh3_64_intdigest(values))
            field.offer()
    session.flush()
    print(json.dumps(sums), flush=True)
    sys.stdin.readline()
    session.close()
"""


def test_each_of_1735_fields_is_found_by_its_keys_in_another_process(pool):
    assert {*MODEL_PARAMS, *PRESSURE_PARAMS} <= set(UPPER)
    keys = field_keys()
    assert len(keys) == 1735
    producer = pool.program(PRODUCER)
    producer.say(json.dumps(keys))
    sums = json.loads(producer.process.stdout.readline() or "[]")
    assert len(sums) == len(keys), producer.process.stderr.read()
    consumer = pool.session("products")
    assert consumer.count(RUN) == len(keys)
    for key, wanted in random.sample(list(zip(keys, sums, strict=True)), len(keys)):
        with consumer.demand({**key, "levelist": key.get("levelist")}) as field:  # a surface field has no level
            assert checksum(field.array()) == wanted, key
            assert {name: field[name] for name in key} == key
    producer.say()
    producer.end()
