"""Tacotron 2 of coqui's TTS (github.com/coqui-ai/TTS, `TTS.tts.models.tacotron2`), brought to NVIDIA's layout.

Two parts differ in more than names. The stop network reads the decoder's hidden state and the frames just made, which
are themselves linear in hidden state and context; both products make one gate. The prenet reads the last frame of a
step only; for the others its weights become zero.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from src.convert.tacotron2 import ATTENTION, PRENET
from src.errors import InputError

PROJECTION = "decoder.linear_projection.linear_layer"
GATE = "decoder.gate_layer.linear_layer"
STOPNET = "decoder.stopnet.1.linear_layer"
AUDIO = {
    "sample_rate": "audio.sample_rate",
    "fft_size": "audio.n_fft",
    "hop_length": "audio.hop_length",
    "win_length": "audio.win_length",
    "num_mels": "audio.n_mels",
    "mel_fmin": "audio.fmin",
    "mel_fmax": "audio.fmax",
    "preemphasis": "audio.preemphasis",
}
# Settings under which the network computes what ours does. The first must be given, the others have these defaults.
NEEDED = {
    "attention_norm": "softmax",
    "attention_type": "original",
    "use_forward_attn": False,
    "location_attn": True,
    "prenet_type": "original",
}
_TRAINING_AIDS = ("coarse_decoder.", "decoder_backward.")


class Coqui(NamedTuple):
    """The settings of coqui's configuration that decide how its tensors are read."""

    reduction_factor: int | None = None  # in use; a training that began with more frames a step keeps weights for them
    claims: tuple[tuple[str, str, Any], ...] = ()  # name there, our dotted key, value


def read_coqui_config(rest: Mapping[str, Any], config: Mapping[str, Any] | None) -> Coqui:
    """Read coqui's configuration, from the checkpoint or from its config.json.

    Args:
        rest: what lies beside the weights in the checkpoint.
        config: content of config.json; None if it was not given.

    Raises:
        InputError: no configuration, or a network or mel spectrogram that ours cannot equal.
    """
    inside = rest.get("config")
    config = config if config is not None else inside if isinstance(inside, dict) else {}
    if "attention_norm" not in config:
        raise InputError(
            "is coqui's Tacotron 2, whose tensors do not tell how its attention is normalised; "
            "give its config.json by --source_config FILE"
        )
    for name, wanted in NEEDED.items():
        if (found := config.get(name, wanted)) != wanted:
            raise InputError(
                f"its config says {name} {found}, and this network computes what coqui's does with {wanted} only"
            )
    audio = config.get("audio") if isinstance(config.get("audio"), dict) else {}
    if audio and (audio.get("signal_norm", True) or (audio.get("spec_gain"), audio.get("log_func")) != (1, "np.log")):
        raise InputError(
            "its mel spectrograms are scaled as no setting of ours says; "
            "only those with signal_norm false, spec_gain 1 and log_func np.log convert"
        )
    claims = [(f"audio.{name}", key, audio[name]) for name, key in AUDIO.items() if _is_number(audio.get(name))]
    if audio and audio.get("mel_fmax", 0) is None and _is_number(audio.get("sample_rate")):
        claims.append(("audio.mel_fmax", "audio.fmax", audio["sample_rate"] / 2))
    if not (config.get("prenet_dropout", True) and config.get("prenet_dropout_at_inference", False)):
        claims.append(("prenet_dropout_at_inference", "model.prenet_dropout", 0.0))
    if _is_number(config.get("max_decoder_steps")):
        claims.append(("max_decoder_steps", "model.max_decoder_steps", config["max_decoder_steps"]))
    factors = [each for each in (rest.get("r"), config.get("r")) if _is_number(each)]
    return Coqui(factors[0] if factors else None, tuple(claims))


def is_training_aid(name: str) -> bool:
    """Return whether a tensor belongs to a second decoder that only training uses."""
    return name.removeprefix("model.").removeprefix("module.").startswith(_TRAINING_AIDS)


def rename_coqui(name: str) -> str:
    """Rename a tensor; those of the stop network keep names of their own."""
    name = re.sub(r"(\.convolutions\.\d+)\.convolution1d\.", r"\1.0.conv.", name)
    name = re.sub(r"(\.convolutions\.\d+)\.batch_normalization\.", r"\1.1.", name)
    name = re.sub(r"^decoder\.prenet\.linear_layers\.", "decoder.prenet.layers.", name)
    name = re.sub(r"^decoder\.attention\.", f"{ATTENTION}.", name)
    name = name.replace(f"{ATTENTION}.inputs_layer.", f"{ATTENTION}.memory_layer.")
    return name.replace(".location_conv1d.", ".location_conv.conv.")


def unify_coqui(tensors: Mapping[str, np.ndarray], settings: Coqui) -> dict[str, np.ndarray]:
    """Return renamed tensors with NVIDIA's gate and prenet.

    A tensor that does not fit keeps its name, which `misfits` reports.

    Raises:
        InputError: the configuration's reduction factor is above that of the tensors.
    """
    found = dict(tensors)
    found.pop(f"{ATTENTION}.v.linear_layer.bias", None)  # the same for every position, so softmax does not see it
    parts = {
        "weight": f"{PROJECTION}.weight",
        "bias": f"{PROJECTION}.bias",
        "stop_weight": f"{STOPNET}.weight",
        "stop_bias": f"{STOPNET}.bias",
        "hidden": "decoder.decoder_rnn.weight_hh",
        "prenet": PRENET,
    }
    if not all(name in found for name in parts.values()):
        return found
    array = {part: found[name].astype(np.float64) for part, name in parts.items()}
    n_frame, n_hidden = len(array["weight"]), array["hidden"].shape[-1]
    if [array[part].ndim for part in parts] != [2, 1, 2, 1, 2, 2] or array["stop_weight"].shape != (
        1,
        n_hidden + n_frame,
    ):
        return found
    from_hidden, from_frames = np.split(array["stop_weight"], [n_hidden], axis=1)
    gate = from_frames @ array["weight"]
    gate[:, :n_hidden] += from_hidden
    found[f"{GATE}.weight"] = gate.astype(np.float32)
    found[f"{GATE}.bias"] = (array["stop_bias"] + from_frames @ array["bias"]).astype(np.float32)
    del found[f"{STOPNET}.weight"], found[f"{STOPNET}.bias"]

    n_mels = array["prenet"].shape[1]
    factor = settings.reduction_factor or n_frame // max(n_mels, 1)
    if not 1 <= factor <= n_frame // max(n_mels, 1):
        raise InputError(
            f"its config says r {factor}, its tensors are for at most {n_frame // max(n_mels, 1)} frames a step"
        )
    for kind in ("weight", "bias"):
        found[f"{PROJECTION}.{kind}"] = found[f"{PROJECTION}.{kind}"][: factor * n_mels]
    found[PRENET] = np.pad(found[PRENET], ((0, 0), ((factor - 1) * n_mels, 0)))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
