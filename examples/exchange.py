"""Exchanges objects with any other program of the pool, for instance with exchange.c: offers its own, waits for the other's.

python exchange.py ping pong &  ./exchange pong ping
"""

import sys

import numpy as np

import maestro

mine, theirs = sys.argv[1:3] if len(sys.argv) > 2 else ("ping", "pong")

with maestro.Session(component=mine, schema="mars") as session:
    for step in range(10):
        with session.cdo(param=mine, step=step) as cdo:
            values = cdo.empty(100, "f8")
            values[:] = step + np.arange(100)
            cdo.offer()
        with session.demand({"param": theirs, "step": step}, timeout=30) as cdo:
            values = cdo.array()
            print(f"{theirs} step {step}: {values.nbytes} bytes, first {values[0]:g}")
            del values
