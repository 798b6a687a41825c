"""A member of a consumer group, that works at what it takes until its input ends.   member.py GROUP ACKNOWLEDGE_S

Writes "NUMBER REDELIVERED" for each object before it acknowledges it.
"""

import os
import select
import sys

import maestro

group, acknowledge_within = sys.argv[1], float(sys.argv[2])
session = maestro.Session(component=group, rank=os.getpid(), schema=os.environ["SCENARIO_SCHEMA"], timeout=20)
with session, session.subscribe(group=group, acknowledge_within=acknowledge_within) as subscription:
    print("ready", flush=True)
    while not (select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.read(1)):
        batch = subscription.next_many(64, timeout=0.1)
        sys.stdout.write("".join(f"{cdo['number']} {int(cdo.redelivered)}\n" for cdo in batch))
        sys.stdout.flush()
        batch.clear()
