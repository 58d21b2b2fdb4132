"""Speech from exported files whose decoder loop runs here, with numpy; the runtimes of formats are elsewhere."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.audio import save_wav
from src.config import Config, load_config
from src.errors import InputError, diverged, quote
from src.export.artifact import Arrays, description_of, read_described
from src.files import make_folder, write_atomically, write_json
from src.models.harmonic.windows import HarmonicStream, Window, speak_whole
from src.models.inputs import check_inputs
from src.models.sampling import Seed, drawn_noise, item_seed, latents, prenet_dropout_mask
from src.models.tacotron2.stopping import STOP_REASONS, StopRule
from src.synthesis.joining import join_sentences
from src.text import encode_texts, speakable_sentences

# Keys that can be overridden when speaking; the files fix all others.
FREE = {f"model.{key}" for key in ("max_decoder_steps", "gate_threshold", "attention_stop_frames", "prenet_dropout")}
FREE |= {f"text.{key}" for key in ("foreign_script", "sentence_pause", "max_sentence_length")}
FREE |= {"audio.griffinlim_iterations", "audio.griffinlim_power"}

OpenFile = Callable[[Path, bytes, dict[str, Any]], Callable[[Arrays], Arrays]]


class Spoken(NamedTuple):
    """Result of free-running inference for a batch; each item is zero beyond its own length."""

    mel: np.ndarray  # float32 (B, n_mels, T)
    mel_lengths: np.ndarray  # int32 (B,), frames
    alignments: np.ndarray  # float32 (B, T / r, L)
    stop_reasons: list[str]


class Steps(NamedTuple):
    """Result of K decoder steps."""

    frames: np.ndarray  # (K, B, r * n_mels)
    gates: np.ndarray  # (K, B)
    alignments: np.ndarray  # (K, B, L)
    state: Arrays  # after the last step


class Tacotron2Files:
    """Tacotron 2 of an encoder, decoder steps and a postnet in files. Formats say how these are called.

    `config` and `generate` correspond to those of `src.models.tacotron2.model.Tacotron2`.
    """

    config: Config
    n_steps = 1  # of the decoder, in a call
    text_multiple = 64  # to which texts of a batch are padded, so that few shapes occur

    def encode(self, text: np.ndarray, text_lengths: np.ndarray, speaker: int | None = None) -> Arrays:
        """Run the encoder: what each decoder step takes of it, L being as long as its longest text allows.

        `speaker` is a number, of a network of several; files have one voice.
        """
        raise NotImplementedError

    def decode(self, frame: np.ndarray, dropout_mask: np.ndarray, state: Arrays, encoded: Arrays) -> Steps:
        """Run `n_steps` decoder steps from the frames of the step before, (B, r * n_mels); masks are (K, B, 2P)."""
        raise NotImplementedError

    def refine(self, mel: np.ndarray, mel_lengths: np.ndarray) -> np.ndarray:
        """Run the postnet: (B, n_mels, T) of lengths (B,) -> (B, n_mels, T)."""
        raise NotImplementedError

    def generate(self, text: np.ndarray, text_lengths: np.ndarray, seeds: Sequence[Seed]) -> Spoken:
        """Speak texts int32 (B, L) of lengths (B,); the dropout of each is drawn from its own seed."""
        model, audio = self.config.model, self.config.audio
        r, n_batch, length = model.reduction_factor, len(text), text.shape[1]
        encoded = self.encode(text, text_lengths)
        rules: dict[int, StopRule] = {item: StopRule(model, int(size)) for item, size in enumerate(text_lengths)}
        steps, reasons = np.zeros(n_batch, np.int32), [STOP_REASONS[0]] * n_batch
        frames, alignments = [], []
        dropout_mask = prenet_dropout_mask(model, seeds, model.max_decoder_steps)
        for frame, gate, weights in self._steps(encoded, dropout_mask):
            frames.append(frame)
            alignments.append(weights)
            for item in list(rules):  # those that speak
                steps[item] += 1
                if reason := rules[item](float(gate[item]), weights[item]):
                    reasons[item] = reason
                    del rules[item]
            if not rules:
                break
        mel_lengths = steps * r
        mel = np.stack(frames, 1).reshape(n_batch, -1, audio.n_mels).swapaxes(1, 2)
        mel = self.refine(np.ascontiguousarray(mel), mel_lengths)
        attended = np.stack(alignments, 1) * (np.arange(len(alignments)) < steps[:, None])[:, :, None]
        return Spoken(mel, mel_lengths, attended[:, :, :length].astype(np.float32), reasons)

    def _steps(self, encoded: Arrays, dropout_mask: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Frames, gates and attention weights of each step, for as many steps as there are masks (T, B, 2P)."""
        model = self.config.model
        n_batch, length, n_memory = encoded["memory"].shape
        n_attention, n_decoder, k = model.attention_rnn_dim, model.decoder_rnn_dim, self.n_steps
        sizes = {"attention_hidden": n_attention, "attention_cell": n_attention, "context": n_memory}
        sizes |= {"weights": length, "weights_cum": length, "decoder_hidden": n_decoder, "decoder_cell": n_decoder}
        state = {name: np.zeros((n_batch, size), np.float32) for name, size in sizes.items()}
        frame = np.zeros((n_batch, model.reduction_factor * self.config.audio.n_mels), np.float32)
        for first in range(0, len(dropout_mask), k):
            masks = dropout_mask[first : first + k]
            n_wanted = len(masks)
            if n_wanted < k:
                masks = np.pad(masks, ((0, k - n_wanted), (0, 0), (0, 0)))
            found = self.decode(frame, masks, state, encoded)
            frame, state = found.frames[-1], found.state
            yield from zip(found.frames[:n_wanted], found.gates, found.alignments)  # noqa: B905  those that are wanted


