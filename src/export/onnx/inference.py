"""Speech from the ONNX files of export.py, with numpy and onnxruntime, without MindSpore."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.config import load_config
from src.errors import InputError, diverged, quote
from src.export.artifact import read_described
from src.models.harmonic.padding import padded, unpadded
from src.models.inputs import check_inputs
from src.models.sampling import Seed, item_seed, latents, noise_and_phase, prenet_dropout_mask
from src.models.tacotron2.stopping import (
    NOT_STOPPED,
    RESTING_WEIGHT,
    STOP_REASONS,
    STOPPED_BY_ATTENTION,
    STOPPED_BY_GATE,
    attention_stop_steps,
)
from src.synthesis.joining import join_sentences
from src.text import encode_texts, speakable_sentences

try:
    import onnxruntime
except ImportError as error:
    raise InputError("speaking with ONNX files takes onnxruntime: pip install onnxruntime") from error

# Keys that can be overridden when speaking; the files fix all others.
FREE = {f"model.{key}" for key in ("max_decoder_steps", "gate_threshold", "attention_stop_frames", "prenet_dropout")}
FREE |= {f"text.{key}" for key in ("foreign_script", "sentence_pause", "max_sentence_length")}
FREE |= {"audio.griffinlim_iterations", "audio.griffinlim_power"}


class Spoken(NamedTuple):
    """Result of free-running inference for a batch; each item is zero beyond its own length."""

    mel: np.ndarray  # float32 (B, n_mels, T)
    mel_lengths: np.ndarray  # int32 (B,), frames
    alignments: np.ndarray  # float32 (B, T / r, L)
    stop_reasons: list[str]


class OnnxFile:
    """A model in an ONNX file: inputs by name -> outputs by name."""

    def __init__(self, content: bytes):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(content, options, providers=onnxruntime.get_available_providers())
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self.outputs, self.session.run(self.outputs, arrays), strict=True))


class OnnxTacotron2:
    """Tacotron 2 from its three files in a folder.

    `config` and `generate` correspond to those of `src.models.tacotron2.model.Tacotron2`.

    Raises:
        InputError: files that are missing, damaged or of different exports; overrides of keys that the files fix.
    """

    def __init__(self, folder: str | Path, overrides: dict[str, Any] | None = None):
        self.encoder, self.step, self.postnet, self.config = _load(
            Path(folder), ("encoder", "decoder_step", "postnet"), overrides or {}
        )

    def generate(self, text: np.ndarray, text_lengths: np.ndarray, seeds: Sequence[Seed]) -> Spoken:
        """Speak texts int32 (B, L) of lengths (B,); the dropout of each is drawn from its own seed."""
        model, audio = self.config.model, self.config.audio
        r, n_batch, length = model.reduction_factor, len(text), text.shape[1]
        stop_steps = attention_stop_steps(model.attention_stop_frames, r)
        encoded = self.encoder({"text": text, "text_lengths": text_lengths})
        last_symbol = np.arange(length) == text_lengths[:, None] - 1
        sizes = {
            "attention_hidden": model.attention_rnn_dim,
            "attention_cell": model.attention_rnn_dim,
            "context": model.encoder_dim,
            "weights": length,
        }
        sizes |= {"weights_cum": length, "decoder_hidden": model.decoder_rnn_dim, "decoder_cell": model.decoder_rnn_dim}
        state = {name: np.zeros((n_batch, size), np.float32) for name, size in sizes.items()}
        frame = np.zeros((n_batch, r * audio.n_mels), np.float32)
        steps, resting, reason = (np.zeros(n_batch, np.int32) for _ in range(3))
        frames, alignments = [], []
        for dropout_mask in prenet_dropout_mask(model, seeds, model.max_decoder_steps):
            found = self.step({"frame": frame, "dropout_mask": dropout_mask, **state, **encoded})
            frame, state = found["next_frame"], {name: found[f"next_{name}"] for name in state}
            frames.append(frame)
            alignments.append(state["weights"])
            running = reason == NOT_STOPPED
            steps += running
            resting = (resting + 1) * ((state["weights"] * last_symbol).sum(1) > RESTING_WEIGHT)
            rests = (resting >= stop_steps) & (stop_steps > 0)
            stop = np.where(
                found["gate"] > model.gate_threshold,
                STOPPED_BY_GATE,
                np.where(rests, STOPPED_BY_ATTENTION, NOT_STOPPED),
            )
            reason = np.where(running, stop, reason)
            if (reason != NOT_STOPPED).all():
                break
        mel_lengths = steps * r
        mel = np.stack(frames, 1).reshape(n_batch, -1, audio.n_mels).swapaxes(1, 2)
        mel = self.postnet({"mel": np.ascontiguousarray(mel), "mel_lengths": mel_lengths})["mel_postnet"]
        attended = np.stack(alignments, 1) * (np.arange(len(alignments)) < steps[:, None])[:, :, None]
        return Spoken(mel, mel_lengths, attended.astype(np.float32), [STOP_REASONS[code] for code in reason])


def speak(
    net: OnnxTacotron2, text: str, vocoder: Callable[[np.ndarray], np.ndarray], seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Speak a text sentence by sentence, each with the random stream that eval.py gives it.

    Args:
        vocoder: turns a log mel [n_mels, frames] into its waveform.

    Returns:
        Waveform [samples] with limited peaks and mel [n_mels, frames], pauses included; text, frames and stop reason of
            each sentence.

    Raises:
        InputError: nothing of the text can be spoken, or the network's output is not finite.
    """
    pieces = speakable_sentences(text, net.config.text)
    if not pieces:
        raise InputError(f"nothing of {quote(text)} can be spoken")
    wavs, mels, sentences = [], [], []
    for position, piece in enumerate(pieces):
        mel, mel_lengths, _, stop_reasons = net.generate(
            *encode_texts([piece], net.config), [item_seed(seed, position)]
        )
        if not np.isfinite(mel).all():
            raise diverged(f"the network's output for {quote(piece)} is not finite")
        wavs.append(vocoder(mel[0]))
        mels.append(mel[0])
        sentences.append({"text": piece, "frames": int(mel_lengths[0]), "stop_reason": stop_reasons[0]})
    joined = join_sentences(wavs, mels, net.config)
    return joined.wav, joined.mel, sentences


