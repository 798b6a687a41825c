"""Every code block of README.md and docs/ runs as it is written; links lead somewhere; generated pages are up to date;
the programs in examples/ do what they say.

What a block is follows from its language:
  python  programs; those under one heading run at the same time, and the `output` block that follows is what they print; where the
          heading has `sh` too, its lines start them, by the name in a program's first line
  pycon   a session at the prompt; the blocks of one page follow each other
  c       a program, compiled with all warnings and run; `output` as for python
  fortran the same, where there is gfortran
  sh      command lines, run one by one, beside the named programs and files above them; of `make TARGET` only that the target
          exists; an `output` block that follows is what they print, where ... stands for anything
  yaml    a schema or a workflow file, checked as the library and `maestro check` do
  rules   of an archive, checked as it does
  tree    paths that exist
A language that is not in this list is an error, so that no block is forgotten.
"""

import contextlib
import doctest
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import make_docs
import pytest
from compiling import compiled

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LIMIT_S = 30
SILENT = {"ebnf", "h", "layout", "py"}  # grammars, folders; declarations and signatures, which come from sources that are compiled


@dataclass
class Block:
    page: Path
    line: int
    heading: str
    language: str
    text: str

    @property
    def id(self):
        return f"{self.page.name}:{self.line}"


def blocks_of(page):
    heading, block = "", None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if block is None and line.startswith("#"):
            heading = line.lstrip("# ")
        elif block is None and line.startswith("```"):
            block = Block(page, number, heading, line[3:].strip(), "")
        elif block is not None and line.startswith("```"):
            yield block
            block = None
        elif block is not None:
            block.text += line + "\n"
    assert block is None, f"{page.name}: the block that begins in line {block.line} does not end"


def scenes(page):
    """Programs under one heading that follow each other, with the output that they print together."""
    typed = {block.heading for block in blocks_of(page) if block.language == "sh"}
    programs = (block for block in blocks_of(page) if block.language in ("python", "c", "fortran", "output") and block.heading not in typed)
    for _, group in groupby(programs, key=lambda block: block.heading):
        started = []
        for block in group:
            if block.language != "output":
                started.append(block)
                continue
            yield started, block.text
            started = []
        if started:
            yield started, None


def name_of(block):
    """The name that the first line of a program or file gives it, or None."""
    named = re.match(r"# ([\w-]+\.(?:py|yaml))\n", block.text)
    return named[1] if named and block.language in ("python", "yaml") else None


def write_named(block, place):
    """The programs and files above a block, under their names."""
    for above in blocks_of(block.page):
        if above.line < block.line and (name := name_of(above)):
            (place / name).write_text(above.text)


def output_of(block):
    """The block that says what `block` prints, or None."""
    below = next((other for other in blocks_of(block.page) if other.line > block.line), None)
    return below.text if below and below.language == "output" else None


ALL = [block for page in PAGES for block in blocks_of(page)]
SCENES = [scene for page in PAGES for scene in scenes(page)]


def of(*languages):
    return pytest.mark.parametrize("block", [b for b in ALL if b.language in languages], ids=lambda block: block.id)


@pytest.fixture
def place(monkeypatch):
    """A folder to work in, with a pool of its own (a short path: socket paths end at 108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="mdoc-", ignore_cleanup_errors=True) as folder:
        for name in [name for name in os.environ if name.startswith("MAESTRO_")]:
            monkeypatch.delenv(name)
        rendezvous = Path(folder, "r")
        rendezvous.mkdir(mode=0o700)
        monkeypatch.setenv("MAESTRO_DIR", str(rendezvous))
        monkeypatch.setenv("MAESTRO_LINGER_S", "0.2")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        monkeypatch.chdir(folder)
        yield Path(folder)


def words_of(block, place):
    """The command that runs a program."""
    if block.language == "python":
        source = place / f"line{block.line}.py"
        source.write_text(block.text)
        return [sys.executable, str(source)]
    return [str(compiled(block.text, place / f"line{block.line}", block.language))]


def anchor(heading):
    """What a heading is called in links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_block_has_a_language_that_is_tested():
    known = {"python", "pycon", "c", "fortran", "output", "sh", "yaml", "rules", "tree"} | SILENT
    assert [f"{block.id} {block.language!r}" for block in ALL if block.language not in known] == []


