"""Compiled graphs in the user's cache: a second process finds what the first compiled, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_training import TINY

from src.checkpoint import save_checkpoint
from src.config import load_config
from src.models.factory import create_model

ROOT = Path(__file__).parents[1]
SPEAK = """
import json, sys
from src import create_model, prepare_input_sequence
from src.synthesis.synthesis import compile_generate
net = create_model(checkpoint=sys.argv[1], overrides=json.loads(sys.argv[2]))
text, lengths = prepare_input_sequence(["Hello world."], config=net.config)
compile_generate(net, *text.shape)
print(json.dumps(net.generate(text, lengths).mel.asnumpy().tolist()))
"""


@pytest.fixture
def speak(tmp_path):
    """`speak(checkpoint, cache, **overrides)` speaks in a process of its own and returns the mel."""

    def run(checkpoint, cache=tmp_path / "cache", **overrides):
        overrides = {"model.max_decoder_steps": 20, "model.gate_threshold": 1.0} | {
            f"model.{name}": value for name, value in overrides.items()
        }
        environment = os.environ | {"GRAPH_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
        (tmp_path / "speak.py").write_text(SPEAK)
        command = [sys.executable, "speak.py", checkpoint, json.dumps(overrides)]
        return json.loads(
            subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
        )

    return run


def graphs(folder):
    return {path.parent.parent.parent.name: path.stat().st_mtime_ns for path in folder.rglob("*.mindir")}


@pytest.mark.slow
def test_a_graph_is_kept_and_found_with_other_weights_and_no_other_shape(tmp_path, speak):
    config = load_config(overrides={key.replace("__", "."): value for key, value in TINY.items()})
    for name in ("first.ckpt", "second.ckpt"):
        save_checkpoint(tmp_path / name, create_model(config=config), config)
    alone = [speak(tmp_path / name, "off") for name in ("first.ckpt", "second.ckpt")]
    assert not (tmp_path / "cache").exists() and alone[0] != alone[1]

    assert speak(tmp_path / "first.ckpt") == alone[0]
    kept = graphs(tmp_path / "cache")
    assert len(kept) == 1
    assert speak(tmp_path / "first.ckpt") == alone[0]
    assert speak(tmp_path / "second.ckpt") == alone[1]
    assert graphs(tmp_path / "cache") == kept  # neither compiled anew nor written again

    assert speak(tmp_path / "first.ckpt", max_decoder_steps=10) != alone[0]
    assert len(graphs(tmp_path / "cache")) == 2
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".new")] == []


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, speak):
    config = load_config(overrides={key.replace("__", "."): value for key, value in TINY.items()})
    save_checkpoint(tmp_path / "x.ckpt", create_model(config=config), config)
    (tmp_path / "file").write_text("in the way")
    assert speak(tmp_path / "x.ckpt", tmp_path / "file") == speak(tmp_path / "x.ckpt", "off")


ASIDE = """
import numpy as np
import mindspore as ms
from mindspore import Parameter, Tensor
from src import runtime
from src.runtime import graph_cache
from src.train.step import Graph

runtime.setup(0)
weight = Parameter(Tensor(np.array([1.0, 2.0], np.float32)), name="weight")


def add(x):
    return ms.ops.assign_add(weight, x * 2)


graph, x, children = Graph(add, [weight]), Tensor(np.array([3.0, 4.0], np.float32)), []
run_in_child = runtime.run_in_child
graph_cache.run_in_child = lambda work: children.append(run_in_child(work))
graph_cache.compile_aside(lambda: graph.compile(x))
graph(x), graph(x)
print(children, weight.asnumpy().tolist())
"""


def test_a_graph_that_a_child_compiled_has_the_parents_weights(tmp_path):
    script = tmp_path / "aside.py"
    script.write_text(ASIDE)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[True] [13.0, 18.0]"
