"""The postnet (Shen et al. 2018, sec. 2.2): convolutions that predict a residual for the whole mel spectrogram."""

from mindspore import Tensor, nn

from src.config import Tacotron2Config
from src.models.layers import ConvBatchNorm
from src.models.ops import broadcast_last
from src.models.precision import to_float32


class Postnet(nn.Cell):
    """Postnet: mel (B, T, n_mels) and mask (B, T, 1) -> mel + residual (B, T, n_mels), 0 at padding."""

    def __init__(self, config: Tacotron2Config, n_mels: int):
        super().__init__()
        width, n_layers = config.postnet_dim, config.postnet_layers
        widths = [n_mels] + [width] * (n_layers - 1) + [n_mels]
        activations = ["tanh"] * (n_layers - 1) + ["linear"]
        kernel_size, dropout = config.postnet_kernel_size, config.postnet_dropout
        self.convolutions = nn.CellList(
            [ConvBatchNorm(widths[i], widths[i + 1], kernel_size, activations[i], dropout) for i in range(n_layers)]
        )
        self.reach = n_layers * (kernel_size // 2)  # frames on each side that an output frame depends on

    def construct(self, mel: Tensor, mask: Tensor) -> Tensor:
        mel = mel * broadcast_last(mask, mel.shape[2])
        x = mel
        for convolution in self.convolutions:
            x = convolution(x, mask)
        return mel + to_float32(x)
