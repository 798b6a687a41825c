"""Demands one object, keeps the lease and does nothing more.   holder.py SELECTOR"""

import signal
import sys

import maestro

with maestro.Session(component="holder") as session:
    cdo = session.demand(sys.argv[1], timeout=10)
    print("holds", flush=True)
    signal.pause()
