"""The configuration: one dataclass per section, read from YAML, overlaid by dotted overrides, strict about names and types."""

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from src.config_checks import check_values
from src.errors import InputError
from src.text.symbols import SYMBOLS

Network = Literal["tacotron2", "waveglow"]


@dataclass
class AudioConfig:
    """How a waveform becomes a mel spectrogram.

    Args:
        sample_rate: samples per second
        n_fft: length of the Fourier transform in samples
        hop_length: samples between two frames
        win_length: length of the Hann window in samples
        n_mels: number of mel bands
        fmin: lower edge of the lowest band in Hz
        fmax: upper edge of the highest band in Hz
        preemphasis: the spectrogram is one of y[t] = x[t] - preemphasis * x[t - 1]; 0 leaves the waveform as it is
        compression: ln is the natural logarithm; unit a logarithm that is 0 at mel_floor and 1 at mel_ceiling
        mel_floor: magnitudes below this are raised to it before the logarithm
        mel_ceiling: with compression unit, magnitudes above this are lowered to it
        griffinlim_iterations: rounds of phase estimation of the Griffin-Lim vocoder
    """

    sample_rate: int = 22050
    n_fft: int = 1024
    hop_length: int = 256
    win_length: int = 1024
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0
    preemphasis: float = 0.0
    compression: Literal["ln", "unit"] = "ln"
    mel_floor: float = 1e-5
    mel_ceiling: float = 10.0
    griffinlim_iterations: int = 60


@dataclass
class TextConfig:
    """How text becomes symbol ids.

    Args:
        symbols: what the network reads, in the order of its embedding's rows; ARPAbet as @AH0, or as AH0 if letters are lower case
        end_symbol: one of the symbols that is put behind each text; none if empty
        cleaner: what normalises the text before symbols are looked up
        sentence_pause: silence between the sentences of one text in seconds
        max_sentence_length: longest piece of text spoken in one go, in characters; longer sentences are split at commas or spaces
    """

    symbols: list[str] = field(default_factory=lambda: list(SYMBOLS))
    end_symbol: str = ""
    cleaner: Literal["english_cleaners", "basic_cleaners"] = "english_cleaners"
    sentence_pause: float = 0.2
    max_sentence_length: int = 200


@dataclass
class Tacotron2Config:
    """The network that turns text into mel spectrograms.

    Args:
        name: which network
        n_symbols: rows of the embedding table, as many as text.symbols
        encoder_dim: width of the embedding, the encoder convolutions and the encoder output (both directions together)
        encoder_layers: number of encoder convolutions
        encoder_kernel_size: width of the encoder convolutions
        prenet_dim: width of both prenet layers
        attention_rnn_dim: width of the attention LSTM
        attention_dim: width of the attention's hidden layer
        location_filters: filters of the location convolution
        location_kernel_size: width of the location convolution
        decoder_rnn_dim: width of the decoder LSTM
        postnet_dim: channels of the postnet
        postnet_layers: number of postnet convolutions
        postnet_kernel_size: width of the postnet convolutions
        reduction_factor: mel frames per decoder step (r)
        encoder_dropout: dropout after each encoder convolution
        prenet_dropout: dropout in the prenet, on at inference too; 0 makes inference deterministic
        attention_dropout: dropout on the attention LSTM's state
        decoder_dropout: dropout on the decoder LSTM's state
        postnet_dropout: dropout after each postnet convolution
        gate_threshold: an item stops at the first step whose gate probability is above this
        max_decoder_steps: an item that has not stopped by then is cut off
        attention_stop_frames: stop after this many frames whose attention rests on the last symbol; 0 turns the rule off
    """

    name: Network = "tacotron2"
    n_symbols: int = 148
    encoder_dim: int = 512
    encoder_layers: int = 3
    encoder_kernel_size: int = 5
    prenet_dim: int = 256
    attention_rnn_dim: int = 1024
    attention_dim: int = 128
    location_filters: int = 32
    location_kernel_size: int = 31
    decoder_rnn_dim: int = 1024
    postnet_dim: int = 512
    postnet_layers: int = 5
    postnet_kernel_size: int = 5
    reduction_factor: int = 1
    encoder_dropout: float = 0.5
    prenet_dropout: float = 0.5
    attention_dropout: float = 0.1
    decoder_dropout: float = 0.1
    postnet_dropout: float = 0.5
    gate_threshold: float = 0.5
    max_decoder_steps: int = 1000
    attention_stop_frames: int = 60


