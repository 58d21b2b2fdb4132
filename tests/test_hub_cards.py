"""The cards of MindSpore Hub in this repository, and what ships by them."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
from toy_hub import asset_of, hash_of

import src
from src.audio import mel_signature
from src.checkpoint import load_checkpoint
from src.errors import InputError
from src.hub import card as hub_card
from src.hub.card import (
    cards,
    check_card,
    choose_shipped,
    find_card,
    read_header,
    shipped_vocoder,
    shipped_voice,
)
from src.models.factory import create_model

ROOT = Path(__file__).resolve().parents[1]
SHA = "0123456789" * 6 + "abcd"
MANDARIN = ("hub_meta.md", "hub_meta_harmonic.md")


@pytest.mark.parametrize(("network", "name"), cards().items())
def test_the_repository_has_a_card_for_each_network(network, name):
    header = check_card(ROOT / name)
    assert header["model-name"] == network
    assert header["model-version"] == src.__version__
    assert find_card(ROOT, network, "src") == ROOT / name


@pytest.mark.parametrize("name", [*cards().values(), *(f"mandarin_voice/{name}" for name in MANDARIN)])
def test_a_checkpoint_that_a_card_of_the_repository_names_is_there(name):
    if not read_header(ROOT / name).get("asset"):
        pytest.skip("this card names none yet")
    file, digest = asset_of(ROOT / name)
    assert hash_of(ROOT / "checkpoints" / file) == digest


ASSET = f'asset:\n-\n    file-format: ckpt\n    asset-link: <https://host.com/a/b.ckpt>\n    asset-sha256: "{SHA}"\n'


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"^# ", "---\n# ", "no other line that starts so"),
        (r"^---\n", "", "two lines '---'"),
        (r"^summary: .*\n", "", "lacks summary"),
        (r"^model-name: .*", "model-name: tacotron", "model-name 'tacotron' is not one of tacotron2, waveglow"),
        (r"^module-type: .*", "module-type: tts", "module-type 'tts'"),
        (r"^fine-tunable: .*", "fine-tunable: maybe", "fine-tunable is 'maybe'"),
        (r"^model-version: .*", "model-version: 1.10", "model-version needs quotation marks"),
        (r"^mindspore-version: .*", "mindspore-version: 2.10", "mindspore-version needs quotation marks"),
        (r"^train-dataset: .*", "train-dataset: LJSpeech-1.1_mine", "train-dataset 'mine'"),
        (r"^used-for: .*", "used-for: inference/talk", "used-for 'talk'"),
        (r"^update-time: .*", "update-time: 2026-01-01 10:00:00", "update-time holds a colon"),
        (r"^summary: .*", 'summary: "speech: from text"', "summary holds a colon"),
        (r"^evaluation: .*", 'evaluation: "MOS: 4"', "evaluation holds a colon"),
        (r"^summary: ", "accuracy: high\nsummary: ", "accuracy is no key"),
        (r"^model-name: .*", "model-name: tacotron2  # of ours", "is not found"),
        (r"^model-name: ", "model-name : ", "is not found"),
        (r"^repo-link: .*", "repo-link: <https://host.com/a/b/tree/main/src>  # ours", "is not found"),
        (r"^repo-link: .*", "repo-link: <https://host.org/a/b/tree/main/src>", "repo-link is"),
        (r"^repo-link: .*", "repo-link: <https://host.com/a/b/tree/main/code>", "repo-link is"),
        (r"^summary: .*", "summary: [", "cannot be read as a card"),
        (r"^## Loading", "## Loading:", "ends with a colon"),
        (r"^license", ASSET.replace("ckpt>", "zip>") + "license", "asset-link is"),
        (r"^license", ASSET.replace(SHA, SHA[:-1]) + "license", "64 hexadecimal digits"),
        (r"^license", ASSET.replace(f'"{SHA}"', "1" * 64) + "license", "64 hexadecimal digits in quotation marks"),
        (r"^license", ASSET.replace("file-format", "format") + "license", "an asset needs file-format"),
        (r"^license", ASSET.replace("-\n", "", 1) + "license", "asset is not a list"),
    ],
)
def test_a_card_that_hub_would_refuse_is_refused(tmp_path, pattern, replacement, complaint):
    card = tmp_path / "card.md"
    text = (ROOT / "hub_meta.md").read_text()
    card.write_text(re.sub(r"^license", ASSET + "license", text, count=1, flags=re.MULTILINE))
    assert check_card(card)["asset"][0]["asset-sha256"] == SHA
    card.write_text(re.sub(pattern, lambda _: replacement, text, count=1, flags=re.MULTILINE))
    with pytest.raises(InputError, match=re.escape(complaint)):
        check_card(card)


def test_the_shipped_voice_is_the_one_of_the_card(monkeypatch):
    name, sha256_of_card = asset_of(ROOT / "hub_meta.md")
    assert shipped_voice() == ROOT / "checkpoints" / name and hash_of(shipped_voice()) == sha256_of_card
    assert create_model(checkpoint=shipped_voice()).config.text.cleaner == "english"
    monkeypatch.setattr(hub_card, "_verify", lambda *_: (_ for _ in ()).throw(InputError("another file")))
    with pytest.raises(InputError, match="another file; --checkpoint names another voice"):
        shipped_voice()
    monkeypatch.setattr(hub_card, "verified_checkpoint", lambda card: None)
    with pytest.raises(
        InputError, match=r"hub_meta.md: names no checkpoint to speak with; --checkpoint names another voice"
    ):
        shipped_voice()


def test_the_mandarin_voice_and_its_vocoder_fit_each_other():
    paths = [ROOT / "checkpoints" / asset_of(ROOT / "mandarin_voice" / name)[0] for name in MANDARIN]
    voice, vocoder = (create_model(checkpoint=path).config for path in paths)
    assert (voice.text.cleaner, voice.model.name, vocoder.model.name) == ("mandarin", "tacotron2", "harmonic")
    assert mel_signature(voice.audio) == mel_signature(vocoder.audio)


def test_the_shipped_vocoder_comes_with_the_shipped_voice():
    def chosen(**given):
        arguments = Namespace(**{"checkpoint": None, "vocoder": None, "vocoder_checkpoint": None, **given})
        choose_shipped(arguments)
        return arguments.checkpoint, arguments.vocoder_checkpoint

    assert chosen() == chosen(vocoder="harmonic") == (shipped_voice(), shipped_vocoder())
    assert chosen(vocoder="griffinlim") == (shipped_voice(), None)
    assert chosen(vocoder_checkpoint="mine.ckpt") == (shipped_voice(), "mine.ckpt")
    assert chosen(checkpoint="mine.ckpt") == ("mine.ckpt", None)
    voice, vocoder = (load_checkpoint(path) for path in (shipped_voice(), shipped_vocoder()))
    assert mel_signature(voice.config.audio) == mel_signature(vocoder.config.audio)
