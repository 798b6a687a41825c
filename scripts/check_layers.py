"""Checks who includes whom in csrc: a file sees its own room, the rooms on floors below, and the public header.

Rooms on one floor do not see each other, except that the executables in tools may see everything below them; mpi.h stands in the
mpi room alone.  Usage: check_layers.py [FOLDER]  (default: csrc).  Prints one line per violation and exits 1 if there is any.
"""

import re
import sys
from pathlib import Path

FLOORS = [{"base"}, {"meta", "mem", "array"}, {"wire"}, {"pool", "client"}, {"mpi"}, {"fortran", "tools"}]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


def floor_of(room):
    """The number of a room's floor; the public header lies below all of them."""
    return -1 if room == "include" else next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def complaint(room, header, rooms):
    """Why a file of `room` must not include `header`, or None."""
    if header == "mpi.h":
        return None if room == "mpi" else "mpi.h belongs to the mpi room alone"
    other = header.split("/")[0] if "/" in header else None
    if header.startswith("../") or "/../" in header:
        return "includes are written from csrc, without '..'"
    if other not in rooms or other == room:
        return None  # a system header, the public header, or the own room
    if floor_of(other) >= floor_of(room):
        return f"{room} stands on floor {floor_of(room)}, {other} on floor {floor_of(other)}"
    return None


def violations(folder):
    """Yields 'file:line: reason' for each wrong include and each folder that is no room."""
    rooms = set().union(*FLOORS)
    for path in sorted(folder.rglob("*.[ch]")):
        room = path.relative_to(folder).parts[0]
        if room not in rooms | {"include"}:
            yield f"{path}: {room} is no room; FLOORS in {Path(__file__).name} knows all of them"
            continue
        text = path.read_text()
        for found in INCLUDE.finditer(text):
            reason = complaint(room, found[1], rooms)
            if not reason and '"' in found[0] and "/" not in found[1] and (path.parent / found[1]).is_file():
                reason = f'a room\'s header is included with its room: "{room}/{found[1]}"'
            if reason:
                line = text.count("\n", 0, found.start()) + 1
                yield f"{path}:{line}: {found[1]}: {reason}"


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "csrc")
    found = list(violations(folder))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"layers: {sum(1 for _ in folder.rglob('*.[ch]'))} files, {len(found)} violations")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
