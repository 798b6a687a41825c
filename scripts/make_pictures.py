"""Draws the pictures of layouts in docs/tutorial-arrays.md, by Layout.plot.

Invariant: the code beside each picture is that of its layouts; tests/test_layouts.py compares.
Usage: make_pictures.py [FOLDER]  (default: docs/images).
"""

import sys
from pathlib import Path

import matplotlib as mpl

import maestro

mpl.use("Agg")
import matplotlib.pyplot as plt

Layout = maestro.Layout
FACE = [-1, 14, 32, 50, -1, 51, 0, 1, 2, 42, 52, 18, 19, 20, 43, 53, 36, 37, 38, 44, -1, 5, 23, 41, -1]
IS_GHOST = [not (0 < i < 4 and 0 < j < 4) for i in range(5) for j in range(5)]
# Of each file the layouts that stand side by side, with the part that is drawn in detail.
PICTURES = {
    "layouts-blocks.png": [
        (Layout.blocks((8, 10), grid=(4, 1)), 1),
        (Layout.blocks((8, 10), grid=(1, 4), order="F"), 1),
        (Layout.blocks((8, 10), grid=(2, 2), ghosts=1), 3),
    ],
    "layouts-dealt.png": [
        (Layout.block_cyclic((8, 10), block=(2, 2), grid=(2, 2), order="F"), 0),
        (Layout.boxes((8, 10), [((0, 0), (3, 10)), ((3, 2), (6, 7))]), 0),
        (Layout.indices((8, 10), [3, 14, 25, 36, 47, 46, 45, 44], is_ghost=[False] * 7 + [True]), 0),
    ],
    "layouts-mesh.png": [(Layout.indices((3, 18), FACE, is_ghost=IS_GHOST), 0)],
}


def picture(layouts, path):
    figure, axes = plt.subplots(1, len(layouts), figsize=(9, 3), dpi=80, layout="constrained", squeeze=False)
    for ax, (layout, part) in zip(axes[0], layouts, strict=True):
        layout.plot(ax, part=part)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs/images")
    for name, layouts in PICTURES.items():
        picture(layouts, folder / name)


if __name__ == "__main__":
    main()