def test_programs_beside_command_lines_are_started_by_them():
    lines = [(block.page, block.heading, block.text) for block in ALL if block.language == "sh"]
    for block in (block for block in ALL if block.language in ("python", "c", "fortran")):
        beside = [text for page, heading, text in lines if (page, heading) == (block.page, block.heading)]
        assert not beside or re.search(rf"\bpython {name_of(block)}\b", "\n".join(beside)), block.id


@pytest.mark.parametrize(("programs", "output"), SCENES, ids=[programs[0].id for programs, _ in SCENES])
def test_programs_run_and_print_what_the_page_says(programs, output, place, monkeypatch):
    monkeypatch.setenv("MAESTRO_LINGER_S", "2")  # as a reader has it
    words = [words_of(block, place) for block in programs]
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen(word, stdout=subprocess.PIPE, text=True)) for word in words]
        stack.callback(lambda: [program.kill() for program in running])
        printed = [program.communicate(timeout=LIMIT_S)[0] for program in running]
    assert [program.returncode for program in running] == [0] * len(running)
    if output is not None:
        assert "".join(printed) == output


@pytest.mark.parametrize("page", [page for page in PAGES if "```pycon" in page.read_text()], ids=lambda page: page.name)
def test_sessions_at_the_prompt(page, place, monkeypatch):
    import numpy as np

    import maestro

    generated = page.name.startswith("reference")
    names, runner = {"maestro": maestro, "np": np}, doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told = []
    for block in (block for block in blocks_of(page) if block.language == "pycon"):
        if generated:  # each of its examples is written for a pool of its own
            monkeypatch.setenv("MAESTRO_POOL", f"line{block.line}")
        test = doctest.DocTestParser().get_doctest(block.text, names, block.id, str(page), block.line)
        runner.run(test, out=told.append, clear_globs=False)
        names = test.globs
    for value in names.values():
        if isinstance(value, maestro.Session):
            value.close()
    assert not told, "".join(told)


@of("sh")
def test_command_lines_run(block, place, monkeypatch):
    monkeypatch.setenv("MAESTRO_LINGER_S", "2")  # as a reader has it
    write_named(block, place)
    printed = ""
    for line in block.text.splitlines():
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
            continue
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, line + "\n" + done.stderr
        printed += done.stdout
    output = output_of(block)
    assert output is None or doctest.OutputChecker().check_output(output, printed, doctest.ELLIPSIS), printed


@of("yaml")
def test_files_are_valid(block, place):
    import maestro
    from maestro.launch import check, workflow

    path = place / "file.yaml"
    path.write_text(block.text)
    if block.text.startswith("schema:"):
        maestro.check_selector(None, schema=str(path))
        return
    found = check.check(*workflow.load(path), place)
    assert [
        error for error in found.errors if "program '" not in error and "cores" not in error
    ] == []  # programs are not there, cores may be few
    assert found.warnings == []


@of("rules")
def test_rules_are_valid(block, place, monkeypatch):
    from maestro.archive import rules

    (place / "mymodule.py").write_text("def is_interesting(cdo): ...\n")
    monkeypatch.syspath_prepend(str(place))
    path = place / "rules.yaml"
    path.write_text(block.text)
    assert rules.load(path)[0].rules


@of("tree")
def test_the_map_shows_what_is_there(block):
    shown = {line.split()[0].rstrip("/") for line in block.text.splitlines()}
    assert [path for path in shown if not (ROOT / path).exists()] == []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    rooms = {"/".join(path.split("/")[:2]) for path in tracked if path.startswith("csrc/")} - {"csrc/include"}
    folders = {path.split("/")[0] for path in tracked if "/" in path and path[0] != "."} - {"csrc", "cmake", "docs"}
    assert (rooms | folders) - shown == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, place = target.partition("#")
        if "://" in path:
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if place:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert place in [anchor(heading) for heading in headings], target


