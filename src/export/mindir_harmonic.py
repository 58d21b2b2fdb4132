"""The MINDIR or AIR file of the harmonic vocoder: a window, so that all sizes are fixed and the graph has no loop."""

import numpy as np
from mindspore import Tensor

from src.export.artifact import Arrays, Artifact
from src.export.harmonic_specs import harmonic_inputs, harmonic_outputs
from src.export.mindir import mindir_artifact
from src.models.harmonic.inference import WindowGraph
from src.models.harmonic.model import HarmonicVocoder
from src.models.harmonic.windows import WINDOW
from src.models.sampling import noise_and_phase

LIMIT = 5e-3  # the rounding of a phase counts once for each of a hundred harmonics


class HarmonicExport(WindowGraph):
    """`WindowGraph` as a cell that owns the network, without which MindSpore writes no parameters."""

    def __init__(self, net: HarmonicVocoder):
        super().__init__(net)
        self.owned = net


def harmonic_artifacts(reference: HarmonicVocoder, fixed: bool) -> list[Artifact]:
    """The one file of a harmonic vocoder; its sizes are fixed in any case, `fixed` chooses AIR."""
    config = reference.config
    samples = WINDOW * config.audio.hop_length
    inputs = harmonic_inputs(config.audio, 1, WINDOW, samples)
    outputs = harmonic_outputs(config.audio, 1, WINDOW, samples)
    outputs["bands"] = outputs["bands"]._replace(shape=(WINDOW, config.audio.n_mels))
    random = np.random.default_rng(0)

    def example(anchor: int) -> Arrays:
        mel = random.standard_normal((1, config.audio.n_mels, WINDOW), np.float32) - 4
        arrays = mel, *noise_and_phase([anchor], samples), np.array([anchor], np.int32)
        return dict(zip(inputs, arrays, strict=True))

    def sound(arrays: Arrays) -> Arrays:
        found = reference.synthesis.graph(*(Tensor(arrays[name]) for name in inputs))
        return {name: value.asnumpy() for name, value in zip(outputs, found, strict=True)}

    reference.set_train(False)
    cell, examples = HarmonicExport(reference), [example(12), example(40)]
    artifact = mindir_artifact(config, "harmonic", cell, inputs, outputs, sound, examples, fixed)
    artifact.limit = LIMIT
    return [artifact]
