"""The whole network: waveform and mel spectrogram in, noise and log-determinants out; and back."""

from mindspore import nn

from src.config import Config


class WaveGlow(nn.Cell):
    """WaveGlow as `config.model` and `config.audio` shape it; `config` stays readable as an attribute."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
