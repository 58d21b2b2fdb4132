"""The postnet over a mel that is still being made."""

import numpy as np

from src.export.inference import Tacotron2Files


class MelRefiner:
    """Frames of one sentence after the postnet, as soon as all frames are there that they depend on.

    Joined, they are what the postnet gives for the whole mel.
    """

    def __init__(self, net: Tacotron2Files):
        model = net.config.model
        self.net, self.reach = net, model.postnet_layers * (model.postnet_kernel_size // 2)
        self.mel = np.zeros((net.config.audio.n_mels, 0), np.float32)  # from frame `first` on
        self.first = self.done = 0

    def push(self, mel: np.ndarray, last: bool) -> np.ndarray:
        """Take the next frames [n_mels, n]; `last`: no more will come. Returns those that are ready, float32."""
        self.mel = np.concatenate((self.mel, mel), 1)
        total = self.first + self.mel.shape[1]
        end = total if last else total - self.reach
        if end <= self.done:
            return mel[:, :0]
        refined = self.net.refine(np.ascontiguousarray(self.mel[None]), np.array([self.mel.shape[1]], np.int32))[0]
        ready = refined[:, self.done - self.first : end - self.first]
        keep = max(self.first, end - self.reach)
        self.mel, self.first, self.done = self.mel[:, keep - self.first :], keep, end
        return ready
