import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import toy_harmonic
import toy_training
import toy_waveglow
from mindspore import nn
from toy_hub import asset_of, entry_point, equal, hash_of

from src.checkpoint import load_checkpoint, save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.hub import bundle as hub_bundle
from src.hub.bundle import make_bundle
from src.hub.card import (
    cards,
    check_card,
    find_card,
    verified_checkpoint,
)
from src.mindspore_hub_conf import create_network
from src.models.factory import create_model

ROOT = Path(__file__).resolve().parents[1]
TACOTRON2 = {key.replace("__", "."): value for key, value in toy_training.TINY.items()} | {
    "audio.n_mels": 4,
    "model.max_decoder_steps": 20,
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    kinds = {"tacotron2": TACOTRON2, "waveglow": toy_waveglow.SETTINGS, "harmonic": toy_harmonic.SETTINGS}
    for name, settings in kinds.items():
        net = create_model(name, config=load_config(overrides={"model.name": name} | settings))
        save_checkpoint(folder / f"{name}.ckpt", net, net.config)
    return folder


@pytest.fixture(scope="module")
def made(checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "dist"
    for name in cards():
        make_bundle(checkpoints / f"{name}.ckpt", folder)
    return folder


@pytest.fixture
def bundle(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "dist"))


@pytest.mark.parametrize(("network", "name"), cards().items())
def test_a_bundle_is_complete(made, checkpoints, network, name):
    header = check_card(made / name)
    link = header["asset"][0]["asset-link"].strip("<>")
    file, digest = asset_of(made / name)
    assert link == header["repo-link"].strip("<>").replace("/tree/main/src", f"/raw/main/checkpoints/{file}")
    assert file == f"{network}-{digest[:8]}.ckpt"
    assert digest == hash_of(made / file) == hash_of(checkpoints / f"{network}.ckpt")
    committed, published = (
        {path.relative_to(folder / "src") for path in folder.glob("src/**/*.py")} for folder in (ROOT, made)
    )
    assert committed == published
    assert not list(made.glob("**/__pycache__"))
    assert (made / "LICENSE").exists()
    assert not list(made.glob(".*"))


def test_a_second_bundle_takes_the_place_of_the_first(bundle, checkpoints):
    net = create_model(config=load_config(overrides=TACOTRON2))
    save_checkpoint(bundle / "again.ckpt", net, net.config)
    (bundle / "src" / "old.py").touch()
    former, _ = asset_of(bundle / "hub_meta.md")
    (file, _), waveglow = (
        asset_of(make_bundle(bundle / "again.ckpt", bundle)),
        asset_of(bundle / "hub_meta_waveglow.md"),
    )
    assert file.startswith("again-")
    assert not (bundle / "src" / "old.py").exists()
    assert hash_of(bundle / waveglow[0]) == waveglow[1]
    assert not (bundle / former).exists() and (bundle / "again.ckpt").exists()
    assert asset_of(make_bundle(bundle / file, bundle))[0] == file  # the hash is not put behind the name again
    another, _ = asset_of(make_bundle(bundle / file, bundle, {"model.gate_threshold": 0.6}))
    assert another != file and (bundle / file).exists()  # what a bundle is made from is never deleted


def test_a_checkpoint_that_changes_while_it_is_bundled_is_refused(checkpoints, tmp_path, monkeypatch):
    path = Path(shutil.copy(checkpoints / "tacotron2.ckpt", tmp_path))

    def create_and_change(**arguments):
        net = create_model(**arguments)
        save_checkpoint(path, net, net.config, step=1)
        return net

    monkeypatch.setattr(hub_bundle, "create_model", create_and_change)
    with pytest.raises(InputError, match=r"tacotron2.ckpt: has changed while it was bundled"):
        make_bundle(path, tmp_path / "dist")
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_checkpoint_from_training_is_published_without_its_state(tmp_path, checkpoints):
    net = create_model(checkpoint=str(checkpoints / "tacotron2.ckpt"))
    optimizer = nn.Adam(net.trainable_params())
    save_checkpoint(tmp_path / "training.ckpt", net, net.config, 7, 2, optimizer, {"data_path": "/home/me"})
    card = make_bundle(tmp_path / "training.ckpt", tmp_path / "dist", {"model.gate_threshold": 0.6})
    file, digest = asset_of(card)
    assert digest == hash_of(card.parent / file)
    published = load_checkpoint(card.parent / file)
    assert (published.step, published.epoch, published.optimizer, published.extra) == (7, 2, {}, {})
    assert published.config.model.gate_threshold == 0.6
    assert equal(net, create_model(checkpoint=str(card.parent / file)))


SPEAK = """
import importlib.util, json, sys
import numpy as np
bundle, found = sys.argv[1], {}
for network in ("tacotron2", "waveglow"):
    sys.path.insert(0, f"{bundle}/src")
    spec = importlib.util.spec_from_file_location("mindspore_hub_conf.py", f"{bundle}/src/mindspore_hub_conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found[network] = module.create_network(network, pretrained=True)
from src import __file__, prepare_input_sequence
tacotron2, waveglow = found.values()
text, lengths = prepare_input_sequence(["Hello.", "Hello world."], config=tacotron2.config)
mel, mel_lengths, alignments = tacotron2.infer(text, lengths)
noise = np.random.default_rng(0).standard_normal((1, waveglow.config.audio.n_mels, 6)).astype(np.float32)
audio = waveglow.infer(noise)
shapes = [list(array.shape) for array in (mel, audio)]
finite = [bool(np.isfinite(array.asnumpy()).all()) for array in (mel, audio)]
print(json.dumps({"package": __file__, "shapes": shapes, "finite": finite, "path": sys.path}))
"""


def test_a_bundle_speaks_in_a_folder_that_has_a_package_of_the_same_name(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "src").mkdir(parents=True)
    (elsewhere / "src" / "__init__.py").write_text("raise RuntimeError('the wrong src')")
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, str(bundle)], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["package"] == str(bundle / "src" / "__init__.py")
    assert (said["shapes"][0][:2], said["shapes"][1]) == ([2, 4], [1, 6 * 32])
    assert said["finite"] == [True, True]
    assert not {str(bundle), str(bundle / "src")} & set(said["path"])