def test_generated_pages_are_up_to_date():
    stale = [path.name for path, text in make_docs.pages().items() if path.read_text() != text]
    assert stale == [], "run: make docs"


def test_the_examples_of_the_readme_are_short():
    for block in blocks_of(ROOT / "README.md"):
        if block.language == "python":
            assert len(block.text.splitlines()) <= 15


def test_pictures_are_small():
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs" / "images").iterdir())


# ---- Examples
STREAM = [f"step {step}: sum {step * 181 * 360}" for step in range(0, 49, 6)]
CONSUMED = [f"step {step} was consumed" for step in range(0, 49, 12)]


class Programs:
    """Examples that run at the same time."""

    def __init__(self, place, stack):
        self.place, self.stack = place, stack

    def start(self, name, *words):
        source = ROOT / "examples" / name
        language = {".py": "python", ".c": "c", ".f90": "fortran"}[source.suffix]
        text = source.read_text()
        command = [sys.executable, source] if language == "python" else [compiled(text, self.place / f"{language}-{source.stem}", language)]
        running = self.stack.enter_context(subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True))
        self.stack.callback(running.kill)
        return running

    def run(self, name, *words):
        return self.lines(self.start(name, *words))

    @staticmethod
    def lines(running):
        printed, _ = running.communicate(timeout=LIMIT_S)
        assert running.returncode == 0
        return printed.splitlines()


@pytest.fixture
def programs(place):
    with contextlib.ExitStack() as stack:
        yield Programs(place, stack)


@pytest.mark.parametrize("consumer", [("stream.py", "consumer"), ("stream.c",)], ids=["Python", "C"])
def test_stream_is_read_and_consumed(programs, consumer):
    reader, writer = programs.start(*consumer), programs.start("stream.py", "producer")
    assert programs.lines(writer) == CONSUMED
    assert programs.lines(reader) == STREAM


PAIRS = [("c", "py"), ("c", "c"), ("py", "py"), ("f90", "py"), ("py", "f90"), ("f90", "c"), ("c", "f90")]


@pytest.mark.parametrize(("ours", "others"), PAIRS)
def test_programs_of_any_language_exchange_objects(programs, ours, others):
    ping, pong = programs.start(f"exchange.{ours}", "ping", "pong"), programs.start(f"exchange.{others}", "pong", "ping")
    assert programs.lines(ping) == [f"pong step {step}: 800 bytes, first {step}" for step in range(10)]
    assert programs.lines(pong) == [f"ping step {step}: 800 bytes, first {step}" for step in range(10)]


def test_attributes_of_every_type_are_read_again(programs):
    assert programs.run("attributes.c", ROOT / "examples" / "station.yaml") == [
        "Sonnblick, from 12.9 E to 13.0 E",
        "thermometer at 2 m, checked on day 20000: works",
        "anemometer at 10 m, checked on day 20001: broken",
    ]


def test_columns_come_out_as_they_went_in(programs):
    offered, members, mean = programs.run("columns.py")
    assert offered == "50 objects offered"
    assert members == "members 1 2 3 4 5 6 7 8 9 10 at step 24"
    assert mean.endswith("True")


def test_query_answers_and_explains(programs):
    count, winds, pressure, *told = programs.run("query.py")
    assert count == "10 objects, 1 without a level"
    assert winds == "winds: u500 u700 v500 v700"
    assert pressure == "pressure: 9 bytes"
    assert [line.split(":")[0] for line in told[:3]] == ["NotUniqueError", "TimeoutError", "SelectorError"]
    assert told[-1].index("^") == told[-2].index("u") + 1


def test_watch_tells_who_came_and_how_it_left(programs):
    watch = programs.start("watch.py", "ping")
    assert watch.stdout.readline() == "watch[0] joined\n"
    lonely = programs.start("exchange.py", "ping", "pong")  # nobody answers it
    assert watch.stdout.readline() == "ping[0] joined\n"
    lonely.kill()
    assert programs.lines(watch) == ["ping[0] left: died"]
