"""Cards of MindSpore Hub: their form, and the checkpoint that a card names."""

import re
from argparse import Namespace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from src.config import NETWORKS
from src.errors import InputError, one_line, some_of
from src.files import read_text, sha256_of, write_atomically

KEYS = str.split(
    "model-name backbone-name module-type fine-tunable model-version train-dataset evaluation author update-time "
    "repo-link user-id used-for mindspore-version license summary"
)
ASSET_KEYS = ("file-format", "asset-link", "asset-sha256")
CHOICES = {  # key: what separates several values, what each may be
    "module-type": (None, ("audio", "audio-TTS")),
    # Hub knows more data sets, of other fields.
    "train-dataset": ("_", ("LJSpeech-1.1", "ljspeech1.1", "LJSpeech", "ljspeech", "None")),
    "used-for": ("/", ("inference", "extract-feature", "transfer-learning")),
}
REPO_LINK = r"<https://[\w.-]+\.com/[\w.-]+/[\w.-]+/tree/[\w.-]+/src>"
ASSET_LINK = r"<https://[\w./%~-]+/[\w.-]+\.ckpt>"
COLONS = ("repo-link", "asset")  # the only keys with a colon in their values


def cards() -> dict[str, str]:
    """Return the file names of the repository's cards by network."""
    return {name: network.card for name, network in NETWORKS.items() if network.card}


def read_header(card: str | Path) -> dict[str, Any]:
    """Read the header of a card.

    Raises:
        InputError: no such file; not exactly two lines that start with `---`; no YAML between them.
    """
    parts = re.split(r"^---.*$", read_text(card), flags=re.MULTILINE)
    try:
        header = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{card}: cannot be read as a card: {one_line(error)}") from error
    if not isinstance(header, dict):
        raise InputError(f"{card}: needs a header of keys between two lines '---', and no other line that starts so")
    return header


def check_card(card: str | Path) -> dict[str, Any]:
    """Make sure that MindSpore Hub takes a card, with or without an asset. Returns its header.

    Raises:
        InputError: the card is refused; names the problems.
    """
    header = read_header(card)
    if missing := [key for key in KEYS if key not in header]:
        raise InputError(f"{card}: lacks {some_of(missing)}")
    problems = [f"{key} is no key that a card of this project has" for key in header if key not in (*KEYS, "asset")]
    for key, (separator, allowed) in {**CHOICES, "model-name": (None, tuple(cards()))}.items():
        values = str(header[key]).split(separator)
        problems += [f"{key} '{value}' is not one of {', '.join(allowed)}" for value in values if value not in allowed]
    if not isinstance(header["fine-tunable"], bool):
        problems.append(f"fine-tunable is {header['fine-tunable']!r}, not True or False")
    problems += [
        f"{key} needs quotation marks"
        for key in ("model-version", "mindspore-version")
        if not isinstance(header[key], str)
    ]
    if not re.fullmatch(REPO_LINK, str(header["repo-link"])):
        problems.append(
            f"repo-link is {header['repo-link']}, not of the form <https://host.com/owner/repository/tree/main/src>"
        )
    problems += [f"{key} holds a colon" for key, value in header.items() if key not in COLONS and ":" in str(value)]
    assets = header.get("asset") or []
    if not isinstance(assets, list):
        problems.append("asset is not a list, whose items begin with '-'")
    else:
        problems += [problem for asset in assets for problem in _asset_problems(asset)]
    text = Path(card).read_text(encoding="utf-8")
    if not problems and not (Path(card).suffix == ".md" and _is_of(text, header["model-name"], "src")):
        problems.append(
            "is not found: its name must end in .md, and model-name and repo-link be plain lines 'key: value'"
        )
    if titles := re.findall(r"^#.*:\s*$", text, re.MULTILINE):
        problems.append(f"the title {titles[0].strip()!r} ends with a colon")
    if problems:
        raise InputError(f"{card}: {some_of(problems)}")
    return header


def find_card(folder: str | Path, network: str, code: str) -> Path | None:
    """Find the card of `network` in `folder` whose repo-link ends in `code`, by any file name. None if there is none.

    Raises:
        InputError: there are several.
    """
    cards = sorted(Path(folder).glob("*.md"))
    found = [card for card in cards if _is_of(card.read_text(encoding="utf-8", errors="replace"), network, code)]
    if len(found) > 1:
        names = ", ".join(card.name for card in found)
        raise InputError(f"{folder}: several cards are of {network}: {names}; leave one of them there")
    return found[0] if found else None


