"""Writes what of the documentation stands in the sources: the references of C and Python, tables of concepts.md, fortran.md.

The C reference is maestro.h, chunk by chunk: a comment is prose, what follows it a declaration.  The Python reference is the docstrings of
the public names.  In concepts.md and fortran.md only the lines between `<!-- generated: NAME -->` and `<!-- end -->` are ours.
Invariant: the pages are a function of the sources; tests/test_docs.py compares.
Usage: make_docs.py  (from anywhere, after `make build`).
"""

import functools
import inspect
import re
import textwrap
from pathlib import Path

import yaml
from make_fortran import expanded

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "csrc/include/maestro.h"
SETTINGS = ROOT / "csrc/base/settings.c"
CORE = ROOT / "csrc/meta/schemas/core.yaml"
NOTE = "<!-- Written by `make docs` from {}; change that instead. -->\n"


def table(heads, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows]]
    return "\n".join(lines) + "\n"


# ---- C: the header, chunk by chunk
def prose(comment):
    """The text of a comment, without its decoration; lines that begin with a dash stay lines."""
    lines = [re.sub(r"^ \* ?", "", line) for line in comment.removeprefix("/*").removesuffix("*/").splitlines()]
    lines[1:] = textwrap.dedent("\n".join(lines[1:])).splitlines()
    text = "\n".join(line.rstrip() for line in [lines[0].strip(), *lines[1:]]).strip()
    text = re.sub(r"^X\(.*?\)\.  ", "", text, flags=re.MULTILINE)  # the status table's own form, which the page does not show
    text = re.sub(r"^-{2,} (.*?) ?-{3,}\n?", r"## \1\n\n", text)
    text = re.sub(r"(?<=\n)(\w+)\n(?=- )", r"\1:\n\n", text)
    return re.sub(r"\*(?=\w)", r"\\*", text)


def status_rows():
    found = re.findall(r'^    X\((\w+), (-?\d+), (\w+), "(.*)"\)', HEADER.read_text(), re.MULTILINE)
    return [(value, f"`MAESTRO_{name}`", f"`{error}`" if error != "None" else "", text) for name, value, error, text in found]


def status_table():
    return table(["value", "status", "Python exception", "meaning"], status_rows())


def declaration(chunk):
    """A chunk as a comment's text, a heading and its code."""
    comment = re.match(r"/\*.*?\*/", chunk, re.DOTALL)
    said = prose(comment[0]) if comment else ""
    code = chunk[comment.end() :].strip() if comment else chunk
    if "define MAESTRO_STATUS_TABLE" in code:
        return [said, status_table()]
    names = re.findall(r"\b(maestro_\w+)\(", code) or re.findall(r"^(?:typedef struct \w+|\}) (maestro_\w+);", code, re.MULTILINE)
    section, said = said.split("\n\n", 1) if said.startswith("## ") and "\n\n" in said else ("", said)
    if said.startswith("## "):
        section, said = said, ""
    code = code.replace("MAESTRO_API ", "")
    code = code and f"```h\n{code}\n```"
    if section and names:  # the section's own words stand before its first declaration
        return [section, said, heading(names), code]
    return [section, heading(names), said, code]


def heading(names):
    return "### " + ", ".join(f"`{name}`" for name in dict.fromkeys(names)) if names else ""


def reference_c():
    top, rest = HEADER.read_text().split("#ifndef MAESTRO_H", 1)
    body = rest[rest.index("#define MAESTRO_VERSION_MAJOR") : rest.rindex("#ifdef __cplusplus")]
    chunks = [chunk.strip() for chunk in re.split(r"\n\n+", body)]
    parts = [part for chunk in chunks if not chunk.startswith("#if") for part in declaration(chunk)]
    said = prose(top.strip()).split("\n", 1)[1]
    begin = ["# C reference", NOTE.format("csrc/include/maestro.h").strip(), said.strip()]
    begin.append("A program includes `maestro.h` and links `libmaestro`: `cc program.c $(pkg-config --cflags --libs maestro)`, or in CMake "
                 "`find_package(maestro)` and `target_link_libraries(program maestro::maestro)`.")  # fmt: skip
    return "\n\n".join(part.strip() for part in begin + parts if part.strip()) + "\n"


# ---- Python: docstrings
LISTED = ("Parameters", "Returns", "Yields", "Raises", "Attributes")


def sections(text):
    """(title, lines) of a docstring in NumPy's style; the first has no title."""
    title, lines = "", []
    for line in inspect.cleandoc(text).splitlines():
        if re.fullmatch(r"-{3,}", line) and lines:
            following = lines.pop()
            yield title, lines
            title, lines = following, []
        else:
            lines.append(line)
    yield title, lines


def items(lines):
    """`name : type` with indented text below, as list entries."""
    entries = []
    for line in lines:
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            entries.append([f"- `{name}`" + (f" (*{kind}*)" if kind else ""), []])
        elif line.strip():
            entries[-1][1].append(line.strip())
    return "\n".join(head + (": " + " ".join(text) if text else "") for head, text in entries)


def markdown(text):
    parts = []
    for title, lines in sections(text or ""):
        body = "\n".join(lines).strip()
        if title in LISTED:
            parts += [f"*{title}*", items(lines)]
        elif title == "Examples":
            parts.append(f"```pycon\n{body}\n```")
        else:
            parts += [f"*{title}*" if title else "", re.sub(r"((?:^>>> .*\n?)(?:.+\n?)*)", r"```pycon\n\1\n```", body, flags=re.MULTILINE)]
    return [part.replace("\n\n```\n", "\n```\n") for part in parts if part]


