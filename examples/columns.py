"""Many objects in one call: attributes as columns, on the way in and on the way out.

python columns.py
"""

import numpy as np

import maestro

members, points = 50, 1000

with maestro.Session(component="columns", schema="mars") as session:
    values = np.random.default_rng(1).normal(285.0, 5.0, (members, points)).astype("f4")
    offered = session.offer_many(values, param="2t", levtype="sfc", step=24, number=range(1, members + 1))
    print(f"{offered} objects offered")

    with session.subscribe("param = 2t and number <= 10", start="query") as found:
        columns = found.next_columns(100, ["number", "step"])
    print("members", *np.sort(columns["number"]), "at step", *np.unique(columns["step"]))

    mean = np.mean([member.array() for member in session.query("param = 2t")], axis=0)
    print("the mean of all members is theirs:", np.allclose(mean, values.mean(axis=0)))
