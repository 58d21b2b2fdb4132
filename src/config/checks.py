"""Checks of configuration values: each number by the bounds of its field, names by registries, and fields together."""

import unicodedata
from typing import Any

from src.config.schema import AudioConfig, Config, TextConfig, TrainConfig
from src.errors import InputError
from src.text.registry import cleaner_named, cleaner_of


def check_bounds(key: str, value: Any, metadata: Any, where: str) -> None:
    """Make sure that a number lies within the bounds of its field; texts, lists and switches have none.

    Raises:
        InputError: it does not.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and (must := metadata["bounds"].complaint(value)):
        raise InputError(f"{where}: {key} is {value}, but must be {must}")


def check_audio(audio: AudioConfig, where: str) -> None:
    """Make sure that the audio settings fit together.

    Raises:
        InputError: names the key that does not fit; so do the other checks here.
    """
    if audio.win_length > audio.n_fft:
        raise InputError(
            f"{where}: audio.win_length ({audio.win_length}) must not be above audio.n_fft ({audio.n_fft})"
        )
    if not audio.fmin < audio.fmax <= audio.sample_rate / 2:
        rule = "audio.fmin < audio.fmax <= half of audio.sample_rate"
        raise InputError(f"{where}: {rule} does not hold: {audio.fmin}, {audio.fmax}")
    if audio.mel_floor >= audio.mel_ceiling:
        floor, ceiling = audio.mel_floor, audio.mel_ceiling
        raise InputError(f"{where}: audio.mel_floor ({floor}) must be below audio.mel_ceiling ({ceiling})")


def check_text(text: TextConfig, where: str) -> None:
    """Make sure that the cleaner is a registered one, and that it takes the settings that are made for one."""
    try:
        cleaner = cleaner_named(text.cleaner)
    except InputError as error:
        raise InputError(f"{where}: text.cleaner: {error}") from error
    if text.readings and not cleaner.configure:
        raise InputError(f"{where}: text.readings: the cleaner {text.cleaner} takes none, the cleaner mandarin does")
    try:
        cleaner_of(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def check_train(train: TrainConfig, where: str) -> None:
    """Make sure that the settings of the learning rate's schedule fit together."""
    steps = train.anneal_steps
    if min(steps, default=1) < 1 or steps != sorted(set(steps)):
        raise InputError(f"{where}: train.anneal_steps is {steps}, but must be steps above 0 in ascending order")
    if train.schedule == "step" and not steps:
        raise InputError(f"{where}: train.schedule step needs train.anneal_steps, such as [20000, 40000]")
    if train.schedule == "inverse_sqrt" and not train.warmup_steps:
        raise InputError(f"{where}: train.schedule inverse_sqrt needs train.warmup_steps, such as 4000")
    if train.schedule != "constant" and train.min_lr > train.lr:
        raise InputError(f"{where}: train.min_lr ({train.min_lr}) must not be above train.lr ({train.lr})")


def check_tacotron2(config: Config, where: str) -> None:
    """Make sure that symbols, network and reduction factors of a Tacotron 2 fit together."""
    text, model, steps = config.text, config.model, config.train.reduction_steps
    if config.data.mels:
        raise InputError(f"{where}: data.mels is for vocoders; model.name is tacotron2")
    symbols = [unicodedata.normalize("NFC", symbol) for symbol in text.symbols]  # as texts are read
    repeated = sorted({symbol for symbol in symbols if not symbol or symbols.count(symbol) > 1})
    if repeated:
        raise InputError(f"{where}: text.symbols has empty or repeated symbols: {', '.join(map(repr, repeated))}")
    if text.end_symbol and text.end_symbol not in text.symbols:
        raise InputError(f"{where}: text.end_symbol {text.end_symbol!r} is none of text.symbols")
    if model.n_symbols != len(text.symbols):
        raise InputError(f"{where}: model.n_symbols is {model.n_symbols}, but text.symbols lists {len(text.symbols)}")
    if len(config.data.speakers) not in (0, model.n_speakers):
        found = f"{len(config.data.speakers)} names, but model.n_speakers is {model.n_speakers}"
        raise InputError(f"{where}: data.speakers lists {found}")
    factors = [model.reduction_factor, *(factor for _, factor in sorted(steps.items()))]
    if factors != sorted(set(factors), reverse=True) or factors[-1] < 1 or min(steps, default=1) < 1:
        raise InputError(
            f"{where}: train.reduction_steps is {steps}, but must let the factor fall "
            f"from model.reduction_factor ({model.reduction_factor}) at steps above 0, such as {{2000: 3, 6000: 2}}"
        )