class Plain(str):
    """An annotation that shows without quotes."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def signature(thing):
    try:
        whole = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    kept = [one.replace(annotation=plain(one.annotation)) for one in whole.parameters.values() if one.name != "self"]
    return str(inspect.Signature(kept, return_annotation=plain(whole.return_annotation)))


def plain(annotation):
    return Plain(annotation) if isinstance(annotation, str) else annotation


def members(cls):
    """Public methods and properties of a class and of the handle below it, those that say something."""
    names = {name for base in cls.__mro__ if base is not object for name in vars(base) if not name.startswith("_")}
    for name in sorted(names):
        member = getattr(cls, name)
        if (inspect.isroutine(member) or inspect.isdatadescriptor(member)) and member.__doc__:
            yield name, member


def one_class(cls):
    parts = [f"## {cls.__name__}"]
    if "__init__" in vars(cls):
        parts.append(f"```py\nmaestro.{cls.__name__}{signature(cls)}\n```")
    parts += markdown(cls.__doc__)
    for name, member in members(cls):
        parts.append(f"### {cls.__name__}.{name}")
        if callable(member):
            parts.append(f"```py\n{name}{signature(member)}\n```")
        parts += markdown(member.__doc__)
    return parts


def exceptions():
    import builtins

    from maestro import errors

    for name in errors.__all__:
        error = getattr(errors, name)
        also = [f"`{base.__name__}`" for base in error.__bases__ if base.__module__ == builtins.__name__ and base is not Exception]
        status = next((row[1] for row in status_rows() if row[2] == f"`{name}`"), "")
        yield f"`{name}`", ", ".join(also), status, inspect.cleandoc(error.__doc__).splitlines()[0]


def reference_python():
    import maestro

    parts = [
        "# Python reference",
        NOTE.format("the docstrings of maestro/").strip(),
        *markdown(maestro.__doc__.split("The library below")[0]),
    ]
    records = (maestro.Collection, maestro.NewRecord, maestro.Record, maestro.Group, maestro.Array, maestro.BlockArray, maestro.Fence)
    arrays = (maestro.Layout, maestro.Local, maestro.Plan, maestro.Halo, maestro.Field)
    placement = (maestro.Pin, maestro.Placement)
    classes = (maestro.Session, maestro.Cdo, maestro.Subscription, maestro.Event, maestro.Request, *records, *placement, *arrays)
    for cls in classes:
        parts += one_class(cls)
    parts.append("## Functions")
    collective = (maestro.empty, maestro.redistribute, maestro.relabel, maestro.comm_split)
    for function in (maestro.check_selector, maestro.info, *collective):
        parts += [f"### {function.__name__}", f"```py\nmaestro.{function.__name__}{signature(function)}\n```", *markdown(function.__doc__)]
    parts += ["## Exceptions", "Every exception is a `maestro.MaestroError` and, where the table says so, a builtin one too."]
    parts.append(table(["exception", "is also", "status in C", "meaning"], exceptions()))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


# ---- Fortran: the comments of its procedures
FORTRAN = ("errors.f90", "session.f90", "cdo.f90", "attributes.f90.in", "arrays.f90.in", "asking.f90", "subscription.f90")


def arguments(name, text):
    """The arguments of a procedure, the optional ones in brackets, without the status that all have."""
    head, body = re.search(rf"^  (?:subroutine|function) {name}\((.*?)\)(.*?)^  end ", text, re.MULTILINE | re.DOTALL).groups()
    optional = set(re.findall(r"\w+", " ".join(re.findall(r"optional :: (.*)", body))))
    return ", ".join(f"[{one}]" if one in optional else one for one in re.findall(r"\w+", head) if one != "status" or one not in optional)


def fortran_rows(text):
    """(procedure, what its comment says) of what begins with maestro_; generic ones have the arguments of their first procedure."""
    for said, kind, name in re.findall(r"((?:^  ! .*\n)+)^  (subroutine|function|interface) (maestro_\w+)", text, re.MULTILINE):
        first = re.search(rf"interface {name}\n +module procedure (\w+)", text)[1] if kind == "interface" else name
        yield f"`{name}({arguments(first, text)})`", " ".join(re.findall(r"! (.*)", said)).replace("|", "\\|")


def fortran_table():
    texts = (expanded((ROOT / "csrc/fortran" / name).read_text()) for name in FORTRAN)
    return table(["procedure", "meaning"], [row for text in texts for row in fortran_rows(text)])


# ---- Tables of concepts.md and fortran.md
def settings_table():
    rows = re.findall(r'^    "(MAESTRO_\w+)", */\* (.*?) \*/', SETTINGS.read_text(), re.MULTILINE)
    return table(["variable", "meaning"], [(f"`{name}`", text[0].upper() + text[1:].replace("|", "\\|")) for name, text in rows])


def core_table():
    attributes = yaml.safe_load(CORE.read_text())["attributes"]
    return table(["attribute", "type", "meaning"], [(f"`{name}`", one["type"], one["doc"]) for name, one in attributes.items()])


GENERATED = {"statuses": status_table, "settings": settings_table, "core attributes": core_table, "fortran procedures": fortran_table}


def with_tables(page):
    def fill(match):
        return f"<!-- generated: {match[1]} -->\n\n{GENERATED[match[1]]()}\n<!-- end -->"

    text = (ROOT / "docs" / f"{page}.md").read_text()
    return re.sub(r"<!-- generated: ([\w ]+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


# ---- All
@functools.cache
def pages():
    """{path: text} of every page that is written here."""
    texts = {
        "concepts": with_tables("concepts"),
        "fortran": with_tables("fortran"),
        "reference-c": reference_c(),
        "reference-python": reference_python(),
    }
    return {ROOT / "docs" / f"{name}.md": text for name, text in texts.items()}


def main():
    for path, text in pages().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"docs: wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
