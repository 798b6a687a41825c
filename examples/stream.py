"""A stream of fields: the producer fills shared memory, the consumer reads it as it comes, and what was read makes room.

python stream.py consumer &  python stream.py producer
"""

import sys

import numpy as np

import maestro

STEPS = range(0, 49, 6)


def produce():
    with maestro.Session(component="producer", schema="mars") as session:
        session.demand("maestro.name = ready")  # withdrawing what nobody has subscribed to would not wait for anybody
        for step in STEPS:
            with session.cdo(param="t", step=step) as field:
                field.empty((181, 360), "f4")[:] = step
                field.offer()
                if step % 12 == 0:
                    field.withdraw(when="consumed")  # returns when the consumer has read it and let go
                    print(f"step {step} was consumed", flush=True)


def consume():
    with maestro.Session(component="consumer", schema="mars") as session:
        fields = session.subscribe({"param": "t", "step": STEPS})
        session.offer(name="ready", param="none", step=0)
        for field in fields:
            with field:
                print(f"step {field['step']}: sum {np.sum(field, dtype='f8'):.0f}", flush=True)
                if field["step"] == STEPS[-1]:
                    break


{"producer": produce, "consumer": consume}[sys.argv[1]]()
