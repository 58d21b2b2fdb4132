"""The postnet (Shen et al. 2018, sec. 2.2): a residual that sharpens the whole mel spectrogram at once."""

from mindspore import Tensor, nn, ops

from src.config import ModelConfig
from src.layers import TANH_GAIN, ConvBatchNorm, spread


class Postnet(nn.Cell):
    """mel (B, T, n_mels) and mask (B, T, 1) -> mel + residual (B, T, n_mels), 0 at padding."""

    def __init__(self, config: ModelConfig, n_mels: int):
        super().__init__()
        width, n_layers = config.postnet_dim, config.postnet_layers
        widths = [n_mels] + [width] * (n_layers - 1) + [n_mels]
        gains = [TANH_GAIN] * (n_layers - 1) + [1.0]
        self.convolutions = nn.CellList(
            [ConvBatchNorm(widths[i], widths[i + 1], config.postnet_kernel_size, gains[i]) for i in range(n_layers)]
        )
        self.dropout = nn.Dropout(p=config.postnet_dropout)
        self.n_layers = n_layers
        self.reach = n_layers * (config.postnet_kernel_size // 2)  # frames on either side that one output frame depends on

    def construct(self, mel: Tensor, mask: Tensor) -> Tensor:
        mel = mel * spread(mask, mel.shape)
        x = mel
        for i in range(self.n_layers):
            x = self.convolutions[i](x, mask)
            if i < self.n_layers - 1:
                x = ops.tanh(x)
            x = self.dropout(x)
        return mel + x