class OnnxWaveGlow:
    """WaveGlow from its file in a folder.

    `config`, `infer` and `remove_weight_norm` correspond to those of `src.models.waveglow.model.WaveGlow`.
    """

    def __init__(self, folder: str | Path):
        self.net, self.config = _load(Path(folder), ("waveglow",), {})

    def infer(self, mel: np.ndarray, sigma: float | None = None, seed: int = 0) -> np.ndarray:
        """mel (B, n_mels, F) -> float32 (B, F * hop).

        Raises:
            InputError: a mel or a sigma that `WaveGlow.infer` refuses.
        """
        model, hop_length = self.config.model, self.config.audio.hop_length
        mel, sigma = np.asarray(mel), model.sigma if sigma is None else sigma
        check_inputs(mel, sigma, self.config.audio.n_mels)
        noise = latents(seed, len(mel), mel.shape[2] * hop_length // model.n_group, model.n_group) * np.float32(sigma)
        return self.net({"mel": mel.astype(np.float32), "noise": np.ascontiguousarray(noise.swapaxes(1, 2))})["audio"]

    def remove_weight_norm(self) -> None:
        """Do nothing: the export has removed it already."""


class OnnxHarmonic:
    """The harmonic vocoder from its file in a folder.

    `config`, `infer` and `remove_weight_norm` correspond to those of `src.models.harmonic.model.HarmonicVocoder`.
    """

    def __init__(self, folder: str | Path):
        self.net, self.config = _load(Path(folder), ("harmonic",), {})

    def infer(self, mel: np.ndarray, sigma: float | None = None, seed: int = 0) -> np.ndarray:
        """mel (B, n_mels, F) -> float32 (B, F * hop).

        Raises:
            InputError: a mel or a sigma that `HarmonicVocoder.infer` refuses.
        """
        hop_length, mel = self.config.audio.hop_length, np.asarray(mel)
        sigma = 1.0 if sigma is None else sigma
        check_inputs(mel, sigma, self.config.audio.n_mels)
        seeds = [item_seed(seed, item) for item in range(len(mel))]
        noise, start = noise_and_phase(seeds, mel.shape[2] * hop_length)
        whole, noise = padded(mel, noise * np.float32(sigma), hop_length)
        audio = self.net({"mel": whole, "noise": noise, "start": start})["audio"]
        return unpadded(audio, mel.shape[2], hop_length)

    def remove_weight_norm(self) -> None:
        """Do nothing: there is none."""


def onnx_vocoder(folder: str | Path) -> OnnxWaveGlow | OnnxHarmonic:
    """Load the vocoder whose file is in a folder: harmonic.onnx, or waveglow.onnx."""
    return OnnxHarmonic(folder) if (Path(folder) / "harmonic.onnx").exists() else OnnxWaveGlow(folder)


def _load(folder: Path, names: Sequence[str], overrides: dict[str, Any]) -> list[Any]:
    """Load the models of these names, and the configuration that they share."""
    if fixed := sorted(set(overrides) - FREE):
        raise InputError(f"{', '.join(fixed)}: fixed in ONNX files; only {', '.join(sorted(FREE))} can be changed")
    files, origins = [], []
    for name in names:
        path = folder / f"{name}.onnx"
        content, found = read_described(path)
        origins.append((found["checkpoint"], found["overrides"]))
        if origins[0] != origins[-1]:
            raise InputError(f"{path}: comes from another export than {folder / names[0]}.onnx")
        files.append(OnnxFile(content))
    return [*files, load_config(found["config"], overrides)]
