"""Who comes and goes: prints the sessions that are there, that join and that leave, until the component that is named has left.

python watch.py model &  python some_program_whose_component_is_model.py
"""

import sys

import maestro

awaited = sys.argv[1]

with maestro.Session(component="watch") as session:
    for event in session.subscribe(kinds="joined,left").events():
        if event.kind == "joined":
            print(f"{event.component}[{event.rank}] joined", flush=True)
        else:
            print(f"{event.component}[{event.rank}] left: {event.reason}", flush=True)
            if event.component == awaited:
                break
