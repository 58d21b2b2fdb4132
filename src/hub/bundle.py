"""Bundles for MindSpore Hub: a card, the checkpoint it names, and the code."""

import re
import shutil
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from src.checkpoint import load_checkpoint, save_checkpoint
from src.errors import InputError
from src.files import sha256_of
from src.hub.card import cards, check_card
from src.models.factory import create_model

ROOT = Path(__file__).resolve().parents[2]
CODE = "src"
ASSET = """asset:
-
    file-format: ckpt
    asset-link: <{link}>
    asset-sha256: "{sha256}"
"""


def make_bundle(
    checkpoint: str | Path,
    output_dir: str | Path,
    overrides: dict[str, Any] | None = None,
    template: str | Path | None = None,
) -> Path:
    """Write the card of a checkpoint's network, the checkpoint and the code folder into `output_dir`.

    The folder may already hold the bundle of another network. An earlier bundle of the same network is replaced, with
    its checkpoint unless that is the one to publish.

    The card is `template`, by default the repository's, with date and asset filled in. Its asset-link keeps the folder
    of the one it had; without one it points to `checkpoints/` of the repository that repo-link names. The file's name
    ends in the first eight digits of its hash. A checkpoint from training is rewritten without the optimiser's state
    and the position in the data; any other is copied byte for byte.

    Args:
        overrides: configuration values by dotted key that replace those in the published checkpoint.
        template: card of the same network, such as that of a voice of another language.

    Returns:
        The card.

    Raises:
        InputError: a checkpoint that does not load strictly, or changes meanwhile; a card that Hub would refuse; an
            output folder that holds other code.
    """
    checkpoint, output_dir = Path(checkpoint), Path(output_dir)
    _check_place(output_dir)
    checked = sha256_of(checkpoint)
    loaded = load_checkpoint(checkpoint)
    net = create_model(checkpoint=loaded, overrides=overrides)
    network = loaded.config.model.name
    template = Path(template or ROOT / cards()[network])
    header = check_card(template)
    if header["model-name"] != network:
        raise InputError(f"{template}: is a card of {header['model-name']}, but {checkpoint} is a {network}")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output_dir, prefix=".bundle") as temporary:
            scratch = Path(temporary)
            published = scratch / "published.ckpt"
            shutil.copyfile(checkpoint, published)
            if sha256_of(published) != checked:
                raise InputError(
                    f"{checkpoint}: has changed while it was bundled; run this again when nothing writes to it"
                )
            if loaded.optimizer or overrides:
                save_checkpoint(published, net, net.config, loaded.step, loaded.epoch)
            sha256 = sha256_of(published)
            name = _published_name(checkpoint, sha256)
            card = scratch / template.name
            text = _filled_in(template.read_text(encoding="utf-8"), f"{_asset_folder(header)}/{name}", sha256)
            card.write_text(text, encoding="utf-8")
            check_card(card)
            shutil.copytree(ROOT / CODE, scratch / CODE, ignore=shutil.ignore_patterns("__pycache__"))
            _copy_requirements(loaded.config.text.cleaner, scratch)
            return _put_in_place(scratch, output_dir, card, name, checkpoint)
    except OSError as error:
        raise InputError(f"{output_dir}: the bundle cannot be written ({error})") from error


def _copy_requirements(cleaner: str, scratch: Path) -> None:
    """Copy the licence and the packages that are needed, also those of a language."""
    for file in ("LICENSE", "requirements.txt", f"requirements-{cleaner}.txt"):
        if (ROOT / file).is_file():
            shutil.copyfile(ROOT / file, scratch / file)


def _put_in_place(scratch: Path, output_dir: Path, card: Path, name: str, checkpoint: Path) -> Path:
    """Move the bundle from `scratch` to `output_dir`, the card last, so that it never names a missing file."""
    former = _former_checkpoint(output_dir / card.name)
    (scratch / "published.ckpt").replace(output_dir / name)
    if (output_dir / CODE).exists():
        (output_dir / CODE).rename(scratch / "former")
    (scratch / CODE).rename(output_dir / CODE)
    for file in (scratch / "LICENSE", *scratch.glob("requirements*.txt")):
        file.replace(output_dir / file.name)
    card = card.replace(output_dir / card.name)
    if former and former.is_file() and former.name != name and not former.samefile(checkpoint):
        former.unlink()
    return card


def _check_place(output_dir: Path) -> None:
    place = output_dir.resolve()
    if place == ROOT or place.is_relative_to(ROOT / CODE):
        raise InputError(f"{output_dir}: is where this code itself lies; choose another --output_dir")
    code = output_dir / CODE
    if code.exists() and not (code / "mindspore_hub_conf.py").is_file():
        raise InputError(f"{code}: is not the code of a bundle, and would be replaced; choose another --output_dir")


def _published_name(checkpoint: Path, sha256: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_.-]", "_", checkpoint.stem)
    return f"{stem.removesuffix(f'-{sha256[:8]}')}-{sha256[:8]}.ckpt"


def _former_checkpoint(card: Path) -> Path | None:
    """Return the path of the checkpoint that an earlier bundle put beside its card."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    named = re.search(r"^ +asset-link: <\S*/([\w.-]+-([0-9a-f]{8})\.ckpt)>\n +asset-sha256: \"\2", text, re.MULTILINE)
    return card.with_name(named[1]) if named else None


def _asset_folder(header: dict[str, Any]) -> str:
    if header.get("asset"):
        return header["asset"][0]["asset-link"].strip("<>").rpartition("/")[0]
    return re.sub(r"/tree/([^/]+)/src$", r"/raw/\1/checkpoints", header["repo-link"].strip("<>"))


def _filled_in(card: str, link: str, sha256: str) -> str:
    """Return the text of `card` with today's date and this asset in place of its own."""
    card = re.sub(r"^update-time: .*$", f"update-time: {date.today()}", card, count=1, flags=re.MULTILINE)
    card = re.sub(r"^asset:.*\n(?:[ -].*\n|\n)*", "", card, count=1, flags=re.MULTILINE)
    return re.sub(
        r"^license: ", ASSET.format(link=link, sha256=sha256) + "license: ", card, count=1, flags=re.MULTILINE
    )
