"""Ground-truth-aligned mels: what a Tacotron 2 makes of each clip with a teacher, and when it reads each symbol.

A vocoder that trains on such mels learns to speak from those of this network, not only from those of recordings.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn
from tqdm import tqdm

from src import runtime
from src.audio import mel_signature
from src.checkpoint import content_sha256, network_parameters
from src.config import Config
from src.data.batches import Batch, Batches, plan_buckets
from src.data.corpus import Corpus
from src.data.mel_file import MANIFEST, clip_path
from src.errors import InputError, diverged
from src.files import make_folder, read_json, write_atomically, write_json
from src.train.start import open_splits
from src.train.tacotron2 import speakers_of


def align(net: nn.Cell, data_path: Path, output_dir: Path, batch_size: int, overwrite: bool = False) -> dict[str, int]:
    """Run a network teacher forced over all clips of a dataset, and write what it makes of each.

    For the clip `id` these are `{id}.npz` (mel float32 [n_mels, T] after the postnet; alignment float16 [steps, L];
    durations int32 [L], frames of each symbol, whose sum is T; symbols int32 [L]) and `{id}.TextGrid`, the durations
    for Praat. The manifest `align.json` is complete when all of them are there.

    Clips whose files are there from an interrupted run of the same network and dataset are left as they are.

    Args:
        net: Tacotron 2 with its `config`.
        overwrite: replace the files of another network or dataset.

    Returns:
        Number of clips that were written, and of those that were there.

    Raises:
        InputError: a dataset of other settings, files of another network, output that is not finite, no room to write.
    """
    config, corpora = net.config, open_splits(data_path, net.config)
    weights = {name: weight.asnumpy() for name, weight in network_parameters(net).items()}
    manifest = {
        "format": 1,
        "mel_signature": mel_signature(config.audio),
        "network_sha256": content_sha256(weights, {}),
        "dataset": str(data_path.resolve()),
        "recordings_sha256": corpora[0].stats.get("recordings_sha256", ""),
        "reduction_factor": config.model.reduction_factor,
    }
    _begin(output_dir, manifest, overwrite)
    net.set_train(False)

    @runtime.jit
    def forward(text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor, *speakers: Tensor):
        return net(text, text_lengths, mel, mel_lengths, *speakers)

    # The splits share their shapes, so that each is compiled once.
    buckets = plan_buckets(
        np.concatenate([corpus.text_lengths for corpus in corpora]),
        np.concatenate([corpus.mel_lengths for corpus in corpora]),
        config.data.n_buckets,
        config.model.reduction_factor,
    )
    shapes = min(batch_size, max(map(len, corpora))), buckets
    frames, counts = {}, {"written": 0, "there": 0}
    for corpus in corpora:
        frames |= dict(zip(corpus.ids, corpus.mel_lengths.tolist(), strict=True))
        done = np.array([_is_done(output_dir, id) for id in corpus.ids])
        counts["there"] += int(done.sum())
        counts["written"] += _align_split(forward, corpus, done, output_dir, shapes, config)
    write_json(output_dir / MANIFEST, {**manifest, "frames": frames, "complete": True}, indent=1)
    return counts


def _begin(output_dir: Path, manifest: dict[str, Any], overwrite: bool) -> None:
    """Make the folder. Files of the same run stay; those of another are refused, or deleted one by one."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        present = [path for path in output_dir.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{output_dir}: cannot be written ({error.strerror})") from error
    if present:
        try:
            before = read_json(output_dir / MANIFEST)
            different = [key for key in manifest if before.get(key) != manifest[key]]
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{output_dir}: holds other files; choose another --output_dir") from error
        if different and not overwrite:
            raise InputError(
                f"{output_dir}: holds mels of another network or dataset ({', '.join(different)}); "
                "--overwrite replaces them"
            )
        if overwrite:
            for pattern in ("*.npz", "*.TextGrid"):
                for path in output_dir.rglob(pattern):
                    path.unlink()
    write_json(output_dir / MANIFEST, {**manifest, "frames": {}, "complete": False}, indent=1)


def _is_done(folder: Path, id: str) -> bool:
    return clip_path(folder, id, ".npz").exists() and clip_path(folder, id, ".TextGrid").exists()


