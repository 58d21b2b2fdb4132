"""Tensors of a converted checkpoint that our own weights do not tell, kept for the way back.

Ours has one bias where PyTorch's LSTMs have two that are added, and no counters of batches. The checkpoint carries
what is lost as text.
"""

import base64
from collections.abc import Mapping, Sequence

import numpy as np

from src.convert.mapping import TensorMapping, to_ours, to_theirs
from src.convert.safetensors_file import format_safetensors, parse_safetensors

OUR_CONFIG = "mindspore_tts_config"  # a file written here carries our configuration under this name, for the way back
ORIGINALS = "originals"  # a converted checkpoint carries what is lost under this name


def keep_originals(
    mapping: Sequence[TensorMapping], tensors: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Return what a checkpoint of `weights`, made of `tensors`, must carry for the way back, by name."""
    back = to_theirs(mapping, weights)
    lost = {name: array for name, array in tensors.items() if array.tobytes() != back[name].tobytes()}
    return {ORIGINALS: base64.b64encode(format_safetensors(lost, {})).decode()} if lost else {}


def restore(
    mapping: Sequence[TensorMapping], weights: Mapping[str, np.ndarray], extra: Mapping[str, object]
) -> dict[str, np.ndarray]:
    """Return the tensors that `weights` were made of, to the bit if the checkpoint's `extra` carries what is lost.

    After further training the kept tensors no longer make these weights, and others that do take their place.
    """
    tensors = to_theirs(mapping, weights)
    originals = {**tensors, **_kept(extra, tensors)}
    made = to_ours(mapping, originals)
    return originals if all(array.tobytes() == weights[name].tobytes() for name, array in made.items()) else tensors


def _kept(extra: Mapping[str, object], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the kept tensors that could stand in the place of some of `tensors`; none if the text is damaged."""
    try:
        kept = parse_safetensors(base64.b64decode(str(extra.get(ORIGINALS, "")))).tensors
    except ValueError:  # neither base64 nor safetensors
        return {}
    return {name: array for name, array in kept.items() if name in tensors and array.shape == tensors[name].shape}
