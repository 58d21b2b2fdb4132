"""The pages. README_CN.md is the twin of README.md: words differ; commands, numbers and links do not."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README_CN.md")}
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PAGES = [*TEXTS, "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]
SECTIONS = """
Contents, Description, Model architecture, Dataset, Environment, Quick start, Script description, Training, Evaluation,
Export, Model description, Random situation
"""
LONGEST = 20_000  # characters of a front page
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def prose(text):
    return BLOCK.sub("", text)


def headings(text):
    return re.findall(r"^(#+) (.+)$", prose(text), re.MULTILINE)


def commands(text):
    """Lines of the blocks of code, without comments; blocks that only show something are left out."""
    blocks = [(language, body) for language, body in BLOCK.findall(text) if language in ("bash", "python")]
    assert len(blocks) > 8
    return [
        (language, [re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in body.splitlines()])
        for language, body in blocks
    ]


def trees(text):
    """Names that begin the lines of blocks that show files."""
    blocks = [body for language, body in BLOCK.findall(text) if language not in ("bash", "python")]
    assert blocks
    lines = [[line for line in body.splitlines() if not line.startswith(" " * 20)] for body in blocks]
    return [[re.match(r"[\s├└│─]*(\S+, )*\S+", line)[0] for line in body] for body in lines]


def tables(text):
    """Per row, the numbers and the code of each cell."""
    rows = re.findall(r"^\|(.+)\|$", prose(text), re.MULTILINE)
    assert len(rows) > 60
    return [[sorted(re.findall(r"`[^`]+`|\d+(?:[.,]\d+)*", cell)) for cell in row.split(" | ")] for row in rows]


def anchor(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(text):
    return {anchor(title) for _, title in headings(text)}


def page(name):
    return (ROOT / name).read_text(encoding="utf-8")


def links(name):
    """The relative links of a page: file, from the root of the repository, and anchor."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page(name))):
        if not re.match(r"https?:", link):
            file, _, fragment = link.partition("#")
            target = (ROOT / name).parent / file if file else ROOT / name
            yield target.resolve().relative_to(ROOT).as_posix(), fragment


def test_it_has_the_sections_of_a_model_zoo():
    titles = [title for level, title in headings(TEXTS["README.md"]) if level == "##"]
    wanted = re.split(r",\s+", SECTIONS.strip())
    assert [title for title in titles if title in wanted] == wanted


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_short(name):
    assert len(TEXTS[name]) <= LONGEST


@pytest.mark.parametrize("name", TEXTS)
def test_the_contents_list_all_sections_but_themselves(name):
    titles = [anchor(title) for level, title in headings(TEXTS[name]) if level == "##"]
    listed = re.findall(r"^- \[[^]]+\]\(#([^)]+)\)$", prose(TEXTS[name]), re.MULTILINE)
    assert listed == titles[1:]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for file, fragment in links(name):
        assert (ROOT / file).exists(), f"{name} links to {file}"
        if fragment:
            assert fragment in anchors(page(file)), f"{name} links to {file}#{fragment}"


def test_every_page_can_be_reached_from_the_front_page():
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        found = {file for file, _ in links(name) if file.endswith(".md") and (ROOT / file).is_file()}
        waiting += found - reached - set(waiting)
    assert set(PAGES) <= reached


@pytest.mark.parametrize("name", [name for name in PAGES if name != "CHANGELOG.md"])  # which names what was before
def test_named_files_exist(name):
    named = re.findall(r"(?<![\w/.-])(?:src|scripts|config|tests|demo_corpus|demo_voice)/[\w./-]*\w", page(name))
    assert [path for path in named if not (ROOT / path).exists() and not list(ROOT.glob(f"{path}*"))] == []


@pytest.mark.parametrize("name", PAGES)
def test_imports_from_this_project_work(name):
    for language, body in BLOCK.findall(page(name)):
        if language == "python":
            for node in ast.walk(ast.parse(body)):
                if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "src":
                    module = import_module(node.module)
                    assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_tree_of_files_is_that_of_the_repository():
    (tree,) = [body for language, body in BLOCK.findall(page("docs/files.md")) if not language]
    folders, named = [], set()
    for line in tree.splitlines():
        names = re.match(r" *((?:\S+, )*\S+)", line)[1].split(", ")
        depth = (len(line) - len(line.lstrip())) // 2
        for name in names:
            folders[depth:] = [name]
            path = "".join(folders)
            assert list(ROOT.glob(path)), path
            named.add(path)
    packages = {f"{path.parent.relative_to(ROOT).as_posix()}/" for path in (ROOT / "src").glob("**/__init__.py")}
    assert packages <= named


@pytest.mark.parametrize("part", [commands, trees, tables])
def test_both_say_the_same(part):
    ours, theirs = map(part, TEXTS.values())
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other


def test_both_have_the_same_sections_pictures_and_sources():
    ours, theirs = TEXTS.values()
    assert [level for level, _ in headings(ours)] == [level for level, _ in headings(theirs)]
    for pattern in (r"!\[[^]]*\]\(([^)]+)\)", r"\]\((https?://[^)]+)\)", r"\]\((docs/[^)]+)\)"):
        assert re.findall(pattern, ours) == re.findall(pattern, theirs)


def test_both_name_the_same_keys_flags_and_files():
    # Code may be broken across lines; each text breaks its own.
    ours, theirs = (
        sorted({" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text))}) for text in TEXTS.values()
    )
    assert ours == theirs
