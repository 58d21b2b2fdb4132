"""MindSpore Hub's entry point: `mindspore_hub.load("hub_meta.md", source="local")` runs this file and calls `create_network`.

Hub runs it by its path, wherever Python was started, with the folder it lies in on `sys.path`. The package `src` that it belongs to is
one folder up; it is imported from there, whatever else of that name lies about, and `from src import prepare_input_sequence` finds it
from then on.
"""

import os
import sys
from pathlib import Path
from typing import Any

from mindspore import nn

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import src

sys.path.pop(0)
# The same package from another folder will do: a second card loaded by the same process brings its own copy.
if (
    not getattr(src, "__file__", None)
    or Path(src.__file__).read_bytes() != Path(__file__).with_name("__init__.py").read_bytes()
):
    raise ImportError(
        f"{src!r} is imported already, a package of the same name: load this network before it, or in a process of its own"
    )
from src.errors import InputError
from src.hub.card import find_card, verified_checkpoint
from src.models.factory import create_model

CODE = Path(os.path.abspath(__file__)).parent
if str(CODE) in sys.path:  # Hub put it there; a user's own `import config` must not find ours
    sys.path.remove(str(CODE))


def create_network(name: str, pretrained: bool = False, overrides: dict[str, Any] | None = None) -> nn.Cell:
    """Build the network of the card that lies beside this code folder, in evaluation mode.

    Where the card names a checkpoint, the file must have the card's sha256 and fit the network to the last parameter before anything is
    built from it, with the configuration inside. That holds for fresh weights too, as Hub fills them after this call, and itself neither
    checks a file that is there nor minds parameters left out. If the card names none, the configuration is the network's default.

    Args:
        name: "tacotron2" or "waveglow".
        pretrained: load the weights here. Hub does not hand its own `pretrained` on; it loads them itself.
        overrides: configuration values by dotted key, as for `src.create_model`.

    Raises:
        InputError: no card of the network; a checkpoint that is damaged (names both hashes), missing and not to be fetched, or of another
            network; bad overrides.
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
