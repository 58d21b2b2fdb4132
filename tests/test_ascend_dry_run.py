"""Graphs compiled for Ascend by MindSpore's own plug-in, on stand-ins for CANN; nothing runs there."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ascend_dry_run
import mindspore as ms
import numpy as np
import pytest
from ascend import page, stubs
from ascend.compilation import Case, compile_cases
from ascend.graphs import GRAPHS, Graph
from mindspore import Tensor, nn, ops

from src.runtime.device import BLOCKS

ROOT = Path(__file__).resolve().parents[1]
# What other kernels run these on than those of Ascend's cores, outside of loops, and why that is borne: docs/ascend.md.
ON_AICPU = {"DropoutGenMask", "LogMatrixDeterminant", "MatrixInverse"}


def dry_run(*arguments, **environment):
    """Exit status, stdout and stderr of the script."""
    command = [sys.executable, ROOT / "scripts" / "ascend_dry_run.py", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Make stand-ins for CANN, in a cache of the tests' own."""
    if missing := stubs.missing_tools():
        pytest.skip(f"no {', '.join(missing)}: stand-ins for CANN cannot be made")
    if not ms.__version__.startswith("2.10."):
        pytest.skip(f"stand-ins for CANN are written for MindSpore 2.10, and this is {ms.__version__}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        try:
            stubs.stub_environment()
        except stubs.InputError as error:
            pytest.skip(str(error))
        yield


class Unsupported(nn.Cell):
    """A loop-free graph with a primitive that MindSpore has for CPU and GPU only."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.fmax(x, x)


class DrawsInLoop(nn.Cell):
    """Dropout in a loop whose length is a tensor."""

    def construct(self, x: Tensor, steps: Tensor) -> Tensor:
        i = Tensor(0, ms.int32)
        while i < steps:
            x = ops.dropout(ops.tanh(x), 0.5, True)
            i = i + 1
        return x


def compile_unsupported(config):
    Unsupported().compile(Tensor(np.ones((2, 2), np.float32)))


def compile_drawing(config):
    DrawsInLoop().compile(Tensor(np.ones((2, 2), np.float32)), Tensor(3, ms.int32))


class Doubles(nn.Cell):
    """A product of float64, which the compiler accepts and CANN does not."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.MatMul()(x, x)


def compile_doubles(config):
    Doubles().compile(Tensor(np.ones((2, 2), np.float64)))


BAD = [
    Graph("without a kernel", compile_unsupported, {}),
    Graph("draws in a loop", compile_drawing, {}),
    Graph("of float64", compile_doubles, {}),
]


def test_the_quick_graphs_compile_for_ascend(plugin, tmp_path):
    status, out, err = dry_run("--quick", "--json", tmp_path / "found.json")
    assert status == 0, out + err
    training, speaking = json.loads((tmp_path / "found.json").read_text())
    assert training["ok"] and (training["ranks"], training["jit_level"]) == (8, "O0")
    assert training["kernels"]["MatMul"] == "aclnn" and training["kernels"]["AllReduce"] == "HCCL"
    # A bucket of gradients, the losses, the loss's frames, and 5 sums of batch norm in each of 3 layers; one for each of
    # 30 gradients and 4 losses would be 50.
    assert training["counts"]["HCCL"] == {"AllReduce": 1 + 1 + 1 + 5 * 3}
    assert set(training["counts"]["AICPU"]) <= ON_AICPU and "AICPU" not in speaking["counts"]
    assert speaking["in_place"] == {"ScatterUpdate": 9}
    assert 0 < speaking["launches_per_decoder_step"] < 110 < speaking["launches"]
    assert "nothing has run there" in out


def test_what_must_not_run_there_fails(plugin):
    cases = [Case(number, graph.name, "O0", 1) for number, graph in enumerate(BAD)]
    unsupported, drawing, doubles = compile_cases(cases, "tests.test_ascend_dry_run:BAD")
    assert "Fmax" in unsupported.error and "\n" not in unsupported.error
    assert drawing.error == "on the AICPU in a loop: DropoutGenMask"
    assert doubles.error == "types that CANN is not documented to take: MatMul float64"
    record = ascend_dry_run.record(unsupported)
    assert record["ok"] is False and record["kernels"] == {} and record["launches"] == 0


@pytest.mark.slow
def test_all_graphs_compile_for_ascend(plugin, tmp_path):
    status, out, err = dry_run("--json", tmp_path / "found.json")
    assert status == 0, out + err
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == len(ascend_dry_run.cases(GRAPHS)) and all(each["ok"] for each in found)
    assert {name for each in found for name in each["counts"].get("AICPU", ())} <= ON_AICPU
    launches = {(each["graph"], each["jit_level"]): each["launches"] for each in found if each["ranks"] == 1}
    assert all(launches[graph, "O1"] < launches[graph, "O0"] for graph, _ in launches)
    text = (ROOT / "docs" / "backends.md").read_text()
    assert page.tables(found) in text, "run scripts/ascend_dry_run.py --json FILE --page docs/backends.md"


@pytest.mark.parametrize(
    "flags", ["--json nowhere/found.json", "--json found.json --page page.md", "--json x --jobs 0"]
)
def test_bad_input_is_found_before_anything_is_compiled(tmp_path, flags):
    (tmp_path / "page.md").write_text("no marks")
    words = [str(tmp_path / word) if "." in word or word == "x" else word for word in flags.split()]
    status, out, err = dry_run("--quick", *words, PATH="")
    assert (status, out) == (2, "") and "g++" not in err and "Traceback" not in err


def test_without_a_compiler_it_says_what_to_install(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    status, out, err = dry_run("--quick", "--json", tmp_path / "found.json", PATH=str(tmp_path))
    assert (status, out) == (2, "") and err.startswith("error: g++, nm,") and "apt install g++" in err
    assert not (tmp_path / "found.json").exists()


def test_launches_of_a_call_follow_its_loops():
    loops = {
        "AttentionScan 1": 60,
        "AttentionScan 2": 40,
        **{f"LSTMScan {i}": n for i, n in enumerate((9, 8, 8, 5, 4, 4), 1)},
    }
    record = {"launches": 1000, "launches_by_loop": loops}
    outside = 1000 - sum(loops.values())
    # The decoder's LSTM is the one whose loops start most kernels: 9 backward and 5 forward.
    wanted = outside + 120 * (100 + 14) + 20 * (8 + 8 + 4 + 4)
    assert page.launched(record, {"AttentionScan": 120, "decoder": 120, "LSTMScan": 20}) == wanted
    assert page.per_decoder_step(loops) == (60 + 40 + 9 + 5) / page.SCAN_STEPS
    forward = {"AttentionScan 1": 40, "LSTMScan 1": 4, "LSTMScan 2": 4, "LSTMScan 3": 5}
    assert page.per_decoder_step(forward) == (40 + 5) / page.SCAN_STEPS
    assert (
        page.per_decoder_step({"FreeRunning 1": 3, "LSTMScan 1": 4, "LSTMScan 2": 4, "free_run 1": 85})
        == 85 / page.FREE_STEPS
    )
    assert page.per_decoder_step({}) is None
    assert BLOCKS["Ascend"] == (page.SCAN_STEPS, page.FREE_STEPS)


def test_products_are_those_of_the_networks():
    training, *_, waveglow = page.works()
    assert training.flops == pytest.approx(5.5e12, rel=0.1)  # docs/data_parallel.md has it without the attention
    assert waveglow.flops == pytest.approx(11.8e12, rel=0.1)


def test_the_page_is_written_between_its_marks(tmp_path):
    record = {
        "graph": "a graph", "jit_level": "O0", "ranks": 1, "ok": True, "error": "", "kernels": {"Add": "aclnn"},
        "launches": 3, "launches_by_loop": {"scan 1": 2}, "launches_per_decoder_step": None,
        "in_place": {}, "counts": dict(Counter()), "types": {"Add": ["float32 int32 - -> float32"]},
    }  # fmt: skip
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write_page(path, [record, record | {"ok": False, "error": "why"}])
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert (
        "| a graph | 1 | O0 | 3 |" in text
        and "**why**" in text
        and "| `Add` | aclnn | float32, int32 | [aclnnAdd](https://" in text
    )
    path.write_text("no marks")
    with pytest.raises(page.InputError, match="marks"):
        page.write_page(path, [record])