@dataclass
class WaveGlowConfig:
    """The network that turns mel spectrograms into sound. A mel frame becomes as many samples as `audio.hop_length` says.

    Args:
        name: which network
        n_flows: pairs of an invertible 1x1 convolution and an affine coupling
        n_group: samples that stand side by side as the channels of one position
        n_early_every: flows between two groups of channels that leave early
        n_early_size: channels that leave each time
        wn_layers: dilated convolutions of each coupling; layer i has dilation 2^i
        wn_channels: width of the couplings
        wn_kernel_size: width of the dilated convolutions
        upsample_kernel_size: width in samples of the transposed convolution that brings the mel to the rate of the samples
        sigma: standard deviation of the noise that is turned into sound
    """

    name: Network = "waveglow"
    n_flows: int = 12
    n_group: int = 8
    n_early_every: int = 4
    n_early_size: int = 2
    wn_layers: int = 8
    wn_channels: int = 256
    wn_kernel_size: int = 3
    upsample_kernel_size: int = 1024
    sigma: float = 0.8


@dataclass
class DataConfig:
    """How the recordings are split, stored and batched.

    Args:
        val_fraction: share of the clips kept for validation when no id list is given
        min_seconds_per_character: rows that speak faster than this are reported as bad
        max_seconds_per_character: rows that speak slower than this are reported as bad
        n_shards: MindRecord files per split
        n_buckets: largest number of batch shapes, and so of compiled training graphs
        workers: parallel readers
    """

    val_fraction: float = 0.02
    min_seconds_per_character: float = 0.02
    max_seconds_per_character: float = 0.5
    n_shards: int = 1
    n_buckets: int = 6
    workers: int = 2


@dataclass
class TrainConfig:
    """The training run. Losses and schedules count optimiser steps; some keys are of use to one network only.

    Args:
        batch_size: clips per step
        max_steps: optimiser steps of the whole run
        lr: learning rate of Adam
        weight_decay: L2 penalty
        grad_clip: largest global norm of the gradient; a huge value turns clipping off
        seed: seed of initial weights, shuffling and dropout
        log_every: steps between two rows of log.jsonl
        validate_every: steps between two validations; 0 means once per epoch
        checkpoint_every: steps between two checkpoints; 0 means once per epoch
        keep_checkpoints: how many of the newest checkpoints stay
        max_bad_steps: this many non-finite steps in a row end the run
        guided_attention: weight of the guided-attention loss; 0 turns it off (tacotron2)
        guided_attention_sigma: width of the diagonal that guided attention allows, as a share of the length (tacotron2)
        guided_attention_decay_steps: the weight falls as exp(-step / this); 0 keeps it constant (tacotron2)
        segment_length: samples of the pieces that are cut out of the clips (waveglow)
        sigma: standard deviation of the noise that sound is to be turned into (waveglow)
    """

    batch_size: int = 64
    max_steps: int = 100_000
    lr: float = 1e-3
    weight_decay: float = 1e-6
    grad_clip: float = 1.0
    seed: int = 1234
    log_every: int = 10
    validate_every: int = 0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    max_bad_steps: int = 10
    guided_attention: float = 0.0
    guided_attention_sigma: float = 0.25
    guided_attention_decay_steps: int = 0
    segment_length: int = 16000
    sigma: float = 1.0


