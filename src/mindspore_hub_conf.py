"""The entry point of MindSpore Hub: `mindspore_hub.load("hub_meta.md", source="local")` calls `create_network`.

Hub runs this file by its path, from any working directory, with the file's folder on `sys.path`. The package `src` is
imported from one folder up, even if another package of that name is installed; `from src import prepare_input_sequence`
finds it later.
"""

import os
import sys
from pathlib import Path
from typing import Any

from mindspore import nn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import src

sys.path.pop(0)
# The same package from another folder is fine: a second card brings its own copy into the same process.
if (
    not getattr(src, "__file__", None)
    or Path(src.__file__).read_bytes() != Path(__file__).with_name("__init__.py").read_bytes()
):
    raise ImportError(
        f"{src!r} is imported already, a package of the same name: "
        "load this network before it, or in a process of its own"
    )
from src.errors import InputError
from src.hub.card import find_card, verified_checkpoint
from src.models.factory import create_model

CODE = Path(os.path.abspath(__file__)).parent
if str(CODE) in sys.path:  # Hub put it there, and a user's own `import config` must not find ours
    sys.path.remove(str(CODE))


def create_network(name: str, pretrained: bool = False, overrides: dict[str, Any] | None = None) -> nn.Cell:
    """Build the network of the card that lies beside this code folder, in evaluation mode.

    If the card names a checkpoint, the file must have the card's sha256 and fit the network to the last parameter; its
    configuration is used. This is checked even for fresh weights: Hub loads the weights after this call, and neither
    verifies an existing file nor complains of missing parameters. Without a checkpoint the network has its default
    configuration.

    Args:
        name: of a registered network, "tacotron2" or "waveglow".
        pretrained: load the weights here. Hub does not pass its own `pretrained` on; it loads them itself.
        overrides: configuration values by dotted key, as for `src.create_model`.

    Raises:
        InputError: no card of the network; a checkpoint that is damaged (names both hashes), missing and impossible to
            fetch, or of another network; bad overrides.
    """
    card = find_card(CODE.parent, name, CODE.name)
    if card is None:  # Hub has read one all the same, and may be about to load what it names
        lines = f"'model-name: {name}' and 'repo-link: <https://.../{CODE.name}>'"
        raise InputError(f"{CODE.parent}: no card of {name} lies there, which is a file .md with the lines {lines}")
    checkpoint = verified_checkpoint(card)
    if checkpoint is None:
        if pretrained:
            raise InputError(
                f"{card}: names no checkpoint of {name}; scripts/make_hub_bundle.py makes a card that does"
            )
        return create_model(name, overrides=overrides)
    net = create_model(name, checkpoint=str(checkpoint), overrides=overrides)
    return net if pretrained else create_model(config=net.config)
