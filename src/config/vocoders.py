"""The section `model` of the vocoders; as `src.config.schema`."""

from dataclasses import dataclass
from typing import Literal

from src.config.fields import setting


@dataclass
class WaveGlowConfig:
    """The network that turns mel spectrograms into sound. A mel frame becomes `audio.hop_length` samples.

    The defaults are the published network; config/waveglow_light.yaml has the values of the light one.
    """

    name: str = setting("waveglow", "which network")
    n_flows: int = setting(12, "pairs of an invertible 1x1 convolution and an affine coupling", above=0, most=1000)
    n_group: int = setting(8, "samples that make up the channels of one position", above=0, even=True, most=65536)
    n_early_every: int = setting(4, "flows between two groups of channels that leave early", above=0)
    n_early_size: int = setting(2, "channels that leave each time", above=0, even=True)
    wn_layers: int = setting(8, "convolutions of each coupling", above=0, most=30)
    wn_channels: int = setting(256, "width of the couplings", above=0, most=65536)
    wn_kernel_size: int = setting(3, "width of these convolutions", above=0, odd=True, most=1001)
    wn_dilation_base: int = setting(2, "layer i has dilation wn_dilation_base^i; 1: none is dilated", above=0, most=8)
    wn_separable: bool = setting(
        False, "make each convolution of one per channel and a product of the channels (depthwise separable)"
    )
    conditioning: Literal["upsampled", "frames"] = setting(
        "upsampled",
        "how the couplings see the mel: by a transposed convolution, values for each sample, or its frames, each for "
        "all of its positions",
    )
    upsample_kernel_size: int = setting(
        1024,
        "width in samples of the transposed convolution that upsamples the mel; not used by conditioning frames",
        above=0,
        most=1_000_000,
    )
    log_scale_limit: float = setting(
        0.0, "log scales of the couplings stay within plus and minus this, smoothly; 0: no limit", least=0, most=50
    )
    sigma: float = setting(
        0.8, "standard deviation of the noise that is turned into sound", free=True, least=0, most=100
    )
    likelihood_weight: float = setting(
        1.0, "weight of the negative log-likelihood in the training loss, from spectral_from on", free=True, least=0
    )
    spectral_weight: float = setting(
        0.0,
        "weight of the spectral loss of sound that the network makes, from spectral_from on; 0 leaves it out",
        free=True,
        least=0,
    )
    spectral_from: int = setting(
        0, "steps that train the likelihood alone, before both losses are weighted", free=True, least=0
    )
    audio_noise: float = setting(
        0.0, "standard deviation of noise on the recordings while training, such as 1e-4", free=True, least=0, below=1
    )


@dataclass
class HarmonicConfig:
    """The network that turns mel spectrograms into sound by filtering pulses and noise (docs/vocoder.md)."""

    name: str = setting("harmonic", "which network")
    kernel_size: int = setting(3, "width of all convolutions", above=0, odd=True, most=1001)
    pitch_layers: int = setting(5, "residual blocks that read pitch and voicing", above=0, most=100)
    pitch_channels: int = setting(128, "their width", above=0, most=65536)
    filter_layers: int = setting(5, "residual blocks that predict the two filters", above=0, most=100)
    filter_channels: int = setting(192, "their width", above=0, most=65536)
    pitch_min: float = setting(50.0, "lowest pitch in Hz", above=0)
    pitch_max: float = setting(400.0, "highest pitch in Hz", above=0)
    mel_corrections: int = setting(30, "times that speech is corrected to the mel", least=0, most=1000)
    correction_momentum: float = setting(
        0.95, "how much further each of them goes, see docs/vocoder.md", least=0, below=1
    )
