"""The sections of the configuration. Each field carries its default, its explanation and its bounds.

The check of values, `--help` and docs/parameters.md are made from these fields.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from src.config.fields import setting
from src.text.symbols import SYMBOLS

AmpLevel = Literal["O0", "O1", "O2"]  # see src.models.precision


@dataclass
class AudioConfig:
    """The mel spectrogram of a waveform."""

    sample_rate: int = setting(22050, "samples per second", above=0, most=384_000)
    n_fft: int = setting(1024, "length of the Fourier transform in samples", above=0, most=65536)
    hop_length: int = setting(256, "samples between two frames", above=0, most=65536)
    win_length: int = setting(1024, "length of the Hann window in samples", above=0, most=65536)
    n_mels: int = setting(80, "number of mel bands", above=0, most=1024)
    fmin: float = setting(0.0, "lower edge of the lowest band in Hz", least=0)
    fmax: float = setting(8000.0, "upper edge of the highest band in Hz", above=0)
    preemphasis: float = setting(
        0.0, "the spectrogram is one of y[t] = x[t] - preemphasis * x[t - 1]; 0 turns it off", least=0, below=1
    )
    compression: Literal["ln", "unit"] = setting(
        "ln", "ln: natural logarithm; unit: a logarithm scaled to 0 at mel_floor and 1 at mel_ceiling"
    )
    mel_floor: float = setting(1e-5, "magnitudes below this are raised to it before the logarithm", above=0)
    mel_ceiling: float = setting(10.0, "magnitudes above this are lowered to it; compression unit only", above=0)
    griffinlim_iterations: int = setting(60, "iterations of the Griffin-Lim vocoder", free=True, above=0, most=10_000)
    griffinlim_power: float = setting(
        1.0,
        "Griffin-Lim raises magnitudes to this power; above 1 sharpens the blurred spectra of networks (1.2 is common)",
        free=True,
        above=0,
        most=10,
    )


@dataclass
class TextConfig:
    """The symbol ids of a text."""

    symbols: list[str] = setting(
        SYMBOLS,
        "what the network reads, in the order of its embedding's rows: the name of a table (english_148) or a list; "
        "ARPAbet as @AH0, or as AH0 if letters are lower case",
    )
    end_symbol: str = setting("", "one of the symbols, which is put behind each text; none if empty")
    cleaner: str = setting(
        "english_cleaners",
        "how text is normalised before symbols are looked up, see docs/text.md; english_phonemes and english look "
        "words up in the CMU dictionary",
    )
    foreign_script: Literal["refuse", "transliterate"] = setting(
        "refuse",
        "words in a script that the network's symbols do not have: an error, or read by their transliteration",
        free=True,
    )
    traditional: Literal["convert", "refuse"] = setting(
        "convert",
        "traditional Chinese characters: read as simplified ones, or an error; cleaner mandarin only",
        free=True,
    )
    readings: list[str] = setting(
        [],
        "readings of words, which go before the dictionary's: a file of lines such as '行长 hang2 zhang3', or a list of "
        "them; cleaner mandarin only",
        free=True,
    )
    sentence_pause: float = setting(
        0.2, "silence between the sentences of one text in seconds", free=True, least=0, most=60
    )
    max_sentence_length: int = setting(
        200,
        "longest piece of text spoken at once, in characters; longer sentences are split at commas or spaces",
        free=True,
        above=0,
        most=100_000,
    )


@dataclass
class Tacotron2Config:
    """The network that turns text into mel spectrograms."""

    name: str = setting("tacotron2", "which network")
    n_symbols: int = setting(148, "rows of the embedding table, as many as text.symbols", above=0)
    n_speakers: int = setting(
        1, "voices; with more than one, each has a vector that is added to the encoder's output", above=0, most=65536
    )
    encoder_dim: int = setting(
        512, "width of the embedding, the encoder convolutions and the encoder output", above=0, even=True, most=65536
    )
    encoder_layers: int = setting(3, "number of encoder convolutions", above=0, most=100)
    encoder_kernel_size: int = setting(5, "width of the encoder convolutions", above=0, odd=True, most=1001)
    prenet_dim: int = setting(256, "width of both prenet layers", above=0, most=65536)
    attention_rnn_dim: int = setting(1024, "width of the attention LSTM", above=0, most=65536)
    attention_dim: int = setting(128, "width of the attention's hidden layer", above=0, most=65536)
    location_filters: int = setting(32, "filters of the location convolution", above=0, most=65536)
    location_kernel_size: int = setting(31, "width of the location convolution", above=0, odd=True, most=1001)
    decoder_rnn_dim: int = setting(1024, "width of the decoder LSTM", above=0, most=65536)
    postnet_dim: int = setting(512, "channels of the postnet", above=0, most=65536)
    postnet_layers: int = setting(5, "number of postnet convolutions", above=0, most=100)
    postnet_kernel_size: int = setting(5, "width of the postnet convolutions", above=0, odd=True, most=1001)
    reduction_factor: int = setting(1, "mel frames per decoder step (r)", above=0, most=100)
    encoder_dropout: float = setting(0.5, "dropout after each encoder convolution", free=True, least=0, below=1)
    prenet_dropout: float = setting(
        0.5,
        "dropout in the prenet, which stays on at inference; 0 makes inference deterministic",
        free=True,
        least=0,
        below=1,
    )
    attention_dropout: float = setting(0.1, "dropout on the attention LSTM's state", free=True, least=0, below=1)
    decoder_dropout: float = setting(0.1, "dropout on the decoder LSTM's state", free=True, least=0, below=1)
    postnet_dropout: float = setting(0.5, "dropout after each postnet convolution", free=True, least=0, below=1)
    gate_threshold: float = setting(
        0.5, "speech stops at the first step whose gate probability is above this", free=True, above=0
    )
    max_decoder_steps: int = setting(
        1000, "speech that has not stopped by then is cut off", free=True, above=0, most=100_000
    )
    attention_stop_frames: int = setting(
        60,
        "stop after this many frames with the attention on the last symbol; 0 turns the rule off",
        free=True,
        least=0,
    )


@dataclass
class DataConfig:
    """How the recordings are split, stored and batched."""

    val_fraction: float = setting(
        0.02, "share of the clips kept for validation when no id list is given", least=0, below=1
    )
    min_seconds_per_character: float = setting(0.02, "rows that speak faster than this are reported as bad", least=0)
    max_seconds_per_character: float = setting(0.5, "rows that speak slower than this are reported as bad", above=0)
    trim_db: float = setting(
        0.0, "cut silence this many dB below the loudest frame off both ends (40 is common); 0: off", least=0, most=120
    )
    max_seconds: float = setting(30.0, "longer clips are left out, as they decide a step's time; 0: no limit", least=0)
    mels: str = setting("", "folder of scripts/align.py, whose mels replace those of the recordings (vocoders)")
    mels_share: float = setting(1.0, "share of the segments whose mels data.mels replaces", above=0, most=1)
    n_shards: int = setting(1, "MindRecord files per split", above=0, most=1000)
    n_buckets: int = setting(
        6, "largest number of batch shapes, each with a training graph of its own", above=0, most=1000
    )
    workers: int = setting(2, "parallel readers", above=0, most=1000)
    speakers: list[str] = setting(
        [], "names of the voices in the order of their numbers; training with model.n_speakers takes the dataset's"
    )


@dataclass
class TrainConfig:
    """The training run. Losses and schedules count optimiser steps; some keys matter to one network only."""

    batch_size: int = setting(64, "clips per batch and device", above=0, most=65536)
    accumulate: int = setting(1, "batches whose mean gradient makes an optimiser step", above=0, most=65536)
    max_steps: int = setting(100_000, "optimiser steps of the whole run", above=0)
    max_hours: float = setting(
        0.0, "hours after which this process stops with a checkpoint to resume from; 0: no limit", least=0
    )
    amp: AmpLevel = setting(
        "O0", "precision: O0 float32; O1 matrix products in float16; O2 activations in float16 as well"
    )
    loss_scale: float = setting(
        32768.0,
        "initial factor on the loss with amp O1 and O2; halved at overflows, doubled after a long time without",
        above=0,
    )
    lr: float = setting(1e-3, "highest learning rate of Adam", above=0)
    schedule: Literal["constant", "step", "exponential", "inverse_sqrt"] = setting(
        "constant", "what the learning rate does after its warm-up, with the keys below"
    )
    warmup_steps: int = setting(
        0, "steps over which lr rises from 0; schedule inverse_sqrt then falls as sqrt(warmup_steps / step)", least=0
    )
    anneal_steps: list[int] = setting([], "steps at which schedule step multiplies lr by anneal_factor")
    anneal_factor: float = setting(0.1, "see anneal_steps", above=0)
    decay_start: int = setting(50_000, "step from which schedule exponential lowers lr", least=0)
    decay_steps: int = setting(50_000, "steps over which schedule exponential multiplies lr by decay_rate", above=0)
    decay_rate: float = setting(0.1, "see decay_steps", above=0)
    min_lr: float = setting(1e-5, "schedules other than constant do not go below this after the warm-up", least=0)
    reduction_steps: dict[int, int] = setting(
        {},
        "reduction factor from these steps on, such as {2000: 3, 6000: 2}; before, model.reduction_factor (tacotron2)",
    )
    weight_decay: float = setting(1e-6, "L2 penalty", least=0)
    grad_clip: float = setting(1.0, "largest global norm of the gradient; a huge value turns clipping off", above=0)
    seed: int = setting(1234, "seed of initial weights, shuffling and dropout", least=0, most=2**31 - 1)
    log_every: int = setting(10, "steps between two rows of log.jsonl", above=0)
    validate_every: int = setting(0, "steps between two validations; 0: once per epoch", least=0)
    checkpoint_every: int = setting(1000, "steps between two checkpoints; 0: once per epoch", least=0)
    keep_checkpoints: int = setting(3, "how many of the newest checkpoints are kept", above=0)
    max_bad_steps: int = setting(10, "non-finite steps in a row that end the run", above=0)
    max_wild_steps: int = setting(
        50,
        "steps in a row whose loss or gradient is far beyond the run's usual ones that end it; 0: any number",
        least=0,
    )
    freeze: list[str] = setting(
        [],
        "parameters that training leaves as they are: names up to a dot, such as encoder, or patterns such as *.bias",
    )
    spoken_sentences: list[str] = setting(
        [], "short sentences that the network speaks at each validation, free running, by Griffin-Lim (tacotron2)"
    )
    tensorboard: bool = setting(False, "write log and pictures for TensorBoard too; needs the package tensorboardX")
    guided_attention: float = setting(0.0, "weight of the guided-attention loss; 0 turns it off (tacotron2)", least=0)
    guided_attention_sigma: float = setting(
        0.25, "width of the diagonal that guided attention allows, as a share of the length (tacotron2)", above=0
    )
    guided_attention_decay_steps: int = setting(
        0, "the weight of guided attention falls as exp(-step / this); 0: constant (tacotron2)", least=0
    )
    teacher_dropout: float = setting(
        0.0, "share of decoder steps whose previous teacher frames are replaced by zeros (tacotron2)", least=0, below=1
    )
    segment_length: int = setting(16000, "samples of the segments that are cut out of the clips (vocoders)", above=0)
    sigma: float = setting(1.0, "standard deviation of the noise that sound is turned into (waveglow)", above=0)


@dataclass
class Config:
    """The settings of a run. They travel as YAML text inside each checkpoint."""

    audio: AudioConfig = field(default_factory=AudioConfig)
    text: TextConfig = field(default_factory=TextConfig)
    model: Any = field(default_factory=Tacotron2Config)  # the dataclass of a registered network
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return this configuration as nested dicts that `load_config` reads back."""
        return dataclasses.asdict(self)

    def to_yaml(self) -> str:
        """Return this configuration as YAML text, the form of a configuration file."""
        return yaml.dump(self.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes lists in few lines."""


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
