"""The MINDIR files, or on Ascend AIR files, of both networks."""

import shutil
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import InputError
from src.export.artifact import Arrays, Artifact, TensorSpec, read_described
from src.export.cells import SpectralSubtraction, Tacotron2Export, WaveGlowExport
from src.models.sampling import item_seed, latents, prenet_dropout_mask
from src.models.tacotron2.model import Tacotron2
from src.models.tacotron2.stopping import STOP_REASONS
from src.models.waveglow.denoiser import Denoiser
from src.models.waveglow.model import WaveGlow

LIMIT = 1e-5
FIXED_FRAMES = 400  # of the mel spectrogram that an AIR file takes, which has no dynamic sizes
SET_INPUTS = (
    "a GraphCell takes texts of different lengths only after set_inputs; src.export.mindir.load_mindir does that"
)


def load_mindir(path: str | Path) -> nn.GraphCell:
    """A MINDIR file as a cell that takes all sizes which the description beside it calls dynamic.

    Without `set_inputs` MindSpore compiles for each size anew, and 2.10 fails at the second size of a graph with loops.

    Raises:
        InputError: a file or description that is missing or damaged. MindSpore reads the file by its path, so again after this check.
    """
    specs = read_described(Path(path))[1]["inputs"]
    return _load(Path(path), {spec.pop("name"): TensorSpec(**spec) for spec in specs})


def _load(path: Path, inputs: dict[str, TensorSpec]) -> nn.GraphCell:
    cell = nn.GraphCell(ms.load(str(path)))
    cell.set_inputs(*placeholders(inputs))
    return cell


def placeholders(inputs: dict[str, TensorSpec]) -> list[Tensor]:
    """Tensors without content that have the sizes of `inputs`."""
    shapes = [[size if isinstance(size, int) else None for size in spec.shape] for spec in inputs.values()]
    return [
        Tensor(shape=shape, dtype=getattr(ms, spec.dtype)) for spec, shape in zip(inputs.values(), shapes, strict=True)
    ]


def tacotron2_artifacts(reference: Tacotron2, max_symbols: int, fixed: bool) -> list[Artifact]:
    """The file of a Tacotron 2. `fixed`: no dynamic sizes."""
    speaker, model = Tacotron2Export(reference, max_symbols), reference.config.model
    n_symbols, n_steps = speaker.max_symbols, model.max_decoder_steps
    inputs = {
        "text": TensorSpec(
            "int32",
            (1, n_symbols if fixed else "symbols"),
            f"symbol ids, at most {n_symbols}; what is more is not spoken",
        ),
        "text_lengths": TensorSpec("int32", (1,), "symbols of the text; what follows them is padding"),
    }
    if speaker.draws:
        share = f"{1 - model.prenet_dropout:g}"
        meaning = (
            f"dropout of the prenet: 0, or with probability {share} 1 / {share}; see src.models.sampling.prenet_keep"
        )
        inputs["dropout_mask"] = TensorSpec("float32", speaker.dropout_mask_shape, meaning)
    outputs = {
        "mel": TensorSpec(
            "float32",
            (1, reference.n_mels, n_steps * reference.reduction_factor),
            "mel spectrogram, 0 from its length on",
        ),
        "mel_lengths": TensorSpec("int32", (1,), "frames of the mel spectrogram"),
        "alignments": TensorSpec(
            "float32", (1, n_steps, n_symbols), "attention weights of each decoder step, 0 after the last step"
        ),
        "stop_reasons": TensorSpec(
            "int32", (1,), f"why it ended: {', '.join(f'{i} {reason}' for i, reason in enumerate(STOP_REASONS))}"
        ),
    }
    random = np.random.default_rng(0)

    def example(length: int) -> Arrays:
        text = random.integers(1, model.n_symbols, (1, length), np.int32)
        if fixed:
            text = np.pad(text, ((0, 0), (0, n_symbols - length)))
        arrays = {"text": text, "text_lengths": np.array([length], np.int32)}
        return arrays | (
            {"dropout_mask": prenet_dropout_mask(model, [item_seed(0, 0)], speaker.dropout_mask_shape[0])}
            if speaker.draws
            else {}
        )

    def speak(arrays: Arrays) -> Arrays:
        text = np.pad(arrays["text"], ((0, 0), (0, n_symbols - arrays["text"].shape[1])))
        speech = reference.generate(Tensor(text), Tensor(arrays["text_lengths"]), 0)
        whole = {name: np.zeros(spec.shape, spec.dtype) for name, spec in outputs.items()}
        mel, alignments = speech.mel.asnumpy(), speech.alignments.asnumpy()
        whole["mel"][:, :, : mel.shape[2]] = mel
        whole["mel_lengths"][:] = speech.mel_lengths.asnumpy()
        whole["alignments"][:, : alignments.shape[1]] = alignments
        whole["stop_reasons"][:] = [STOP_REASONS.index(reason) for reason in speech.stop_reasons]
        return whole

    lengths = [min(7, n_symbols), min(40, n_symbols)]
    notes = {"max_symbols": n_symbols, "loading": SET_INPUTS}
    return [
        _artifact(
            reference.config,
            "tacotron2",
            speaker,
            inputs,
            outputs,
            speak,
            [example(length) for length in lengths],
            fixed,
            notes,
        )
    ]


