"""The configuration: what every key means, how it is read from YAML and overlaid, which values are allowed."""

from src.config.loading import given_keys, keys, load_config, nearest_key, sections, typed
from src.config.networks import NETWORKS, Network, imported, network_of, register_network
from src.config.schema import (
    AmpLevel,
    AudioConfig,
    Config,
    DataConfig,
    Tacotron2Config,
    TextConfig,
    TrainConfig,
    setting,
)
from src.config.vocoders import HarmonicConfig, WaveGlowConfig

__all__ = [
    "NETWORKS",
    "AmpLevel",
    "AudioConfig",
    "Config",
    "DataConfig",
    "HarmonicConfig",
    "Network",
    "Tacotron2Config",
    "TextConfig",
    "TrainConfig",
    "WaveGlowConfig",
    "given_keys",
    "imported",
    "keys",
    "load_config",
    "nearest_key",
    "network_of",
    "register_network",
    "sections",
    "setting",
    "typed",
]