@dataclass
class Config:
    """Everything that shapes a run; travels as YAML text inside each checkpoint."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: Tacotron2Config | WaveGlowConfig = field(default_factory=Tacotron2Config)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """This configuration as nested dicts that `load_config` reads back."""
        return dataclasses.asdict(self)

    def to_yaml(self) -> str:
        """This configuration as YAML text, the form of a configuration file."""
        return yaml.dump(self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes lists in few lines."""


_Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True))


NETWORKS = {"tacotron2": Tacotron2Config, "waveglow": WaveGlowConfig}
SECTIONS = {section.name: (section.default_factory,) for section in dataclasses.fields(Config)} | {"model": tuple(NETWORKS.values())}
KEYS = {f"{name}.{key.name}": key for name, kinds in SECTIONS.items() for kind in kinds[::-1] for key in dataclasses.fields(kind)}


def load_config(source: str | Path | dict[str, Any] | None = None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a configuration and overlay it.

    Args:
        source: path of a YAML file, its content as nested dicts, or None for the defaults.
        overrides: values by dotted key, such as `{"model.prenet_dropout": 0.0}`.

    Raises:
        InputError: unreadable file, unknown key (names the nearest valid one), value of the wrong type or out of range.
    """
    where = str(source) if isinstance(source, str | Path) else "config"
    values = given_keys(source)
    values = _typed(values, where)
    config = _build(values, where)
    if overrides:
        config = _build(values | _typed(overrides, "override"), "override")
    check_values(_flat(config), config, where)
    return config


def given_keys(source: str | Path | dict[str, Any] | None) -> dict[str, Any]:
    """The values by dotted key that a configuration's YAML file, or its content, gives.

    Raises:
        InputError: unreadable file or unknown section.
    """
    where = "config"
    if isinstance(source, str | Path):
        where, source = str(source), _read_yaml(Path(source))
    values: dict[str, Any] = {}
    for section, keys in (source or {}).items():
        if section not in SECTIONS or not isinstance(keys, dict):
            raise InputError(f"{where}: no section '{section}'; the sections are {', '.join(SECTIONS)}")
        values |= {f"{section}.{key}": value for key, value in keys.items()}
    return values


def typed(overrides: dict[str, Any], where: str = "flag") -> dict[str, Any]:
    """`overrides` by dotted key with their values, which may be texts, turned into the types of the configuration; errors name `where`.

    Raises:
        InputError: unknown key or value of the wrong type.
    """
    return _typed(overrides, where)


def _typed(values: dict[str, Any], where: str) -> dict[str, Any]:
    parser = ArgumentParser(exit_on_error=False)
    for key in values:
        if key not in KEYS:
            raise InputError(f"{where}: unknown key '{key}'; did you mean '{nearest_key(key)}'?")
        parser.add_argument(f"--{key}", type=KEYS[key].type)
    try:
        parsed = parser.parse_object(values)
    except ArgumentError as error:
        raise InputError(f"{where}: {' '.join(str(error).split())}") from error
    return {key: parsed[key] for key in values}


def _build(values: dict[str, Any], where: str) -> Config:
    network = values.get("model.name", Tacotron2Config.name)
    sections = {name: kinds[0] for name, kinds in SECTIONS.items()} | {"model": NETWORKS[network]}
    content: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for key, value in values.items():
        section, name = key.split(".")
        if name not in {field.name for field in dataclasses.fields(sections[section])}:
            raise InputError(f"{where}: '{key}' is a key of another network; model.name is {network}")
        content[section][name] = value
    return Config(**{name: section(**content[name]) for name, section in sections.items()})


def _flat(config: Config) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, keys in config.to_dict().items() for name, value in keys.items()}


def nearest_key(key: str) -> str:
    """The valid dotted key most like `key`."""
    return difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, an impossible date
        raise InputError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict | None):
        raise InputError(f"{path}: expected sections ({', '.join(SECTIONS)}), found {type(content).__name__}")
    return content or {}
