"""The encoder (Shen et al. 2018, sec. 2.2): convolutions and a bidirectional LSTM over the symbols."""

from mindspore import Tensor, nn

from src.config import Tacotron2Config
from src.models.layers import ConvBatchNorm
from src.models.lstm import BidirectionalLSTM
from src.models.ops import broadcast_last, length_mask, transpose


class Encoder(nn.Cell):
    """Encoder: embedded symbols (B, L, encoder_dim) and lengths (B,) -> memory (B, L, encoder_dim), 0 at padding."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        width, kernel_size = config.encoder_dim, config.encoder_kernel_size
        self.convolutions = nn.CellList(
            [
                ConvBatchNorm(width, width, kernel_size, "relu", config.encoder_dropout)
                for _ in range(config.encoder_layers)
            ]
        )
        self.lstm = BidirectionalLSTM(width, width // 2)

    def construct(self, x: Tensor, lengths: Tensor) -> Tensor:
        return transpose(self.lstm(self.convolve(x, lengths), lengths), (1, 0, 2))

    def convolve(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Run the convolutions: x (B, L, encoder_dim) -> (L, B, encoder_dim), time first."""
        mask = length_mask(lengths, x.shape[1]).expand_dims(2)  # (B, L, 1)
        x = x * broadcast_last(mask, x.shape[2])
        for convolution in self.convolutions:
            x = convolution(x, mask)
        return transpose(x, (1, 0, 2))
