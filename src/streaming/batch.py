"""A batch of sentences that are spoken at once, block by block of decoder steps. Sentences join and leave in between.

The batch has a fixed number of places, some of which may be empty, so a sentence sounds the same whoever shares it.
"""

from typing import NamedTuple

import numpy as np

from src.export.artifact import Arrays
from src.export.inference import Tacotron2Files
from src.models.sampling import Seed, next_dropout_mask
from src.models.tacotron2.stopping import STOP_REASONS, StopRule

LENGTH_AXIS = {"memory": 1, "keys": 2, "energy_mask": 1, "weights": 1, "weights_cum": 1}  # where symbols lie
MASKED = -1e4  # energy of padding


class Steps(NamedTuple):
    """The outcome of a block for one sentence."""

    mel: np.ndarray  # float32 [n_mels, frames], before the postnet
    alignment: np.ndarray  # float32 [steps, symbols]
    stop_reason: str | None  # None: the sentence goes on


class Sentence:
    """A sentence on its way: its random stream, and how far it is."""

    def __init__(self, ids: np.ndarray, seed: Seed, speaker: int | None = None):
        """Take symbol ids int32 [symbols], the seed of the prenet's dropout, and the number of the speaker."""
        self.ids, self.speaker = ids, speaker
        self.random = np.random.default_rng(seed)
        self.steps = 0
        self.rule: StopRule | None = None


class SpeechBatch:
    """The places of a batch. `join` takes a sentence in, `run` runs a block for all, `leave` ends one early.

    Args:
        net: Tacotron 2 in parts.
        n_places: sentences that are spoken at once.
        block: decoder steps of a block.
    """

    def __init__(self, net: Tacotron2Files, n_places: int, block: int):
        self.net, self.n_places = net, n_places
        self.block = -(-block // net.n_steps) * net.n_steps
        self.places: list[Sentence | None] = [None] * n_places
        model = net.config.model
        self.n_frame = model.reduction_factor * net.config.audio.n_mels
        n_attention, n_decoder = model.attention_rnn_dim, model.decoder_rnn_dim
        self.sizes = {"attention_hidden": n_attention, "attention_cell": n_attention, "context": model.encoder_dim}
        self.sizes |= {"weights": 0, "weights_cum": 0, "decoder_hidden": n_decoder, "decoder_cell": n_decoder}
        self._empty()

    @property
    def n_free(self) -> int:
        """Number of empty places."""
        return self.places.count(None)

    def join(self, sentence: Sentence) -> None:
        """Put a sentence into an empty place; it begins with the next block."""
        multiple = self.net.text_multiple
        length = -(-len(sentence.ids) // multiple) * multiple
        text = np.zeros((1, length), np.int32)
        text[0, : len(sentence.ids)] = sentence.ids
        encoded = self.net.encode(text, np.array([len(sentence.ids)], np.int32), sentence.speaker)
        if self.n_free == self.n_places:
            self._empty()
        place = self.places.index(None)
        self._lengthen(length)
        for name, array in encoded.items():
            row = _padded(array, LENGTH_AXIS[name], self.length, MASKED if name == "energy_mask" else 0)
            if name not in self.encoded:
                self.encoded[name] = np.zeros((self.n_places, *row.shape[1:]), np.float32)
            self.encoded[name][place] = row[0]
        for array in self.state.values():
            array[place] = 0
        self.frame[place] = 0
        sentence.rule = StopRule(self.net.config.model, len(sentence.ids))
        self.places[place] = sentence

    def leave(self, sentence: Sentence) -> None:
        """Empty the place of a sentence."""
        self.places[self.places.index(sentence)] = None

    def run(self) -> dict[Sentence, Steps]:
        """Run a block. Sentences that end leave."""
        masks = np.zeros((self.block, self.n_places, 2 * self.net.config.model.prenet_dim), np.float32)
        for place, sentence in self._present():
            masks[:, place] = next_dropout_mask(self.net.config.model, sentence.random, self.block)
        frames, gates, weights = [], [], []
        for first in range(0, self.block, self.net.n_steps):
            found = self.net.decode(self.frame, masks[first : first + self.net.n_steps], self.state, self.encoded)
            self.frame, self.state = found.frames[-1], found.state
            frames.append(found.frames)
            gates.append(found.gates)
            weights.append(found.alignments)
        # Copies, as `join` writes into them and runtimes may hand out memory of their own.
        self.frame, self.state = self.frame.copy(), {name: array.copy() for name, array in self.state.items()}
        frames, gates, weights = np.concatenate(frames), np.concatenate(gates), np.concatenate(weights)
        return {
            sentence: self._steps(place, sentence, frames[:, place], gates[:, place], weights[:, place])
            for place, sentence in self._present()
        }

    def _steps(
        self, place: int, sentence: Sentence, frames: np.ndarray, gates: np.ndarray, weights: np.ndarray
    ) -> Steps:
        n_steps, reason = 0, None
        limit = self.net.config.model.max_decoder_steps
        while reason is None and n_steps < self.block:
            reason = sentence.rule(float(gates[n_steps]), weights[n_steps])
            n_steps += 1
            if reason is None and sentence.steps + n_steps == limit:
                reason = STOP_REASONS[0]
        sentence.steps += n_steps
        if reason:
            self.places[place] = None
        mel = frames[:n_steps].reshape(-1, self.net.config.audio.n_mels).T
        return Steps(np.ascontiguousarray(mel), weights[:n_steps, : len(sentence.ids)], reason)

    def _present(self) -> list[tuple[int, Sentence]]:
        return [(place, sentence) for place, sentence in enumerate(self.places) if sentence]

    def _empty(self) -> None:
        """Begin anew: states of zeros, for texts of any length."""
        self.length = 0
        self.encoded: Arrays = {}
        self.frame = np.zeros((self.n_places, self.n_frame), np.float32)
        self.state: Arrays = {name: np.zeros((self.n_places, size), np.float32) for name, size in self.sizes.items()}

    def _lengthen(self, length: int) -> None:
        """Make room for a text of `length` symbols."""
        self.length = max(self.length, length)
        for arrays in (self.encoded, self.state):
            for name, axis in LENGTH_AXIS.items():
                if name in arrays:
                    value = MASKED if name == "energy_mask" else 0
                    arrays[name] = _padded(arrays[name], axis, self.length, value)


def _padded(array: np.ndarray, axis: int, size: int, value: float) -> np.ndarray:
    width = [(0, 0)] * array.ndim
    width[axis] = (0, size - array.shape[axis])
    return np.pad(array, width, constant_values=value)
