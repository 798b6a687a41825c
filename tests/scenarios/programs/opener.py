"""Opens a session; says how that ended, and after how long.   opener.py TIMEOUT"""

import os
import sys
import time

import maestro

start = time.monotonic()
try:
    outcome = repr(maestro.Session(component="opener", timeout=float(sys.argv[1])))
except maestro.MaestroError as error:
    outcome = type(error).__name__
    print(error, file=sys.stderr)
print(outcome, f"{time.monotonic() - start:.3f}", flush=True)
os._exit(0)
