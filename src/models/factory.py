"""Networks by name, with fresh weights or those of a checkpoint."""

from typing import Any

from mindspore import nn

from src import runtime
from src.audio import mel_signature
from src.checkpoint import load_checkpoint, load_weights
from src.config import Config, load_config
from src.errors import InputError
from src.models.layers import sync_batch_norm
from src.models.tacotron2.model import Tacotron2
from src.models.waveglow.model import WaveGlow


def create_model(
    name: str | None = None,
    config: Config | str | None = None,
    checkpoint: str | None = None,
    overrides: dict[str, Any] | None = None,
) -> nn.Cell:
    """Build a network, in evaluation mode, with fresh weights or those of a checkpoint; puts MindSpore in graph mode.

    Args:
        name: "tacotron2" or "waveglow"; must agree with the configuration's `model.name`.
        config: YAML file or configuration, by default the network's own; with a checkpoint, the one inside it is used and this must be left
            out.
        checkpoint: our self-describing `.ckpt`.
        overrides: configuration values by dotted key, such as `{"model.prenet_dropout": 0.0}`.

    Raises:
        InputError: unreadable or unfitting configuration or checkpoint; overrides that change what the checkpoint's mels mean.
    """
    runtime.setup()
    loaded = load_checkpoint(checkpoint) if checkpoint else None
    if loaded and config is not None:
        raise InputError(f"{checkpoint} carries its own configuration; use overrides instead of config")
    source = loaded.config if loaded else config
    if source is None and name is not None:
        source = {"model": {"name": name}}
    config = load_config(source.to_dict() if isinstance(source, Config) else source, overrides)
    if name is not None and name != config.model.name:
        raise InputError(f"asked for the network '{name}', but the configuration is of '{config.model.name}'")
    if loaded and (config.text.symbols, config.text.end_symbol) != (loaded.symbols, loaded.config.text.end_symbol):
        raise InputError(
            f"{checkpoint}: overrides cannot change the {len(loaded.symbols)} symbols that its network reads"
        )
    if loaded and (signature := mel_signature(config.audio)) != loaded.mel_signature:
        changed = [
            f"{key} {value} to {signature[key]}"
            for key, value in loaded.mel_signature.items()
            if signature[key] != value
        ]
        raise InputError(
            f"{checkpoint}: its mel spectrograms cannot be turned into others by overrides, which change {', '.join(changed)}"
        )
    net = {"tacotron2": Tacotron2, "waveglow": WaveGlow}[config.model.name](config)
    sync_batch_norm(net, runtime.all_reduce())
    if loaded:
        load_weights(net, loaded)
    return net.set_train(False)