def check_waveglow(config: Config, where: str) -> None:
    """Make sure that frames, groups of samples and segments of a WaveGlow fit together."""
    audio, model, train = config.audio, config.model, config.train
    if train.reduction_steps:
        raise InputError(f"{where}: train.reduction_steps is for tacotron2; model.name is waveglow")
    n_early = (model.n_flows - 1) // model.n_early_every * model.n_early_size
    if n_early >= model.n_group:
        raise InputError(
            f"{where}: model.n_early_every lets {n_early} channels leave early, all of model.n_group ({model.n_group})"
        )
    hop = "audio.hop_length", audio.hop_length
    if model.conditioning == "frames":
        framed = "train.segment_length", train.segment_length
    else:
        framed = "model.upsample_kernel_size", model.upsample_kernel_size
    for (name, length), (unit, size) in ((hop, ("model.n_group", model.n_group)), (framed, hop)):
        if length % size:
            raise InputError(f"{where}: {name} ({length}) must be a multiple of {unit} ({size})")
    if train.segment_length % model.n_group or train.segment_length <= audio.hop_length:
        must = f"a multiple of model.n_group ({model.n_group}) and more than audio.hop_length ({audio.hop_length})"
        raise InputError(f"{where}: train.segment_length ({train.segment_length}) must be {must}")
    _check_waveglow_losses(config, where)


def _check_waveglow_losses(config: Config, where: str) -> None:
    audio, model, train = config.audio, config.model, config.train
    if not model.spectral_weight:
        if model.likelihood_weight != 1 or model.spectral_from:
            given = f"{model.likelihood_weight:g} and model.spectral_from {model.spectral_from}"
            raise InputError(f"{where}: model.likelihood_weight {given} need a model.spectral_weight above 0")
    elif audio.n_fft % 4 or train.segment_length < 4 * audio.n_fft:
        rule = "an audio.n_fft that is a multiple of 4, and a train.segment_length of at least 4 times that"
        found = f"{audio.n_fft}, {train.segment_length}"
        raise InputError(f"{where}: model.spectral_weight ({model.spectral_weight:g}) needs {rule}: {found}")


def check_harmonic(config: Config, where: str) -> None:
    """Make sure that frames, pitches and segments of a harmonic vocoder fit together."""
    audio, model, train = config.audio, config.model, config.train
    if train.reduction_steps:
        raise InputError(f"{where}: train.reduction_steps is for tacotron2; model.name is harmonic")
    if audio.preemphasis:
        raise InputError(f"{where}: audio.preemphasis ({audio.preemphasis}) must be 0 for model.name harmonic")
    if audio.n_fft % 4 or audio.win_length % 2 or 2 * audio.hop_length > audio.win_length:
        rule = "audio.n_fft must be a multiple of 4, audio.win_length even, audio.hop_length at most half of it"
        raise InputError(f"{where}: {rule}: {audio.n_fft}, {audio.hop_length}, {audio.win_length}")
    if not audio.sample_rate / audio.n_fft * 0.4 <= model.pitch_min < model.pitch_max <= audio.sample_rate / 8:
        low, high = audio.sample_rate / audio.n_fft * 0.4, audio.sample_rate / 8
        rule = f"{low:g} <= model.pitch_min < model.pitch_max <= {high:g}"
        raise InputError(f"{where}: {rule} Hz does not hold: {model.pitch_min}, {model.pitch_max}")
    if train.segment_length % audio.hop_length or train.segment_length < 4 * audio.n_fft:
        must = f"a multiple of audio.hop_length ({audio.hop_length}), at least 4 times audio.n_fft ({audio.n_fft})"
        raise InputError(f"{where}: train.segment_length ({train.segment_length}) must be {must}")
