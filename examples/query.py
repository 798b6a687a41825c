"""Asking for what is there: count, query, demand; and what the errors say.

python query.py
"""

import maestro

with maestro.Session(component="query", schema="mars") as session:
    for param in ("t", "u", "v"):
        for level in (500, 700, 850):
            session.offer(b"a message", param=param, step=6, levelist=level)
    session.offer(b"a message", param="msl", step=6)

    print(session.count(), "objects,", session.count("not has(levelist)"), "without a level")
    upper = session.query({"param": ["u", "v"], "levelist": range(400, 751, 100)})
    print("winds:", *sorted(f"{cdo['param']}{cdo['levelist']:g}" for cdo in upper))
    print("pressure:", session.demand("param = msl").nbytes, "bytes")

    for selector in ("param = t", "param = t and levelist = 600", "param in (t, u"):
        try:
            session.demand(selector, timeout=0.1)
        except maestro.MaestroError as error:
            print(f"{type(error).__name__}: {error}")
