"""The whole network: symbol ids in, mel spectrogram, gate and alignment out."""

from collections.abc import Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.config import Config
from src.errors import InputError, quote
from src.models.constants import positions
from src.models.layers import uniform
from src.models.ops import broadcast_last, last_mask, length_mask, transpose, write_rows, zeros
from src.models.sampling import Seed, item_seed, prenet_dropout_mask
from src.models.tacotron2.attention import MASKED
from src.models.tacotron2.decoder import Decoder
from src.models.tacotron2.encoder import Encoder
from src.models.tacotron2.postnet import Postnet
from src.models.tacotron2.stopping import STOP_REASONS

TEXT_MULTIPLE = 32  # free running pads texts to a multiple of this, and compiles one graph per batch size and length
POSTNET_CHUNK = 256  # frames that the postnet computes at once in free running


class Speech(NamedTuple):
    """Result of free-running inference for a batch, in input order; each item is zero beyond its own length."""

    mel: Tensor  # float32 (B, n_mels, T)
    mel_lengths: Tensor  # int32 (B,), frames
    alignments: Tensor  # float32 (B, T / r, L)
    stop_reasons: list[str]  # of STOP_REASONS, one per item


class Tacotron2(nn.Cell):
    """Tacotron 2 with the sizes in `config.model` and `config.audio.n_mels`; `config` is an attribute."""

    def __init__(self, config: Config):
        super().__init__()
        model = config.model
        self.config = config
        self.n_mels = config.audio.n_mels
        self.reduction_factor = model.reduction_factor
        bound = (6.0 / (model.n_symbols + model.encoder_dim)) ** 0.5
        self.embedding = Parameter(uniform((model.n_symbols, model.encoder_dim), bound), name="embedding")
        self.encoder = Encoder(model)
        self.decoder = Decoder(config)
        self.postnet = Postnet(model, self.n_mels)
        self.n_speakers = model.n_speakers
        if model.n_speakers > 1:  # zeros, so that every voice begins as the one of a warm start
            zeros_of_all = np.zeros((model.n_speakers, model.encoder_dim), np.float32)
            self.speaker_embedding = Parameter(Tensor(zeros_of_all), name="speaker_embedding")
        self.voice = 0  # number of the speaker where none is given
        self.free_running = FreeRunning(self)

    def encode(self, text: Tensor, text_lengths: Tensor, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode text int32 (B, L) of lengths (B,), spoken by `speaker` int32 (B,), by default `self.voice`.

        With several speakers, the vector of each is added to the encoder's output at every symbol: the simplest way to
        tell a network who speaks, as concatenation there (Jia et al. 2018, sec. 2.2) with tied weights.

        Returns memory (B, L, E) and the energy mask (B, L), 0 at symbols and MASKED at padding.
        """
        embedded, energy_mask = self.embed(text, text_lengths)
        return self.add_speaker(self.encoder(embedded, text_lengths), text_lengths, speaker), energy_mask

    def add_speaker(self, memory: Tensor, text_lengths: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Add the vector of each item's speaker to its memory (B, L, E), in a network of several speakers."""
        if self.n_speakers == 1:
            return memory
        if speaker is None:
            speaker = ops.full((memory.shape[0],), self.voice, dtype=ms.int32)
        vectors = ops.gather(self.speaker_embedding, speaker, 0).expand_dims(1)  # (B, 1, E)
        return memory + length_mask(text_lengths, memory.shape[1]).expand_dims(2) * vectors

    def embed(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed text int32 (B, L) of lengths (B,): (B, L, E), and the energy mask (B, L)."""
        energy_mask = (1 - length_mask(text_lengths, text.shape[1])) * MASKED
        return ops.gather(self.embedding, text, 0), energy_mask

    def construct(  # noqa: ANN201
        self,
        text: Tensor,
        text_lengths: Tensor,
        mel_target: Tensor,
        mel_lengths: Tensor,
        speaker: Tensor | None = None,
    ):
        """Run teacher forced.

        Args:
            text: int32 (B, L).
            text_lengths: int32 (B,).
            mel_target: float32 (B, n_mels, T), T any number of frames; the last step is padded with zeros.
            mel_lengths: int32 (B,), frames.
            speaker: int32 (B,), numbers of the speakers, with `model.n_speakers` above 1; by default `self.voice`.

        Returns:
            mel and mel after the postnet (B, n_mels, T), 0 at padding; gate logits (B, ceil(T / r)); alignments
            (B, ceil(T / r), L).
        """
        n_batch, n_mels, n_frames = mel_target.shape
        r = self.reduction_factor
        n_steps = -(-n_frames // r)
        mask = length_mask(mel_lengths, n_frames).expand_dims(2)  # (B, T, 1)
        target = mel_target.swapaxes(1, 2) * broadcast_last(mask, n_mels)
        if n_steps * r > n_frames:
            target = ops.concat((target, ops.zeros((n_batch, n_steps * r - n_frames, n_mels), target.dtype)), 1)
        memory, energy_mask = self.encode(text, text_lengths, speaker)
        frames, gate, alignments = self.decoder(
            target.reshape(n_batch, n_steps, r * n_mels).swapaxes(0, 1), memory, energy_mask
        )
        mel = frames.swapaxes(0, 1).reshape(n_batch, n_steps * r, n_mels)[:, :n_frames] * broadcast_last(mask, n_mels)
        mel_postnet = self.postnet(mel, mask)
        return mel.swapaxes(1, 2), mel_postnet.swapaxes(1, 2), gate.swapaxes(0, 1), alignments.swapaxes(0, 1)

    def choose_voice(self, speaker: str | int) -> None:
        """Speak with the voice of `speaker`, a name of `data.speakers` or a number from 0, from now on.

        Raises:
            InputError: there is no such speaker, or only one.
        """
        names, n_speakers = self.config.data.speakers, self.n_speakers
        known = ", ".join(names) or f"0 to {n_speakers - 1}"
        if n_speakers == 1:
            raise InputError(f"speaker {quote(str(speaker))}: this network has one voice only (model.n_speakers 1)")
        if speaker in names:
            self.voice = names.index(speaker)
        elif str(speaker).isdecimal() and int(speaker) < n_speakers:
            self.voice = int(speaker)
        else:
            raise InputError(f"speaker {quote(str(speaker))}: this network has no such voice; it has {known}")

    def generate(
        self,
        text: Tensor | np.ndarray,
        text_lengths: Tensor | np.ndarray,
        seed: int | Sequence[Seed] = 0,
        speakers: Sequence[int | None] | None = None,
    ) -> Speech:
        """Speak: free-running inference.

        Args:
            text: int32 (B, L).
            text_lengths: int32 (B,).
            seed: of the prenet's dropout: one for the batch, or one per item (see `src.models.sampling.item_seed`).
                With a seed of its own, an item sounds the same in any batch.
            speakers: numbers of the speakers; `self.voice` in the place of None.
        """
        text, text_lengths = np.asarray(text), np.asarray(text_lengths)
        n_batch, length = text.shape
        seeds = [item_seed(seed, item) for item in range(n_batch)] if isinstance(seed, int | np.integer) else seed
        dropout_mask = prenet_dropout_mask(self.config.model, seeds, self.config.model.max_decoder_steps)
        inputs = self._free_running_inputs(text, text_lengths, dropout_mask, speakers)
        self.set_train(False)
        mel, steps, alignments, reason = self.free_running(*inputs)
        steps = steps.asnumpy()
        mel_lengths = (steps * self.reduction_factor).astype(np.int32)
        mel = mel.asnumpy()[:, : mel_lengths.max()].swapaxes(1, 2)
        alignments = alignments.asnumpy()[:, : steps.max(), :length]
        alignments = alignments * (np.arange(steps.max()) < steps[:, None])[:, :, None]
        reasons = [STOP_REASONS[code] for code in reason.asnumpy()]
        return Speech(
            Tensor(np.ascontiguousarray(mel)), Tensor(mel_lengths), Tensor(alignments.astype(np.float32)), reasons
        )

    def infer(self, text: Tensor, text_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Speak as `generate` does, with seed 0.

        Returns mel after the postnet (B, n_mels, T), lengths int32 (B,) and alignments (B, T / r, L).
        """
        speech = self.generate(text, text_lengths)
        return speech.mel, speech.mel_lengths, speech.alignments

    def compile_generate(self, n_batch: int, length: int) -> None:
        """Compile the graph that `generate` runs for texts (n_batch, length), so that it can be timed separately."""
        self.set_train(False)
        self.free_running.compile(*self._example_inputs(n_batch, length))

    def generate_key(self, n_batch: int, length: int) -> str:
        """A cache key for the graph of `compile_generate`: everything about the network that the graph depends on."""
        shapes = [each.shape for each in self._example_inputs(n_batch, length)]
        return f"speak {shapes} {self.config.to_yaml()}"

    def _example_inputs(self, n_batch: int, length: int) -> tuple[Tensor, ...]:
        model = self.config.model
        text, text_lengths = np.zeros((n_batch, length), np.int32), np.full(n_batch, length, np.int32)
        dropout_mask = np.zeros((model.max_decoder_steps, n_batch, 2 * model.prenet_dim), np.float32)
        return self._free_running_inputs(text, text_lengths, dropout_mask)

    def _free_running_inputs(
        self,
        text: np.ndarray,
        text_lengths: np.ndarray,
        dropout_mask: np.ndarray,
        speakers: Sequence[int | None] | None = None,
    ) -> tuple[Tensor, ...]:
        padded = np.zeros((len(text), -(-text.shape[1] // TEXT_MULTIPLE) * TEXT_MULTIPLE), np.int32)
        padded[:, : text.shape[1]] = text
        inputs = Tensor(padded), Tensor(text_lengths), Tensor(dropout_mask)
        if self.n_speakers == 1:
            return inputs
        voices = [self.voice if number is None else number for number in speakers or [None] * len(text)]
        return (*inputs, Tensor(np.array(voices, np.int32)))


class FreeRunning(nn.Cell):
    """Text to mel as one graph: encoder, decoder loop, and postnet.

    The postnet runs chunk by chunk, so that its cost follows the length of the speech, not the limit of steps.
    """

    def __init__(self, net: Tacotron2):
        super().__init__(auto_prefix=False)
        self.net = [net]  # in a list, because the network owns this cell and not the reverse

    def parameters_dict(self, recurse: bool = True) -> dict[str, Parameter]:
        """The network's parameters; a graph from the cache finds its weights by their names."""
        return self.net[0].parameters_dict(recurse)

    def construct(  # noqa: ANN201
        self, text: Tensor, text_lengths: Tensor, dropout_mask: Tensor, speaker: Tensor | None = None
    ):
        """Speak text int32 (B, L) of lengths int32 (B,) with a prenet dropout mask (T, B, 2 * prenet_dim).

        `speaker` int32 (B,) is as of `Tacotron2.encode`.

        Returns mel (B, T * r, n_mels), steps (B,), alignments (B, T, L), and the stop reason's number (B,).
        """
        net = self.net[0]
        n_batch, length = text.shape
        memory, energy_mask = net.encode(text, text_lengths, speaker)
        frames, alignments, steps, reason = net.decoder.free_run(
            memory, energy_mask, last_mask(text_lengths, length), dropout_mask
        )
        mel = transpose(frames, (1, 0, 2)).reshape(n_batch, -1, net.n_mels)
        mel_lengths = steps * net.reduction_factor
        reach = net.postnet.reach
        n_chunks = -(-mel.shape[1] // POSTNET_CHUNK)
        n_after = n_chunks * POSTNET_CHUNK - mel.shape[1] + reach
        before = ops.zeros((n_batch, reach, net.n_mels), ms.float32)
        after = ops.zeros((n_batch, n_after, net.n_mels), ms.float32)
        padded = ops.concat((before, mel, after), 1)
        chunks = zeros((n_chunks, n_batch, POSTNET_CHUNK, net.n_mels), memory)
        offsets = positions(POSTNET_CHUNK + 2 * reach)
        longest = mel_lengths.max()
        t = Tensor(0, ms.int32)
        while t * POSTNET_CHUNK < longest:
            rows = t * POSTNET_CHUNK + offsets  # in `padded`; frame = row - reach
            real = ops.logical_and(rows >= reach, rows - reach < mel_lengths.reshape(-1, 1)).astype(ms.float32)
            chunk = net.postnet(ops.gather(padded, rows, 1), real.expand_dims(2))[:, reach : reach + POSTNET_CHUNK]
            chunks = write_rows(chunks, t.reshape(1), chunk.expand_dims(0))
            t = t + 1
        mel = transpose(chunks, (1, 0, 2, 3)).reshape(n_batch, -1, net.n_mels)[:, : mel.shape[1]]
        return mel, steps, transpose(alignments, (1, 0, 2)), reason
