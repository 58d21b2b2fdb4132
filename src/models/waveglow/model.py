"""The whole network: from audio and mel spectrogram to latents and log-determinants, and from latents to audio."""

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from src.config import Config
from src.errors import InputError
from src.models.constants import unfold_index
from src.models.inputs import check_inputs
from src.models.layers import uniform
from src.models.ops import broadcast_to
from src.models.precision import MixedPrecision, to_float32
from src.models.sampling import latents
from src.models.waveglow.flow import Flow, WeightNormConv
from src.models.waveglow.inference import WaveGlowInference


class Upsample(MixedPrecision):
    """Transposed convolution from frames to groups of samples: (B, F, n_mels) -> (B * F * hop / group, n_mels * group).

    Each frame adds to the `kernel_size` samples that begin with its own. So a sample depends on its own frame and the
    kernel_size / hop - 1 frames before, and the convolution is a matrix product of these frames with `weight`
    [kernel_size / hop * n_mels, hop * n_mels]. Its columns are in the order that the couplings take: group of samples,
    mel band, sample in the group.
    """

    def __init__(self, n_mels: int, hop_length: int, kernel_size: int, n_group: int):
        super().__init__()
        self.n_mels, self.n_group, self.n_groups = n_mels, n_group, hop_length // n_group
        self.n_frames = kernel_size // hop_length
        # As in PyTorch, although only n_frames * n_mels products are summed in a sample.
        bound = (n_mels * kernel_size) ** -0.5
        self.weight = Parameter(uniform((self.n_frames * n_mels, hop_length * n_mels), bound), name="weight")
        self.bias = Parameter(uniform((n_mels,), bound), name="bias")

    def construct(self, frames: Tensor) -> Tensor:
        """Upsample frames (B, n_frames - 1 + F, n_mels); the first n_frames - 1 are only context for the others."""
        n_batch, n_all, _ = frames.shape
        n_time = n_all - self.n_frames + 1
        index = unfold_index(n_time, self.n_frames, 1)
        windows = ops.gather(frames, index, 1).reshape(n_batch * n_time, -1)
        bias = broadcast_to(self.bias.reshape(1, -1, 1), (self.n_groups, self.n_mels, self.n_group)).reshape(-1)
        upsampled = ops.BiasAdd()(
            to_float32(ops.MatMul()(self.cast_operand(windows), self.cast_operand(self.weight))), bias
        )
        return self.cast_output(upsampled).reshape(-1, self.n_mels * self.n_group)


class FrameCondition(MixedPrecision):
    """The frames themselves, through a linear layer, as the condition of all positions of a frame.

    SqueezeWave (Zhai et al. 2020) has such coarse conditions, too, for positions of many samples.
    """

    n_frames = 1  # that a sample depends on

    def __init__(self, n_mels: int):
        super().__init__()
        self.n_mels = n_mels
        self.weight = Parameter(uniform((n_mels, n_mels), n_mels**-0.5), name="weight")
        self.bias = Parameter(uniform((n_mels,), n_mels**-0.5), name="bias")

    def construct(self, frames: Tensor) -> Tensor:
        """Transform frames (B, F, n_mels) -> (B * F, n_mels)."""
        rows = self.cast_operand(frames.reshape(-1, self.n_mels))
        return self.cast_output(
            ops.BiasAdd()(to_float32(ops.MatMul()(rows, self.cast_operand(self.weight))), self.bias)
        )


