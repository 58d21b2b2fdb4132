"""The sections of the configuration: what every key means, and its default."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from src.text.symbols import SYMBOLS

Network = Literal["tacotron2", "waveglow"]
AmpLevel = Literal["O0", "O1", "O2"]  # see src.models.precision


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
        griffinlim_power: magnitudes are raised to this power before it; above 1 sharpens the blurred spectra of networks (1.2 is common)
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
    griffinlim_power: float = 1.0


@dataclass
class TextConfig:
    """How text becomes symbol ids.

    Args:
        symbols: what the network reads, in the order of its embedding's rows; ARPAbet as @AH0, or as AH0 if letters are lower case
        end_symbol: one of the symbols that is put behind each text; none if empty
        cleaner: what normalises the text before symbols are looked up; english_phonemes also looks words up in the CMU dictionary
        sentence_pause: silence between the sentences of one text in seconds
        max_sentence_length: longest piece of text spoken in one go, in characters; longer sentences are split at commas or spaces
    """

    symbols: list[str] = field(default_factory=lambda: list(SYMBOLS))
    end_symbol: str = ""
    cleaner: Literal["english_cleaners", "basic_cleaners", "english_phonemes", "english"] = "english_cleaners"
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
        batch_size: clips per batch and device
        accumulate: batches whose mean gradient makes an optimiser step
        max_steps: optimiser steps of the whole run
        max_hours: hours after which this process stops with a checkpoint to resume from; 0 means no limit
        amp: precision; O0 is float32, O1 has matrix products in float16, O2 also what flows between them
        loss_scale: what the loss is multiplied by at first with amp O1 and O2; falls at overflows, and rises after long without
        lr: learning rate of Adam at its highest
        schedule: what lr does after its warm-up, with the keys below
        warmup_steps: lr rises from 0 for so many steps; after them, schedule inverse_sqrt falls as sqrt(warmup_steps / step)
        anneal_steps: schedule step multiplies lr by anneal_factor at each of these steps
        anneal_factor: see anneal_steps
        decay_start: from this step on, schedule exponential multiplies lr by decay_rate in every decay_steps steps, little by little
        decay_steps: see decay_start
        decay_rate: see decay_start
        min_lr: schedules other than constant do not go below this after the warm-up
        reduction_steps: reduction factor from these steps on, such as {2000: 3, 6000: 2}; model.reduction_factor before them (tacotron2)
        weight_decay: L2 penalty
        grad_clip: largest global norm of the gradient; a huge value turns clipping off
        seed: seed of initial weights, shuffling and dropout
        log_every: steps between two rows of log.jsonl
        validate_every: steps between two validations; 0 means once per epoch
        checkpoint_every: steps between two checkpoints; 0 means once per epoch
        keep_checkpoints: how many of the newest checkpoints stay
        max_bad_steps: this many non-finite steps in a row end the run
        tensorboard: write what goes into log.jsonl and the pictures for TensorBoard too; needs the package tensorboardX
        guided_attention: weight of the guided-attention loss; 0 turns it off (tacotron2)
        guided_attention_sigma: width of the diagonal that guided attention allows, as a share of the length (tacotron2)
        guided_attention_decay_steps: the weight falls as exp(-step / this); 0 keeps it constant (tacotron2)
        teacher_dropout: share of the decoder's steps that hear zeros in place of the teacher's frames before them (tacotron2)
        segment_length: samples of the pieces that are cut out of the clips (waveglow)
        sigma: standard deviation of the noise that sound is to be turned into (waveglow)
    """

    batch_size: int = 64
    accumulate: int = 1
    max_steps: int = 100_000
    max_hours: float = 0.0
    amp: AmpLevel = "O0"
    loss_scale: float = 32768.0
    lr: float = 1e-3
    schedule: Literal["constant", "step", "exponential", "inverse_sqrt"] = "constant"
    warmup_steps: int = 0
    anneal_steps: list[int] = field(default_factory=list)
    anneal_factor: float = 0.1
    decay_start: int = 50_000
    decay_steps: int = 50_000
    decay_rate: float = 0.1
    min_lr: float = 1e-5
    reduction_steps: dict[int, int] = field(default_factory=dict)
    weight_decay: float = 1e-6
    grad_clip: float = 1.0
    seed: int = 1234
    log_every: int = 10
    validate_every: int = 0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    max_bad_steps: int = 10
    tensorboard: bool = False
    guided_attention: float = 0.0
    guided_attention_sigma: float = 0.25
    guided_attention_decay_steps: int = 0
    teacher_dropout: float = 0.0
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


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