def _is_of(card: str, network: str, code: str) -> bool:
    # By lines, for other cards may lie there, and those of old are no YAML.
    said = re.search(rf"^model-name: *['\"]?{re.escape(network)}['\"]? *$", card, re.MULTILINE | re.IGNORECASE)
    return bool(said and re.search(rf"^repo-link:.*/{re.escape(code)}/?>? *$", card, re.MULTILINE))


def verified_checkpoint(card: str | Path) -> Path | None:
    """Return the checkpoint that a card names, once its sha256 agrees with the card's. None if the card names none.

    The file lies beside the card or in the folder `checkpoints` there; otherwise it is fetched from the card's
    asset-link. Hub takes a path and not the content, so the file is read again later: nobody may change it in between.

    Raises:
        InputError: the hashes differ (names both); the file is missing and cannot be fetched; an asset without link or
            sha256.
    """
    card = Path(card)
    assets = read_header(card).get("asset") or []
    if not isinstance(assets, list) or any(
        not isinstance(asset, dict) or set(ASSET_KEYS) - set(asset) for asset in assets
    ):
        raise InputError(f"{card}: an asset needs {', '.join(ASSET_KEYS)}")
    checkpoints = [asset for asset in assets if str(asset["file-format"]).lower() == "ckpt"]
    if not checkpoints:
        return None
    link, sha256 = str(checkpoints[-1]["asset-link"]).strip("<>"), str(checkpoints[-1]["asset-sha256"])
    name = link.split("/")[-1]
    for path in (card.parent / name, card.parent / "checkpoints" / name):
        if path.is_file():
            _verify(path.read_bytes(), sha256, path, card)
            return path
    try:
        with urlopen(link, timeout=60) as answer:
            content = answer.read()
    except (OSError, ValueError, HTTPException) as error:
        raise InputError(
            f"{card}: {name} does not lie beside it, and cannot be fetched from {link} ({error})"
        ) from error
    _verify(content, sha256, link, card)
    write_atomically(card.parent / name, content)
    return card.parent / name


def shipped_voice() -> Path:
    """Return the verified checkpoint that this project's own card of Tacotron 2 names.

    Raises:
        InputError: the card names none, or its checkpoint cannot be used.
    """
    return _shipped("tacotron2", "--checkpoint names another voice")


def shipped_vocoder() -> Path:
    """Return the verified checkpoint of the vocoder that was trained with the voice of `shipped_voice`.

    Raises:
        InputError: its card names none, or its checkpoint cannot be used.
    """
    return _shipped("harmonic", "--vocoder griffinlim does without")


def _shipped(network: str, hint: str) -> Path:
    card = Path(__file__).resolve().parents[2] / cards()[network]
    try:
        checkpoint = verified_checkpoint(card)
    except InputError as error:
        raise InputError(f"{error}; {hint}") from error
    if checkpoint is None:
        raise InputError(f"{card}: names no checkpoint to speak with; {hint}")
    return checkpoint


def choose_shipped(arguments: Namespace) -> None:
    """Fill in the voice that ships where the command line names none, and with it its vocoder, unless one is chosen.

    Another voice is spoken by Griffin-Lim unless its vocoder is named: that of the shipped voice knows no other.

    Args:
        arguments: with `checkpoint`, `vocoder` and `vocoder_checkpoint`, None where not given.
    """
    if arguments.checkpoint is None:
        arguments.checkpoint = shipped_voice()
        if arguments.vocoder in (None, "harmonic") and arguments.vocoder_checkpoint is None:
            arguments.vocoder_checkpoint = shipped_vocoder()


def _verify(content: bytes, sha256: str, where: str | Path, card: Path) -> None:
    if (found := sha256_of(content)) != sha256.lower():
        raise InputError(
            f"{where}: its sha256 is {found}, but {card.name} says {sha256}: the file is damaged or another one"
        )


def _asset_problems(asset: Any) -> list[str]:
    if not isinstance(asset, dict) or set(ASSET_KEYS) - set(asset):
        return [f"an asset needs {', '.join(ASSET_KEYS)}"]
    problems = []
    if asset["file-format"] != "ckpt":
        problems.append(f"file-format is {asset['file-format']!r}, not ckpt")
    if not re.fullmatch(ASSET_LINK, str(asset["asset-link"])):
        problems.append(f"asset-link is {asset['asset-link']}, not of the form <https://host/.../name.ckpt>")
    if not isinstance(asset["asset-sha256"], str) or not re.fullmatch(r"[0-9a-f]{64}", asset["asset-sha256"]):
        problems.append("asset-sha256 is not 64 hexadecimal digits in quotation marks")
    return problems