def _align_split(
    forward: Callable[..., Any],
    corpus: Corpus,
    done: np.ndarray,
    folder: Path,
    shapes: tuple[int, list[tuple[int, int]]],
    config: Config,
) -> int:
    """Write the clips of a split that are not done. Returns their number.

    Args:
        done: of each clip, whether its files are there.
        shapes: clips of a batch, and the lengths (L, T) that batches have.
    """
    batches = Batches(corpus, *shapes, 0, False, workers=config.data.workers)
    # Batches come in a fixed order, so those before the first clip that is missing need not even be read.
    plan = [clips[clips >= 0] for _, clips in batches.plan(0)]
    first = next((step for step, clips in enumerate(plan) if not done[clips].all()), len(plan))
    with tqdm(total=int((~done).sum()), desc=f"aligning {corpus.split}", unit="clip", dynamic_ncols=True) as bar:
        for batch in batches.epoch(0, first):
            missing = [i for i, clip in enumerate(batch.indices) if clip >= 0 and not done[clip]]
            if not missing:
                continue
            arrays = (batch.text, batch.text_lengths, batch.mel, batch.mel_lengths)
            outputs = forward(*map(Tensor, arrays), *speakers_of(batch, config.model.n_speakers > 1))
            mels, alignments = outputs[1].asnumpy(), outputs[3].asnumpy()
            for i in missing:
                _write(folder, batch, i, mels[i], alignments[i], corpus, config)
                bar.update()
    return int((~done).sum())


def _write(
    folder: Path, batch: Batch, i: int, mel: np.ndarray, alignment: np.ndarray, corpus: Corpus, config: Config
) -> None:
    id, n_frames, n_symbols = corpus.ids[batch.indices[i]], int(batch.mel_lengths[i]), int(batch.text_lengths[i])
    r = config.model.reduction_factor
    mel, alignment = mel[:, :n_frames], alignment[: -(-n_frames // r), :n_symbols]
    if not (np.isfinite(mel).all() and np.isfinite(alignment).all()):
        raise diverged(f"{id}: the output of the network is not finite")
    durations = durations_of(alignment, n_frames, r)
    symbols = batch.text[i, :n_symbols]
    content, path = io.BytesIO(), clip_path(folder, id, ".npz")
    np.savez_compressed(content, mel=mel, alignment=alignment.astype(np.float16), durations=durations, symbols=symbols)
    make_folder(path.parent)
    write_atomically(path, content.getvalue())
    seconds = config.audio.hop_length / config.audio.sample_rate
    grid = textgrid([config.text.symbols[symbol] for symbol in symbols], durations * seconds)
    write_atomically(clip_path(folder, id, ".TextGrid"), grid.encode())


def durations_of(alignment: np.ndarray, n_frames: int, reduction_factor: int) -> np.ndarray:
    """Turn an alignment into the duration of each symbol: the most likely path that never goes back.

    The path passes one symbol at each decoder step and maximises the product of their attention weights, by dynamic
    programming; symbols that it skips last 0 frames. Unlike the largest weight of each step, it cannot be misled by a
    glance back.

    Args:
        alignment: attention weights [steps, L].
        n_frames: of the clip; the last step may stand for fewer frames than the others.

    Returns:
        int32 [L], frames of each symbol; their sum is `n_frames`.
    """
    n_steps, n_symbols = alignment.shape
    scores = np.log(np.maximum(alignment.astype(np.float64), 1e-8))
    best, came_from = scores[0], []
    for step in range(1, n_steps):
        running = np.maximum.accumulate(best)
        is_new = np.concatenate([[True], best[1:] > running[:-1]])
        came_from.append(np.maximum.accumulate(np.where(is_new, np.arange(n_symbols), 0)))
        best = running + scores[step]
    path = [int(best.argmax())]
    for before in reversed(came_from):
        path.append(int(before[path[-1]]))
    frames = np.full(n_steps, reduction_factor)
    frames[-1] = n_frames - reduction_factor * (n_steps - 1)
    return np.bincount(path[::-1], weights=frames, minlength=n_symbols).astype(np.int32)


def textgrid(spelling: list[str], seconds: np.ndarray) -> str:
    """Write durations as a TextGrid of Praat: a tier of symbols and one of words, which spaces part.

    Args:
        spelling: the symbols of the text; phonemes begin with "@", which is left out.
        seconds: duration of each, [L]; symbols of no duration are left out, because Praat has no empty intervals.
    """
    ends = np.cumsum(seconds)
    symbols, words = [], []
    for symbol, start, end in zip(spelling, ends - seconds, ends, strict=True):
        label = symbol.removeprefix("@") or symbol
        if end > start:
            symbols.append((label, start, end))
        is_pause = label == " "
        if words and words[-1][3] == is_pause:
            gap = " " if len(symbol) > 1 else ""
            words[-1] = (f"{words[-1][0]}{gap}{label}", words[-1][1], end, is_pause)
        else:
            words.append((label, start, end, is_pause))
    tiers = {"symbols": symbols, "words": [("" if pause else word, a, b) for word, a, b, pause in words if b > a]}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {ends[-1]:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {ends[-1]:.6f}", f"        intervals: size = {len(intervals)}"]
        for k, (label, start, end) in enumerate(intervals, 1):
            text = label.replace('"', '""')
            lines += [f"        intervals [{k}]:", f"            xmin = {start:.6f}", f"            xmax = {end:.6f}"]
            lines.append(f'            text = "{text}"')
    return "\n".join(lines) + "\n"
