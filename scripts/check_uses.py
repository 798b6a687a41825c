"""Checks that nothing public is unused: every C function and every public name of the Python package has a test and a caller.

- a C function is tested where a C test or the binding (whose tests are Python's) calls it; a caller is the binding, a program, an
  example, a benchmark or another function of the library;
- a Python name is tested where it stands in tests/ or in an example of its own docstring, which tests/test_docs.py runs; a caller is
  an example, a guide page, a docstring, or the package outside the place where it is defined.  Of a class the methods count.

It looks for words, so that a short and common name may pass undeserved.
Usage: check_uses.py  (from the repository's root).  Prints one line per unused name and exits 1 if there is any.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

HEADER = Path("csrc/include/maestro.h")
PACKAGE = Path("maestro")
EXAMPLES = [f"examples/**/*.{suffix}" for suffix in ("py", "c", "f90", "ipynb")]


def words(*patterns, but=()):
    """How often each word stands in the files."""
    count = Counter()
    for pattern in patterns:
        for path in sorted(Path().glob(pattern)):
            if path.is_file() and path not in but:
                count.update(re.findall(r"\w+", path.read_text()))
    return count


def unused_in_c():
    header = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.DOTALL)
    functions = re.findall(r"\bMAESTRO_API\b[^;()]*?\b(maestro_\w+)\s*\(", header)
    binding = words("maestro/*.pyx", "maestro/*.pxi")
    tested = words("csrc/*/*_test.c", "csrc/*/*_test.h", "tests/**/*.c", "tests/**/*.py", "tests/**/*.f90") + binding
    tests = set(Path().glob("csrc/*/*_test.c"))
    called = words("csrc/*/*.c", "examples/**/*.c", "benchmarks/**/*.c", but=tests) + binding  # once it is defined
    for name in functions:
        if not tested[name]:
            yield f"{HEADER}: {name} has no test"
        if called[name] < 2:
            yield f"{HEADER}: {name} has no caller"


def public_functions(tree):
    """(name, docstring) of every public function of a module, and of every public method."""
    for node in tree.body:
        if node_name(node).startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.ClassDef):
            yield from public_functions(node)


def node_name(node):
    return getattr(node, "name", "")


def exported(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and node_name(node.targets[0]) == "" and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def python_functions():
    """(file, name, docstring, how often it stands where it is defined) of all that users may call; of the binding the methods."""
    for path in sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("arrays/*.py")]):
        tree = ast.parse(path.read_text())
        public = exported(tree)
        if path.name != "__init__.py":
            defined = Counter(node_name(node) for node in ast.walk(tree))
            tree.body = [node for node in tree.body if node_name(node) in public]
            for name, doc in public_functions(tree):
                yield path, name, doc, defined[name] + (name in public)
    for path in sorted(PACKAGE.glob("*.pxi")):
        functions = re.findall(r'^ +def ([a-z]\w*)\(.*?:\n(?: *"""(.*?)""")?', path.read_text(), re.MULTILINE | re.DOTALL)
        defined = Counter(name for name, _ in functions)
        for name, doc in functions:
            yield path, name, doc, defined[name]


def unused_in_python():
    pages = [str(path) for path in Path("docs").glob("*.md") if not path.name.startswith("reference")]
    tested = words("tests/**/*.py")
    called = words(*EXAMPLES, "README.md", "maestro/**/*.py", "maestro/*.pxi", *pages)
    for path, name, doc, defined in python_functions():
        example = re.search(rf"(>>>|\.\.\.) .*\b{name}\b", doc)
        if not tested[name] and not example:
            yield f"{path}: {name} has no test"
        if called[name] <= defined and not example:
            yield f"{path}: {name} has no caller and no example"


def main():
    unused = [*unused_in_c(), *unused_in_python()]
    for line in unused:
        print(line)
    print(f"uses: {len(unused)} unused")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
