import re
import sys
from pathlib import Path

import list_primitives
import mindspore as ms
import pytest

from scripts.list_primitives import (
    GRAPHS,
    PLATFORMS,
    TACOTRON2,
    WAVEGLOW,
    Found,
    Graph,
    compile_graphs,
    documented,
    primitives,
    table,
    train,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backends.md"
LONG = GRAPHS[1]  # takes as long as most of the others together
# No docstring says where these run; scripts/list_primitives.py and the page say what they are.
WITHOUT_DOCUMENTATION = {"TensorMove"}

DUMP = """
subgraph @1_step() {
  %0(CNode_1) = Load(%para1_weight, UMonad[U])
  %1(out: x) = PrimFunc_Add(%0, Tensor(shape=[2, 2], dtype=Float32, value=
[[ 1.0e+00  2.0e+00]
  [ 3.0e+00  4.0e+00]]))
  %2(CNode_3) = %1[@FuncUnion(@2_body, @3_end)]()
  %5(partial_CNode_5) = call @4_LSTMScan_construct_6(%2)
  %3(CNode_4) = StridedSliceGrad(%2)
  Return(%3)
}
"""


@pytest.fixture(scope="module")
def page():
    if not ms.__version__.startswith("2.10."):
        pytest.skip("the page is of MindSpore 2.10")
    return PAGE.read_text().split(list_primitives.BEGIN)[1].split(list_primitives.END)[0].strip()


def rows(page):
    """Rows of the page's table: primitive, a cell for each platform, graphs, documentation."""
    found = [
        tuple(cell.strip(" `") for cell in line.strip("|").split(" | "))
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    assert found
    return found


def found_by(page, number):
    of_graph = [(name, source) for name, *_, graphs, source in rows(page) if str(number) in graphs.split()]
    front = {name for name, source in of_graph if not source.endswith("(replacement)")}
    return Found(front, {name for name, source in of_graph if not source.endswith("(replaced)")})


def test_each_primitive_is_documented_for_all_platforms(page):
    supported = {name: cells for name, *cells, _, _ in rows(page)}
    assert {name for name, cells in supported.items() if cells != ["yes"] * len(PLATFORMS)} == WITHOUT_DOCUMENTATION


@pytest.mark.slow
def test_the_page_holds_what_the_graphs_hold(page):
    compiled = iter(compile_graphs([graph for graph in GRAPHS if graph is not LONG]))
    found = [found_by(page, number) if graph is LONG else next(compiled) for number, graph in enumerate(GRAPHS, 1)]
    assert table(found) == page, "run scripts/list_primitives.py"


@pytest.mark.slow
def test_the_page_holds_what_mixed_precision_adds(page):
    o1 = [Graph("", train, network | {"train.amp": "O1"}) for network in (TACOTRON2, WAVEGLOW)]
    o2, *others = compile_graphs([LONG, *o1])
    assert o2 == found_by(page, GRAPHS.index(LONG) + 1)
    listed = {name for name, *_ in rows(page)}
    assert all(found.front | found.final <= listed for found in others)


def test_primitives_are_read_from_dumps():
    assert list(primitives(DUMP)) == ["Add", "StridedSliceGrad"]
    with pytest.raises(ValueError, match="not a node"):
        list(primitives("  %4(CNode_5) = <primitive>(%3)\n"))


def test_documentation_is_that_of_the_docstrings():
    assert documented("MatMul") == (PLATFORMS, "`ops.MatMul`")
    assert documented("ReLU") == (PLATFORMS, "`ops.relu`")  # by reference
    assert documented("ReluGrad") == (PLATFORMS, "`ops.relu`, gradient")
    assert documented("NPUAllocFloatStatus").platforms == ("Ascend",)
    assert documented("NoSuchPrimitive") == ((), "none")


def test_the_script_writes_between_the_marks(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["list_primitives.py", "--page", str(page)])
    monkeypatch.setattr(list_primitives, "compile_graphs", lambda: [Found({"Abs"}, {"Abs"})] * len(GRAPHS))
    page.write_text(f"before\n{list_primitives.BEGIN}\nold\n{list_primitives.END}\nafter\n")
    list_primitives.main()
    assert re.fullmatch(
        r"before\n<!--.*-->\n\n1\. .*\| `Abs` \| yes \| yes \| yes \|.*\n\n<!--.*-->\nafter\n",
        page.read_text(),
        re.DOTALL,
    )
    page.write_text("no marks")
    with pytest.raises(list_primitives.InputError, match="marks"):
        list_primitives.main()
