"""A producer that waits for its objects to be archived.   chronicler.py FIRST RANK

Offers a record and a plain object of each number from FIRST on, as objects.py makes them, withdraws them when they were consumed, and
then writes the numbers: from there on all of them are to be found in the archive. Ends with its input.
"""

import os
import select
import sys

import maestro

sys.path.insert(0, os.environ["SCENARIO_FOLDER"])
import objects

number, rank = int(sys.argv[1]), int(sys.argv[2])
with maestro.Session(component="chronicler", rank=rank, schema=os.environ["SCENARIO_SCHEMA"], timeout=30) as session:
    while not any(group["name"] == "archive" for group in session.stats()["groups"]):
        select.select([], [], [], 0.01)
    print("ready", flush=True)
    under_way = []
    while not (select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.read(1)):
        with session.collection("chronicle").record(number, number=2 * number) as record:
            for path, array in objects.arrays(rank, number).items():
                record[path] = array
        session.offer(objects.words(rank, number), number=2 * number + 1)
        under_way.append(number)
        number += 1
        if len(under_way) == 8:
            session.flush()
            session.withdraw("", when="consumed")
            print("\n".join(map(str, under_way)), flush=True)
            under_way.clear()