class WaveGlow(nn.Cell):
    """WaveGlow with the sizes in `config.model` and `config.audio`; `config` is an attribute."""

    def __init__(self, config: Config):
        super().__init__()
        model, audio = config.model, config.audio
        self.config = config
        self.hop_length = audio.hop_length
        self.n_group, self.n_early_every, self.n_early_size = model.n_group, model.n_early_every, model.n_early_size
        self.by_frames = model.conditioning == "frames"
        if self.by_frames:
            self.upsample, n_condition = FrameCondition(audio.n_mels), audio.n_mels
        else:
            self.upsample = Upsample(audio.n_mels, audio.hop_length, model.upsample_kernel_size, model.n_group)
            n_condition = audio.n_mels * model.n_group
        widths = [model.n_group - k // model.n_early_every * model.n_early_size for k in range(model.n_flows)]
        self.flows = nn.CellList([Flow(n_channels, n_condition, model) for n_channels in widths])
        self.synthesis = WaveGlowInference(self)

    def construct(self, mel: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run in the training direction, from audio to latents.

        Args:
            mel: float32 (B, n_mels, F).
            audio: float32 (B, S), S at most F hops and a multiple of `n_group`; of a hop, with conditioning frames.

        Returns:
            z (B, n_group, S / n_group), early outputs first; log s and log |det W|, each summed over flows, batch,
            channels and time.

        Raises:
            ValueError: S is too large or no such multiple.
        """
        n_batch, n_samples = audio.shape
        unit = self.hop_length if self.by_frames else self.n_group
        if n_samples % unit or n_samples > mel.shape[2] * self.hop_length:
            raise ValueError(
                "the audio must have a multiple of n_group samples (of hop_length with conditioning frames), and at "
                "most hop_length for each frame of the mel"
            )
        x = audio.reshape(n_batch, -1, self.n_group)
        n_time = x.shape[1]
        condition = self.condition(mel, n_time)
        outputs, log_s_sum, log_det_sum = (), 0.0, 0.0
        for k, flow in enumerate(self.flows):
            if k > 0 and k % self.n_early_every == 0:
                outputs = (*outputs, x[:, :, : self.n_early_size])
                x = x[:, :, self.n_early_size :]
            x, log_s, log_det = flow(x, condition)
            log_s_sum = log_s_sum + log_s.sum()
            log_det_sum = log_det_sum + n_batch * n_time * log_det
        return ops.Concat(2)((*outputs, x)).swapaxes(1, 2), log_s_sum, log_det_sum

    def condition(self, mel: Tensor, n_time: int) -> Tensor:
        """The couplings' condition for `n_time` positions of a mel (B, n_mels, F).

        Returns:
            (B * n_time, n_mels * n_group), or with conditioning frames (B * frames of these positions, n_mels).
        """
        n_batch, frames = mel.shape[0], mel.swapaxes(1, 2)
        if self.by_frames:
            return self.upsample(frames[:, : n_time * self.n_group // self.hop_length])
        before = ops.zeros((n_batch, self.upsample.n_frames - 1, mel.shape[1]), mel.dtype)
        condition = self.upsample(ops.Concat(1)((before, frames)))
        return condition.reshape(n_batch, -1, condition.shape[1])[:, :n_time].reshape(n_batch * n_time, -1)

    def generate(self, mel: Tensor, z: Tensor) -> Tensor:
        """Run from latents to audio in the graph of a training step; `infer` is for speech.

        Args:
            mel: float32 (B, n_mels, F).
            z: latents (B, T, n_group), channels in order of use, T positions of at most F hops.

        Returns:
            float32 (B, T * n_group).
        """
        n_batch, n_time, _ = z.shape
        condition, n_flows = self.condition(mel, n_time), len(self.flows)
        used = self.n_group - (n_flows - 1) // self.n_early_every * self.n_early_size
        x = z[:, :, :used]
        for i in range(n_flows):
            k = n_flows - 1 - i
            x = self.flows[k].inverse(x, condition)
            if k > 0 and k % self.n_early_every == 0:
                x = ops.Concat(2)((z[:, :, used : used + self.n_early_size], x))
                used = used + self.n_early_size
        return x.reshape(n_batch, -1)

    def infer(
        self, mel: Tensor, sigma: float | None = None, noise: Sequence[Tensor] | None = None, seed: int = 0
    ) -> Tensor:
        """Turn a mel spectrogram into audio.

        Args:
            mel: float32 (B, n_mels, F), F at least 2.
            sigma: standard deviation of the latents; by default `config.model.sigma`.
            noise: standard normal latents (B, channels, F * hop / n_group) in order of use: the innermost flow's
                channels, then those that join on the way out. By default each item has a stream of its own, drawn from
                `seed` (see `src.models.sampling.item_seed`).

        Returns:
            float32 (B, F * hop).

        Raises:
            InputError: a mel of another shape, of one frame, or with NaN or infinities; a sigma that is negative or not
                finite; noise of other shapes; weights that have diverged.
        """
        mel = mel.asnumpy() if isinstance(mel, Tensor) else np.asarray(mel)
        sigma = self.config.model.sigma if sigma is None else sigma
        check_inputs(mel, sigma, self.config.audio.n_mels)
        shape = len(mel), mel.shape[2] * self.hop_length // self.n_group, self.n_group
        z = latents(seed, *shape) if noise is None else self._given(noise, shape)
        self.set_train(False)
        return Tensor(self.synthesis(mel.astype(np.float32), z * np.float32(sigma)))

    def remove_weight_norm(self) -> None:
        """Fold weight norm into plain weights, for good.

        From then on `infer` uses weights prepared here, not at every call; later changes of parameters do not reach it.
        """
        for _, cell in self.cells_and_names():
            if isinstance(cell, WeightNormConv):
                cell.remove_weight_norm()
        self.compile_cache.clear()  # the graphs compiled so far read parameters that are gone
        self.synthesis.prepare(keep=True)

    def _given(self, noise: Sequence[Tensor], shape: tuple[int, int, int]) -> np.ndarray:
        arrays = [part.asnumpy() if isinstance(part, Tensor) else np.asarray(part) for part in noise]
        n_batch, n_time, _ = shape
        wanted = [(n_batch, n_channels, n_time) for n_channels in self.synthesis.latent_splits]
        if [array.shape for array in arrays] != wanted:
            found = ", ".join(str(list(array.shape)) for array in arrays)
            raise InputError(f"the noise has shapes {found}; expected {', '.join(str(list(each)) for each in wanted)}")
        return np.concatenate(arrays, 1).swapaxes(1, 2).astype(np.float32)
