"""What values of a configuration may be, alone and together."""

import math
from typing import TYPE_CHECKING, Any

from src.errors import InputError

if TYPE_CHECKING:
    from src.config.schema import AudioConfig, Config, Tacotron2Config, TextConfig, TrainConfig, WaveGlowConfig

DROPOUTS = [f"model.{part}_dropout" for part in ("encoder", "prenet", "attention", "decoder", "postnet")]
MAY_BE_ZERO = {
    "audio.fmin",
    "audio.preemphasis",
    "text.sentence_pause",
    *DROPOUTS,
    "model.attention_stop_frames",
    "model.sigma",
    "data.val_fraction",
    "data.min_seconds_per_character",
    *(f"train.{name}" for name in ("max_hours", "warmup_steps", "decay_start", "min_lr")),
    *(f"train.{name}" for name in ("weight_decay", "seed", "validate_every", "checkpoint_every")),
    *(f"train.{name}" for name in ("guided_attention", "guided_attention_decay_steps", "teacher_dropout")),
}
BELOW_ONE = {*DROPOUTS, "train.teacher_dropout", "data.val_fraction", "audio.preemphasis"}
ODD = {f"model.{name}_kernel_size" for name in ("encoder", "postnet", "location", "wn")}


def check_values(values: dict[str, Any], config: "Config", where: str) -> None:
    """Make sure that a configuration, whose `values` by dotted key have the right types, makes sense.

    Raises:
        InputError: names the key that does not.
    """
    for key, value in values.items():
        if isinstance(value, bool | str | list | dict):
            continue
        if not math.isfinite(value):
            raise InputError(f"{where}: {key} is {value}, but must be finite")
        if not (value > 0 or (value == 0 and key in MAY_BE_ZERO)):
            raise InputError(
                f"{where}: {key} is {value}, but must be {'at least' if key in MAY_BE_ZERO else 'above'} 0"
            )
        if key in BELOW_ONE and value >= 1:
            raise InputError(f"{where}: {key} is {value}, but must be below 1")
        if key in ODD and value % 2 == 0:
            raise InputError(f"{where}: {key} is {value}, but must be odd")
    _check_audio(config.audio, where)
    _check_train(config.train, where)
    if config.model.name == "waveglow":
        _check_waveglow(config.audio, config.model, config.train, where)
    else:
        _check_tacotron2(config.text, config.model, config.train, where)


def _check_audio(audio: "AudioConfig", where: str) -> None:
    if audio.win_length > audio.n_fft:
        raise InputError(
            f"{where}: audio.win_length ({audio.win_length}) must not be above audio.n_fft ({audio.n_fft})"
        )
    if not audio.fmin < audio.fmax <= audio.sample_rate / 2:
        raise InputError(
            f"{where}: audio.fmin < audio.fmax <= half of audio.sample_rate does not hold: {audio.fmin}, {audio.fmax}"
        )
    if audio.mel_floor >= audio.mel_ceiling:
        raise InputError(
            f"{where}: audio.mel_floor ({audio.mel_floor}) must be below audio.mel_ceiling ({audio.mel_ceiling})"
        )


def _check_train(train: "TrainConfig", where: str) -> None:
    steps = train.anneal_steps
    if min(steps, default=1) < 1 or steps != sorted(set(steps)):
        raise InputError(f"{where}: train.anneal_steps is {steps}, but must be steps above 0 in ascending order")
    if train.schedule == "step" and not steps:
        raise InputError(f"{where}: train.schedule step needs train.anneal_steps, such as [20000, 40000]")
    if train.schedule == "inverse_sqrt" and not train.warmup_steps:
        raise InputError(f"{where}: train.schedule inverse_sqrt needs train.warmup_steps, such as 4000")
    if train.schedule != "constant" and train.min_lr > train.lr:
        raise InputError(f"{where}: train.min_lr ({train.min_lr}) must not be above train.lr ({train.lr})")


def _check_tacotron2(text: "TextConfig", model: "Tacotron2Config", train: "TrainConfig", where: str) -> None:
    repeated = sorted({symbol for symbol in text.symbols if not symbol or text.symbols.count(symbol) > 1})
    if repeated:
        raise InputError(f"{where}: text.symbols has empty or repeated symbols: {', '.join(map(repr, repeated))}")
    if text.end_symbol and text.end_symbol not in text.symbols:
        raise InputError(f"{where}: text.end_symbol {text.end_symbol!r} is none of text.symbols")
    if model.n_symbols != len(text.symbols):
        raise InputError(f"{where}: model.n_symbols is {model.n_symbols}, but text.symbols lists {len(text.symbols)}")
    if model.encoder_dim % 2:
        raise InputError(
            f"{where}: model.encoder_dim is {model.encoder_dim}, but must be even: half of it is for each direction"
        )
    factors = [model.reduction_factor, *(factor for _, factor in sorted(train.reduction_steps.items()))]
    if factors != sorted(set(factors), reverse=True) or factors[-1] < 1 or min(train.reduction_steps, default=1) < 1:
        raise InputError(
            f"{where}: train.reduction_steps is {train.reduction_steps}, but must let the factor fall "
            f"from model.reduction_factor ({model.reduction_factor}) at steps above 0, such as {{2000: 3, 6000: 2}}"
        )


def _check_waveglow(audio: "AudioConfig", model: "WaveGlowConfig", train: "TrainConfig", where: str) -> None:
    if train.reduction_steps:
        raise InputError(f"{where}: train.reduction_steps is for tacotron2; model.name is waveglow")
    for name in ("n_group", "n_early_size"):
        if getattr(model, name) % 2:
            raise InputError(
                f"{where}: model.{name} is {getattr(model, name)}, but must be even: a coupling changes half of the channels"
            )
    n_early = (model.n_flows - 1) // model.n_early_every * model.n_early_size
    if n_early >= model.n_group:
        raise InputError(
            f"{where}: model.n_early_every lets {n_early} channels leave early, all of model.n_group ({model.n_group})"
        )
    if audio.hop_length % model.n_group:
        raise InputError(
            f"{where}: audio.hop_length ({audio.hop_length}) must be a multiple of model.n_group ({model.n_group})"
        )
    if train.segment_length % model.n_group or train.segment_length <= audio.hop_length:
        length, at_least = train.segment_length, f"more than audio.hop_length ({audio.hop_length})"
        raise InputError(
            f"{where}: train.segment_length ({length}) must be a multiple of model.n_group ({model.n_group}) and {at_least}"
        )
    if model.upsample_kernel_size % audio.hop_length:
        kernel_size = model.upsample_kernel_size
        raise InputError(
            f"{where}: model.upsample_kernel_size ({kernel_size}) must be a multiple of audio.hop_length ({audio.hop_length})"
        )
