"""Start of a training run, before its first step: the output folder, the dataset, compilation."""

import time
from dataclasses import replace
from pathlib import Path

import mindspore as ms
from mindspore import nn

import src
from src import runtime
from src.checkpoint import content_sha256, network_parameters
from src.config import Config, network_of
from src.data.batches import Batches
from src.data.corpus import Corpus
from src.data.segments import Segments
from src.errors import InputError, some_of
from src.train.report import RANK_LOGS, Report
from src.train.step import TrainStep
from src.train.task import Task


def refuse_used_folder(output_dir: Path) -> None:
    """Make sure that a new run does not write into the folder of another one.

    Raises:
        InputError: the folder holds something other than the logs that the launcher has just begun.
    """
    if output_dir.is_dir() and any(path.name != RANK_LOGS for path in output_dir.iterdir()):
        raise InputError(
            f"{output_dir}: is not empty; continue the run in it with --resume {output_dir}, "
            "or choose another --output_dir"
        )


def open_corpora(data_path: str | Path, config: Config, report: Report) -> tuple[Corpus, Corpus | None]:
    """Open the clips of a dataset to train on and those to validate on, None if it was made without any.

    Raises:
        InputError: a dataset that is missing, or was made with other settings than those of `config`.
    """
    corpora = open_splits(data_path, config)
    if len(corpora) == 2:
        return corpora[0], corpora[1]
    report.say(
        f"{data_path}: has no clips to validate on (data.val_fraction 0); there will be no validation loss, no "
        "best.ckpt and no pictures"
    )
    return corpora[0], None


def open_splits(data_path: str | Path, config: Config) -> list[Corpus]:
    """Open the clips of a dataset to train on and, if there are any, those to validate on.

    Raises:
        InputError: a dataset that is missing, or was made with other settings than those of `config`.
    """
    corpora = [Corpus(data_path, "train")]
    corpora[0].check(config)
    if "val" in corpora[0].stats["splits"]:
        corpora.append(Corpus(data_path, "val"))
    return corpora


def with_speakers(config: Config, corpus: Corpus, report: Report) -> Config:
    """Take the names of the voices from the dataset, if the network tells several apart.

    Raises:
        InputError: the dataset has others, or another number of them.
    """
    n_speakers, names = getattr(config.model, "n_speakers", 1), corpus.speaker_names
    if n_speakers == 1:
        if len(names) > 1 and network_of(config).kind == "acoustic":
            report.say(f"{corpus.folder}: has {len(names)} voices, which a network with model.n_speakers 1 mixes up")
        return config
    if len(names) != n_speakers:
        found = f"{len(names)} ({some_of(names, 5)})" if names else "no column of speakers"
        raise InputError(f"{corpus.folder}: has {found}, but model.n_speakers is {n_speakers}")
    if config.data.speakers not in ([], names):
        wanted = some_of(config.data.speakers, 5)
        raise InputError(f"{corpus.folder}: its voices are {some_of(names, 5)}, but data.speakers is {wanted}")
    return replace(config, data=replace(config.data, speakers=names))


def compile_step(step: TrainStep, task: Task, batches: Batches | Segments, report: Report) -> None:
    """Compile the graphs of all batch shapes. It takes the same time now as later, and less memory."""
    examples = [task.inputs(batch, 0) for batch in batches.examples()]
    shapes = [[list(value.shape) for value in inputs if value.shape] for inputs in examples]
    sizes = ", ".join(" ".join("x".join(map(str, shape)) for shape in batch) for batch in shapes)
    report.say(f"compiling graphs for batches of {sizes}")
    began = time.perf_counter()
    step.compile(examples)
    seconds = time.perf_counter() - began
    report.say(f"compiled in {seconds:.1f} s")
    report.row(compiled=shapes, compile_s=seconds)


def assert_equal_weights(net: nn.Cell) -> None:
    """Make sure that all ranks begin with the same weights. All ranks must call this.

    Raises:
        RuntimeError: they do not.
    """
    weights = {name: weight.asnumpy() for name, weight in network_parameters(net).items()}
    runtime.assert_equal(content_sha256(weights, {}), "initial weights")


def introduction(config: Config, net: nn.Cell, device: str, clips: str, step: int) -> str:
    """A line for the screen: network, versions, device, precision, size, `clips` (how many, in which batches), step."""
    weights, trained = ([weight.size for weight in each] for each in (net.get_parameters(), net.trainable_params()))
    frozen = f" ({sum(trained) / 1e6:.2f} M of them trained)" if config.train.freeze else ""
    millions = sum(weights if config.train.freeze else trained) / 1e6
    ranks = f" x {runtime.world_size()}" if runtime.world_size() > 1 else ""
    return (
        f"{config.model.name} {src.__version__}, MindSpore {ms.__version__}, {device}{ranks}, "
        f"precision {config.train.amp}: {millions:.2f} M parameters{frozen}; {clips}; from step {step}"
    )
