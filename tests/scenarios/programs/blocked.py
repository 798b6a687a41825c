"""Waits in one operation for what never comes; says how it ended, and after how long.

blocked.py OPERATION TIMEOUT        prints "ready", waits when it is told to, prints "<error> <seconds>"
"""

import os
import sys
import time

import maestro

operation, timeout = sys.argv[1], float(sys.argv[2])
session = maestro.Session(component=operation, timeout=timeout if operation in ("offer", "alloc", "close") else 20)


def held_object():
    """An own object that another session reads."""
    cdo = session.offer(b"bytes", number=1)
    reader = maestro.Session(component="reader")
    return cdo, reader, reader.demand("maestro.component = withdraw")


def offer_on():
    """Offers until the ring is full and the offer itself waits."""
    for number in range(1_000_000):
        session.offer(None, number=number)


if operation == "withdraw":
    own, *others = held_object()
if operation == "next":
    subscription = session.subscribe("number = -1")
waits = {
    "next": lambda: subscription.next_event(timeout),
    "demand": lambda: session.demand("number = -1", timeout),
    "withdraw": lambda: own.withdraw(timeout=timeout),
    "alloc": lambda: session.cdo(number=2).empty(12 << 20),
    "offer": offer_on,
    "wait": lambda: session.cdo(number=3).offer(wait=True, timeout=timeout),
    "flush": lambda: session.offer(None, number=4) and session.flush(timeout),
    "close": lambda: session.offer(None, number=5) and session.close(),
}
print("ready", flush=True)
sys.stdin.readline()
start = time.monotonic()
try:
    outcome = repr(waits[operation]())
except maestro.MaestroError as error:
    outcome = type(error).__name__
    print(error, file=sys.stderr)
print(outcome, f"{time.monotonic() - start:.3f}", flush=True)
os._exit(0)  # a close would wait again
