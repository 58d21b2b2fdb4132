"""Tacotron 2 in parts that MindSpore runs, in graphs of few shapes."""

import numpy as np
from mindspore import Tensor

from src.export.artifact import Arrays
from src.export.inference import Steps, Tacotron2Files
from src.models.tacotron2.blocks import DecoderBlock, PostnetWindow, TextEncoder
from src.models.tacotron2.model import Tacotron2

FRAMES_MULTIPLE = 64  # frames are padded to a multiple of this, so that few graphs are compiled


class Tacotron2Graphs(Tacotron2Files):
    """The parts of a network in memory.

    Args:
        net: the network.
        n_steps: decoder steps of a graph.
    """

    def __init__(self, net: Tacotron2, n_steps: int):
        net.set_train(False)
        self.net, self.config, self.n_steps = net, net.config, n_steps
        # One length for nearly all texts: MindSpore's sums over them differ in the last bit if more zeros follow.
        self.text_multiple = -(-net.config.text.max_sentence_length // 64) * 64
        self.encoder, self.decoder, self.postnet = TextEncoder(net), DecoderBlock(net), PostnetWindow(net)

    def encode(self, text: np.ndarray, text_lengths: np.ndarray, speaker: int | None = None) -> Arrays:
        inputs = [Tensor(text), Tensor(text_lengths)]
        if self.net.n_speakers > 1:
            inputs.append(Tensor(np.array([self.net.voice if speaker is None else speaker], np.int32)))
        found = self.encoder(*inputs)
        return {name: value.asnumpy() for name, value in zip(("memory", "keys", "energy_mask"), found, strict=True)}

    def decode(self, frame: np.ndarray, dropout_mask: np.ndarray, state: Arrays, encoded: Arrays) -> Steps:
        arrays = frame, dropout_mask, *state.values(), *encoded.values()
        frames, gates, alignments, *states = self.decoder(*(Tensor(np.ascontiguousarray(array)) for array in arrays))
        state = {name: value.asnumpy() for name, value in zip(state, states, strict=True)}
        return Steps(frames.asnumpy(), gates.asnumpy(), alignments.asnumpy(), state)

    def refine(self, mel: np.ndarray, mel_lengths: np.ndarray) -> np.ndarray:
        n_frames = mel.shape[2]
        padded = np.pad(mel, ((0, 0), (0, 0), (0, -n_frames % FRAMES_MULTIPLE))).swapaxes(1, 2)
        mask = (np.arange(padded.shape[1]) < mel_lengths[:, None]).astype(np.float32)[:, :, None]
        refined = self.postnet(Tensor(np.ascontiguousarray(padded)), Tensor(mask)).asnumpy()
        return refined.swapaxes(1, 2)[:, :, :n_frames]
