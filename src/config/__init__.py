"""The configuration: what every key means, how it is read from YAML and overlaid, and what its values may be."""

from src.config.loading import KEYS, NETWORKS, SECTIONS, given_keys, load_config, nearest_key, typed
from src.config.schema import (
    AmpLevel,
    AudioConfig,
    Config,
    DataConfig,
    Tacotron2Config,
    TextConfig,
    TrainConfig,
    WaveGlowConfig,
)

__all__ = [
    "KEYS",
    "NETWORKS",
    "SECTIONS",
    "AmpLevel",
    "AudioConfig",
    "Config",
    "DataConfig",
    "Tacotron2Config",
    "TextConfig",
    "TrainConfig",
    "WaveGlowConfig",
    "given_keys",
    "load_config",
    "nearest_key",
    "typed",
]