@pytest.mark.parametrize("network", cards())
def test_a_bundle_builds_the_checkpoints_network(bundle, checkpoints, network):
    trained = create_model(checkpoint=str(checkpoints / f"{network}.ckpt"))
    create = entry_point(bundle)
    assert equal(create(network, pretrained=True), trained)
    fresh = create(network)
    assert not equal(fresh, trained)
    assert fresh.config == trained.config and not fresh.training


def test_overrides_reach_the_network(bundle):
    assert (
        entry_point(bundle)("tacotron2", overrides={"model.max_decoder_steps": 8}).config.model.max_decoder_steps == 8
    )


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_changed_byte_is_refused_with_both_hashes(bundle, pretrained):
    file, digest = asset_of(bundle / "hub_meta.md")
    content = bytearray((bundle / file).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / file).write_bytes(content)
    with pytest.raises(
        InputError, match=rf"{file}: its sha256 is {hash_of(bundle / file)}, but hub_meta.md says {digest}"
    ):
        entry_point(bundle)("tacotron2", pretrained)


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_checkpoint_that_does_not_fit_is_refused_whatever_its_hash(bundle, pretrained):
    narrow = create_model(config=load_config(overrides=TACOTRON2))
    wide = load_config(overrides=TACOTRON2 | {"model.postnet_dim": 16})
    file, digest = asset_of(bundle / "hub_meta.md")
    save_checkpoint(bundle / file, narrow, wide)
    card = bundle / "hub_meta.md"
    card.write_text(card.read_text().replace(digest, hash_of(bundle / file)))
    with pytest.raises(InputError, match="a checkpoint of another network"):
        entry_point(bundle)("tacotron2", pretrained)
    with pytest.raises(InputError, match="a checkpoint of another network"):
        make_bundle(bundle / file, bundle / "another")
    assert not (bundle / "another").exists()


def test_a_checkpoint_that_is_not_there_is_fetched(bundle, tmp_path):
    card = bundle / "hub_meta.md"
    file, digest = asset_of(card)
    (bundle / file).rename(tmp_path / file)
    text = card.read_text()
    card.write_text(re.sub(r"<https://.*ckpt>", f"<file:///nowhere/{file}>", text))
    with pytest.raises(InputError, match=f"{file} does not lie beside it, and cannot be fetched from file:///nowhere/"):
        verified_checkpoint(card)
    card.write_text(re.sub(r"<https://.*ckpt>", f"<{(tmp_path / file).as_uri()}>", text))
    assert hash_of(verified_checkpoint(card)) == digest
    assert (bundle / file).exists()
    (bundle / file).unlink()
    (tmp_path / file).write_bytes(b"something else")
    with pytest.raises(InputError, match="its sha256 is"):
        verified_checkpoint(card)
    assert not (bundle / file).exists()


