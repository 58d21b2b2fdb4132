"""Networks by name, with fresh weights or those of a checkpoint."""

from pathlib import Path
from typing import Any

from mindspore import nn

from src import runtime
from src.audio import mel_signature
from src.checkpoint import Checkpoint, load_checkpoint, load_weights
from src.config import Config, imported, load_config, network_of
from src.errors import InputError
from src.models.layers import sync_batch_norm
from src.models.scan import set_blocks


def create_model(
    name: str | None = None,
    config: Config | str | Path | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> nn.Cell:
    """Build a network in evaluation mode, with fresh weights or those of a checkpoint. Puts MindSpore in graph mode.

    Args:
        name: of a registered network, such as "tacotron2" or "waveglow"; must agree with the configuration's
            `model.name`.
        config: YAML file or configuration, by default the network's own. It must be left out with a checkpoint, which
            carries one.
        checkpoint: our self-describing `.ckpt`, as a path or as `load_checkpoint` returns it.
        overrides: configuration values by dotted key, such as `{"model.prenet_dropout": 0.0}`.

    Raises:
        InputError: unreadable or unfitting configuration or checkpoint; overrides that change the symbols or the mel
            spectrogram of a checkpoint.
    """
    runtime.setup()
    loaded = load_checkpoint(checkpoint) if isinstance(checkpoint, str | Path) else checkpoint
    if loaded and config is not None:
        raise InputError(f"{loaded.path} carries its own configuration; use overrides instead of config")
    source = loaded.config if loaded else config
    if source is None and name is not None:
        source = {"model": {"name": name}}
    config = load_config(source.to_dict() if isinstance(source, Config) else source, overrides)
    if name is not None and name != config.model.name:
        raise InputError(f"asked for the network '{name}', but the configuration is of '{config.model.name}'")
    if loaded:
        _check_overrides(loaded, config)
    net = imported(network_of(config).cell)(config)
    sync_batch_norm(net, runtime.all_reduce())
    if blocks := runtime.blocks():
        set_blocks(net, *blocks)
    if loaded:
        load_weights(net, loaded)
    return net.set_train(False)


def _check_overrides(loaded: Checkpoint, config: Config) -> None:
    """Make sure that overrides leave alone what the weights of a checkpoint depend on."""
    if (config.text.symbols, config.text.end_symbol) != (loaded.symbols, loaded.config.text.end_symbol):
        raise InputError(
            f"{loaded.path}: overrides cannot change the {len(loaded.symbols)} symbols that its network reads"
        )
    if (signature := mel_signature(config.audio)) != loaded.mel_signature:
        changed = [
            f"{key} {value} to {signature[key]}"
            for key, value in loaded.mel_signature.items()
            if signature[key] != value
        ]
        raise InputError(f"{loaded.path}: its mel spectrograms cannot be changed by overrides: {', '.join(changed)}")