class WaveGlowFiles:
    """WaveGlow in a file.

    `config`, `infer` and `remove_weight_norm` correspond to those of `src.models.waveglow.model.WaveGlow`.
    """

    config: Config

    def sound(self, mel: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """mel (B, n_mels, F) and noise (B, n_group, F * hop / n_group) -> float32 (B, F * hop)."""
        raise NotImplementedError

    def infer(self, mel: np.ndarray, sigma: float | None = None, seed: int = 0) -> np.ndarray:
        """mel (B, n_mels, F) -> float32 (B, F * hop).

        Raises:
            InputError: a mel or a sigma that `WaveGlow.infer` refuses.
        """
        model, hop_length = self.config.model, self.config.audio.hop_length
        mel, sigma = np.asarray(mel), model.sigma if sigma is None else sigma
        check_inputs(mel, sigma, self.config.audio.n_mels)
        noise = latents(seed, len(mel), mel.shape[2] * hop_length // model.n_group, model.n_group) * np.float32(sigma)
        return self.sound(mel.astype(np.float32), np.ascontiguousarray(noise.swapaxes(1, 2)))

    def remove_weight_norm(self) -> None:
        """Do nothing: the export has removed it already."""


class HarmonicFiles:
    """The harmonic vocoder in a file.

    `config`, `infer` and `remove_weight_norm` correspond to those of `src.models.harmonic.model.HarmonicVocoder`.
    """

    config: Config

    def window(self, window: Window, corrected: slice) -> tuple[np.ndarray, np.ndarray]:
        """Speak a window, as `src.models.harmonic.windows.SpeakWindow` says."""
        raise NotImplementedError

    def infer(self, mel: np.ndarray, sigma: float | None = None, seed: int = 0) -> np.ndarray:
        """mel (B, n_mels, F) -> float32 (B, F * hop).

        Raises:
            InputError: a mel or a sigma that `HarmonicVocoder.infer` refuses.
        """
        mel = np.asarray(mel)
        check_inputs(mel, 1.0 if sigma is None else sigma, self.config.audio.n_mels)
        return np.stack([speak_whole(self.stream(sigma, item_seed(seed, i)), item) for i, item in enumerate(mel)])

    def stream(self, sigma: float | None = None, seed: Seed = (0, 0)) -> HarmonicStream:
        """Begin to speak a mel that comes piece by piece, as `HarmonicVocoder.stream` does."""
        return HarmonicStream(self.window, *drawn_noise(seed), self.config.audio.hop_length, sigma)

    def remove_weight_norm(self) -> None:
        """Do nothing: there is none."""


def load_files(
    folder: Path, names: Sequence[str], suffix: str, open_file: OpenFile, overrides: dict[str, Any]
) -> tuple[list[Callable[[Arrays], Arrays]], list[dict[str, Any]], Config]:
    """Load the files of these names, their descriptions, and the configuration that they share.

    Args:
        open_file: makes a model of a path, the file's content and its description.

    Raises:
        InputError: files that are missing, damaged or of different exports; overrides of keys that the files fix.
    """
    if fixed := sorted(set(overrides) - FREE):
        raise InputError(
            f"{', '.join(fixed)}: fixed in {suffix.upper()} files; only {', '.join(sorted(FREE))} can be changed"
        )
    files, descriptions = [], []
    for name in names:
        path = folder / f"{name}.{suffix}"
        content, found = read_described(path)
        if not all(isinstance(found.get(key), dict) for key in ("checkpoint", "overrides", "config")):
            raise InputError(f"{description_of(path)}: is not a description by export.py; export again")
        descriptions.append(found)
        if any(found[key] != descriptions[0][key] for key in ("checkpoint", "overrides")):
            raise InputError(f"{path}: comes from another export than {folder / names[0]}.{suffix}")
        files.append(open_file(path, content, found))
    try:
        return files, descriptions, load_config(descriptions[0]["config"], overrides)
    except InputError as error:
        raise InputError(f"{description_of(path)}: {error}") from error


def speak(
    net: Tacotron2Files, text: str, vocoder: Callable[[np.ndarray], np.ndarray], seed: int = 0
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


def write_speech(
    output_dir: Path, wav: np.ndarray, mel: np.ndarray, sample_rate: int, summary: dict[str, Any]
) -> tuple[Path, float]:
    """Write 0001.wav, 0001_mel.npy and summary.json, which gets the seconds of speech.

    Returns:
        The path of the wav and the seconds.

    Raises:
        InputError: the folder cannot be made.
    """
    make_folder(output_dir)
    save_wav(output_dir / "0001.wav", wav, sample_rate)
    content = io.BytesIO()
    np.save(content, mel)
    write_atomically(output_dir / "0001_mel.npy", content.getvalue())
    seconds = len(wav) / sample_rate
    write_json(output_dir / "summary.json", summary | {"seconds": seconds})
    return output_dir / "0001.wav", seconds