def test_the_checkpoint_may_lie_in_the_folder_checkpoints(bundle):
    file, _ = asset_of(bundle / "hub_meta.md")
    (bundle / "checkpoints").mkdir()
    (bundle / file).rename(bundle / "checkpoints" / file)
    assert verified_checkpoint(bundle / "hub_meta.md") == bundle / "checkpoints" / file


def test_without_a_checkpoint_the_network_is_the_default_one(bundle):
    card = bundle / "hub_meta.md"
    card.write_text(re.sub(r"^asset:\n-\n( .*\n)+", "", card.read_text(), flags=re.MULTILINE))
    create = entry_point(bundle)
    assert create("tacotron2", overrides=TACOTRON2).config == load_config(overrides=TACOTRON2)
    with pytest.raises(InputError, match=r"hub_meta\.md: names no checkpoint of tacotron2"):
        create("tacotron2", pretrained=True)


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_network_without_a_card_is_refused(bundle, pretrained):
    with pytest.raises(InputError, match="no card of tacotron3 lies there"):
        create_network("tacotron3", pretrained)
    create, card = entry_point(bundle), bundle / "hub_meta.md"
    text = card.read_text()  # Hub reads each of these cards, and would load the checkpoint they name unchecked
    for changed in (
        text.replace("model-name: tacotron2", "model-name : tacotron2"),
        re.sub(r"(repo-link: .*)", r"\1  # ours", text),
    ):
        card.write_text(changed)
        with pytest.raises(InputError, match="no card of tacotron2 lies there"):
            create("tacotron2", pretrained)
    card.write_text(text)
    card.rename(card.with_suffix(".markdown"))
    with pytest.raises(InputError, match="no card of tacotron2 lies there"):
        create("tacotron2", pretrained)


def test_cards_of_others_do_not_mislead(bundle):
    (bundle / "zoo.md").write_text(
        "---\nmodel-name: tacotron2\nevaluation: -\nrepo-link: <https://host.com/a/b/tree/main/tacotron2>\n---\n"
    )
    assert find_card(bundle, "tacotron2", "src") == bundle / "hub_meta.md"
    shutil.copy(bundle / "hub_meta.md", bundle / "copy.md")
    with pytest.raises(InputError, match=r"several cards are of tacotron2: copy.md, hub_meta.md"):
        find_card(bundle, "tacotron2", "src")


def test_a_package_of_the_same_name_is_not_taken_for_ours(bundle, monkeypatch, tmp_path):
    theirs = ModuleType("src")
    theirs.__file__ = str(tmp_path / "__init__.py")
    (tmp_path / "__init__.py").touch()
    monkeypatch.setitem(sys.modules, "src", theirs)
    with pytest.raises(ImportError, match="imported already, a package of the same name"):
        entry_point(bundle)


def script(*arguments):
    return ["make_hub_bundle.py", *map(str, arguments)]


def test_the_script_says_what_it_made_and_what_is_left_to_do(checkpoints, tmp_path, monkeypatch, capsys):
    path = ROOT / "scripts" / "make_hub_bundle.py"
    (tmp_path / "taken" / "src").mkdir(parents=True)
    (tmp_path / "taken" / "src" / "mine.py").touch()
    places = {"dist": 0, "taken": 2, ROOT: 2, ROOT / "src" / "dist": 2}
    for place, code in places.items():
        monkeypatch.setattr(
            sys, "argv", script("--checkpoint", checkpoints / "tacotron2.ckpt", "--output_dir", tmp_path / place)
        )
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(path), run_name="__main__")
        output = capsys.readouterr()
        assert exit.value.code == code, output.err
        assert output.err.count("\n") == (code == 2)
        if code == 0:
            assert hash_of(checkpoints / "tacotron2.ckpt") in output.out
            assert ("before publishing, put the repository's address" in output.out) == (
                "//example.com/" in (ROOT / "hub_meta.md").read_text()
            )
    assert (tmp_path / "taken" / "src" / "mine.py").exists()