def waveglow_artifacts(reference: WaveGlow, fixed: bool) -> list[Artifact]:
    """The files of a WaveGlow, itself and its denoiser; `fixed` as above."""
    audio, model = reference.config.audio, reference.config.model
    n_positions = audio.hop_length // model.n_group
    frames = FIXED_FRAMES if fixed else "frames"
    samples = FIXED_FRAMES * audio.hop_length if fixed else "samples"
    sizes = [FIXED_FRAMES] if fixed else [5, 23]
    inputs = {
        "mel": TensorSpec("float32", (1, audio.n_mels, frames), "mel spectrogram of at least 2 frames"),
        "noise": TensorSpec(
            "float32",
            (1, model.n_group, FIXED_FRAMES * n_positions if fixed else "positions"),
            f"normal values, {n_positions} positions for each frame, times sigma ({model.sigma:g} by default); channels in order of use",
        ),
    }
    wav = TensorSpec("float32", (1, samples), f"{audio.hop_length} samples for each frame")
    random = np.random.default_rng(0)

    def example(n_frames: int) -> Arrays:
        mel = random.standard_normal((1, audio.n_mels, n_frames), np.float32)
        return {"mel": mel, "noise": model.sigma * latents(0, 1, n_frames * n_positions, model.n_group).swapaxes(1, 2)}

    def sound(arrays: Arrays) -> Arrays:
        ends = np.cumsum(reference.synthesis.latent_splits)[:-1]
        return {"audio": reference.infer(arrays["mel"], 1.0, noise=np.split(arrays["noise"], ends, 1)).asnumpy()}

    reference.remove_weight_norm()
    denoiser = Denoiser(reference)
    spoken = [
        {"audio": random.standard_normal((1, n * audio.hop_length), np.float32), "strength": np.ones(1, np.float32)}
        for n in sizes
    ]

    def denoise(arrays: Arrays) -> Arrays:
        return {"denoised": denoiser(arrays["audio"][0], float(arrays["strength"][0]))[None]}

    strength = TensorSpec("float32", (1,), "how much of the network's own hum is taken off, such as 0.01")
    voice = _artifact(
        reference.config,
        "waveglow",
        WaveGlowExport(reference),
        inputs,
        {"audio": wav},
        sound,
        [example(n) for n in sizes],
        fixed,
    )
    inputs, cell = {"audio": wav, "strength": strength}, SpectralSubtraction(denoiser)
    return [voice, _artifact(reference.config, "denoiser", cell, inputs, {"denoised": wav}, denoise, spoken, fixed)]


def _artifact(config, name, cell, inputs, outputs, reference, examples, fixed, notes=None) -> Artifact:  # noqa: ANN001
    def write(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:  # as MindSpore takes no path that has spaces or accents
            file = Path(folder) / path.name
            ms.export(cell, *placeholders(inputs), file_name=str(file), file_format="AIR" if fixed else "MINDIR")
            if not file.is_file():
                raise InputError(f"{path.name}: the network is too large for one file")
            file.chmod(0o644)
            shutil.move(file, path)

    def reload(path: Path):
        loaded = _load(path, inputs)

        def run(arrays: Arrays) -> Arrays:
            found = loaded(*(Tensor(arrays[name]) for name in inputs))
            found = found if isinstance(found, tuple) else (found,)
            return {name: values.asnumpy() for name, values in zip(outputs, found, strict=True)}

        return run

    return Artifact(
        name, inputs, outputs, write, reference, None if fixed else reload, examples, LIMIT, config, notes or {}
    )
