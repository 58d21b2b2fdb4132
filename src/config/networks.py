"""The networks.

Each is registered once, here or by `register_network`; no other module asks which networks there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from src.config.checks import check_harmonic, check_tacotron2, check_waveglow
from src.config.schema import Config, Tacotron2Config
from src.config.vocoders import HarmonicConfig, WaveGlowConfig

Kind = Literal["acoustic", "vocoder"]  # text to mel spectrogram; mel spectrogram to sound


@dataclass(frozen=True)
class Network:
    """A network, as the programs need to know it.

    Code is given as the object itself or as "module:attribute", and then imported when it is used: so a configuration
    can be read without MindSpore.

    Attributes:
        kind: "acoustic" reads symbols and trains on mel spectrograms, "vocoder" trains on waveforms.
        config: dataclass of the section `model`, made of `setting` fields; its `name` field has the network's name as
            default.
        check: raises InputError for a configuration whose fields do not fit together; called with it and where it comes
            from.
        cell: `nn.Cell` that is built from a `Config` and keeps it as `config`. An acoustic one speaks by `generate`,
            `compile_generate` and `generate_key`, as `Tacotron2` has them, and by `choose_voice` if it has several; a
            vocoder by `infer` and `remove_weight_norm`, as `WaveGlow` has them.
        task: `src.train.task.Task` that is built from a `Config`.
        exporters: by file format, a function from a network to its list of `src.export.artifact.Artifact`. For MINDIR
            and AIR it takes `fixed` too (whether sizes must not be dynamic), and `max_symbols` if the network is
            acoustic.
        layout: `src.convert.mapping.PublicLayout` of the public implementations' checkpoints, if there are any.
        card: file name of the MindSpore Hub card, if there is one.
    """

    kind: Kind
    config: type
    cell: Any
    task: Any
    check: Callable[[Config, str], None] = lambda config, where: None
    exporters: Mapping[str, Any] = field(default_factory=dict)
    layout: Any = None
    card: str | None = None

    @property
    def name(self) -> str:
        """The value of `model.name`."""
        return self.config.name


def imported(code: Any) -> Any:
    """Return the object that "module:attribute" names; anything but a text is returned as it is."""
    if not isinstance(code, str):
        return code
    module, attribute = code.split(":")
    return getattr(import_module(module), attribute)


NETWORKS: dict[str, Network] = {}


def register_network(network: Network) -> None:
    """Make a network known to the configuration, the command line and all programs. Its name must be new.

    Raises:
        ValueError: there is a network of that name already.
    """
    if network.name in NETWORKS:
        raise ValueError(f"there is a network '{network.name}' already")
    NETWORKS[network.name] = network


def network_of(config: Config) -> Network:
    """Return the registration of the network that `config.model` describes."""
    return NETWORKS[config.model.name]


register_network(
    Network(
        kind="acoustic",
        config=Tacotron2Config,
        check=check_tacotron2,
        cell="src.models.tacotron2.model:Tacotron2",
        task="src.train.tacotron2:Tacotron2Task",
        exporters={
            "MINDIR": "src.export.mindir:tacotron2_artifacts",
            "MINDIR parts": "src.export.mindir_parts:tacotron2_parts",
            "AIR": "src.export.mindir:tacotron2_artifacts",
            "ONNX": "src.export.onnx.artifacts:tacotron2_artifacts",
        },
        layout="src.convert.tacotron2:LAYOUT",
        card="hub_meta.md",
    )
)
register_network(
    Network(
        kind="vocoder",
        config=WaveGlowConfig,
        check=check_waveglow,
        cell="src.models.waveglow.model:WaveGlow",
        task="src.train.waveglow:WaveGlowTask",
        exporters={
            "MINDIR": "src.export.mindir:waveglow_artifacts",
            "MINDIR parts": "src.export.mindir_parts:waveglow_part",
            "AIR": "src.export.mindir:waveglow_artifacts",
            "ONNX": "src.export.onnx.artifacts:waveglow_artifacts",
        },
        layout="src.convert.waveglow:LAYOUT",
        card="hub_meta_waveglow.md",
    )
)
register_network(
    Network(
        kind="vocoder",
        config=HarmonicConfig,
        check=check_harmonic,
        cell="src.models.harmonic.model:HarmonicVocoder",
        task="src.train.harmonic:HarmonicTask",
        exporters={
            "MINDIR": "src.export.mindir_harmonic:harmonic_artifacts",
            "AIR": "src.export.mindir_harmonic:harmonic_artifacts",
            "ONNX": "src.export.onnx.artifacts:harmonic_artifacts",
        },
        card="hub_meta_harmonic.md",
    )
)
