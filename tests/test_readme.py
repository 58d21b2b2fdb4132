"""README.md, and README_CN.md as its twin: words differ, what can be typed, counted or followed does not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README_CN.md")}
SECTIONS = """
Contents, Description, Model architecture, Dataset, Environment, Quick start, Script description, Training, Evaluation, Export,
Model description, Random situation
"""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def prose(text):
    return BLOCK.sub("", text)


def headings(text):
    return re.findall(r"^(#+) (.+)$", prose(text), re.MULTILINE)


def commands(text):
    """What stands in blocks of code, without comments and what is only shown."""
    blocks = [(language, body) for language, body in BLOCK.findall(text) if language in ("bash", "python")]
    assert len(blocks) > 10
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
    assert len(rows) > 50
    return [[sorted(re.findall(r"`[^`]+`|\d+(?:[.,]\d+)*", cell)) for cell in row.split(" | ")] for row in rows]


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_it_has_the_sections_of_a_model_zoo():
    titles = [title for level, title in headings(TEXTS["README.md"]) if level == "##"]
    wanted = re.split(r",\s+", SECTIONS.strip())
    assert [title for title in titles if title in wanted] == wanted


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    text = prose(TEXTS[name])
    anchors = {anchor(title) for _, title in headings(TEXTS[name])}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert [link for link in links if not link.startswith(("#", "http")) and not (ROOT / link).exists()] == []
    titles = [anchor(title) for level, title in headings(TEXTS[name]) if level == "##"]
    listed = re.findall(r"^- \[[^]]+\]\(#([^)]+)\)$", text, re.MULTILINE)
    assert listed == titles[1:]  # the contents list all sections but themselves


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
