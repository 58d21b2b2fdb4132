"""Checkpoints as people have them: wrapped, nested, incomplete, broken, and of coqui's TTS and ESPnet."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import load_checkpoint
from src.convert.cleaner import infer_cleaner
from src.convert.conversion import convert
from src.convert.coqui import Coqui, unify_coqui
from src.convert.source import read_source
from src.errors import InputError
from src.text import SYMBOLS
from src.text.symbols import read_symbols

DATA = Path(__file__).parent / "data" / "torch"
CONFIG = Path(__file__).parents[1] / "config"
COQUI = {"attention_norm": "softmax", "r": 2}
STOPNET = "decoder.stopnet.1.linear_layer"
GATE = "decoder.gate_layer.linear_layer"


@pytest.fixture(scope="module")
def tensors():
    return read_source(DATA / "tacotron2_zip.pt").tensors


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    path = tmp_path_factory.mktemp("wanted") / "x.ckpt"
    convert(DATA / "tacotron2_zip.pt", path)
    return load_checkpoint(path)


def assert_same(path, wanted, but=()):
    found = load_checkpoint(path).weights
    assert found.keys() == wanted.weights.keys()
    for name, value in wanted.weights.items():
        if name not in but:
            assert value.tobytes() == found[name].tobytes(), name


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "module.module.", "model.", "module._orig_mod.", "model.module.", "tacotron2."]
)
def test_prefixes_of_wrappers(prefix, tensors, wanted, torch_files, tmp_path):
    done = convert(torch_files("x.pt", {prefix + name: each for name, each in tensors.items()}), tmp_path / "x.ckpt")
    assert done.layout == ("dle" if "module." in prefix else "nvidia")
    assert_same(tmp_path / "x.ckpt", wanted)


def test_parts_that_were_compiled_on_their_own(tensors, wanted, torch_files, tmp_path):
    renamed = {name.replace("encoder.", "encoder._orig_mod."): each for name, each in tensors.items()}
    convert(torch_files("x.pt", renamed), tmp_path / "x.ckpt")
    assert_same(tmp_path / "x.ckpt", wanted)


def test_counters_of_batches_may_be_missing(tensors, wanted, torch_files, tmp_path):
    without = {name: each for name, each in tensors.items() if not name.endswith("num_batches_tracked")}
    convert(torch_files("x.pt", without), tmp_path / "x.ckpt")
    assert_same(tmp_path / "x.ckpt", wanted)


@pytest.mark.parametrize("place", ["state_dict", "model", "model_state_dict", "generator", "ema", "model.generator"])
def test_nests(place, tensors, wanted, torch_files, tmp_path):
    first, *inner = place.split(".")
    nest = {inner[0]: tensors} if inner else tensors
    done = convert(torch_files("x.pt", {first: nest, "step": 40, "optimizer": {"state": {}}}), tmp_path / "x.ckpt")
    assert (done.step, done.notes) == (40, ())
    assert_same(tmp_path / "x.ckpt", wanted)


def test_of_averaged_weights_and_others_one_is_taken_and_both_can_be_had(
    tensors, wanted, torch_files, tmp_path, convert_script
):
    averaged = {name: each * 0.5 if each.dtype == np.float32 else each for name, each in tensors.items()}
    source = torch_files("x.pt", {"ema": averaged, "model_state_dict": tensors, "step": 3})
    code, out, _ = convert_script(source, tmp_path / "x.ckpt")
    assert code == 0 and "took the weights under 'model_state_dict'; --weights PLACE takes those under 'ema'" in out
    assert_same(tmp_path / "x.ckpt", wanted)
    assert convert_script(source, tmp_path / "y.ckpt", "--weights", "ema")[0] == 0
    np.testing.assert_array_equal(
        load_checkpoint(tmp_path / "y.ckpt").weights["embedding"], averaged["embedding.weight"]
    )
    code, _, errors = convert_script(source, tmp_path / "z.ckpt", "--weights", "swa")
    assert code == 2 and "no weights under 'swa'; there are some under 'model_state_dict', 'ema'" in errors


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value, tensors, torch_files, tmp_path):
    name = "decoder.decoder_rnn.weight_hh"
    spoilt = {**tensors, name: tensors[name].copy()}
    spoilt[name][3, 2] = value
    with pytest.raises(InputError, match=rf"x\.pt: NaN or infinity in {name}: the training diverged"):
        convert(torch_files("x.pt", spoilt), tmp_path / "x.ckpt")
    assert not (tmp_path / "x.ckpt").exists()


def to_coqui(tensors):
    """NVIDIA's tensors under coqui's names and in its shapes, with a stop network and what only training uses."""
    renamed = {}
    for name, each in tensors.items():
        new = re.sub(r"(\.convolutions\.\d+)\.0\.conv\.", r"\1.convolution1d.", name)
        new = re.sub(r"(\.convolutions\.\d+)\.1\.", r"\1.batch_normalization.", new)
        new = new.replace("decoder.prenet.layers.", "decoder.prenet.linear_layers.")
        new = new.replace("attention_layer.", "attention.").replace("memory_layer", "inputs_layer")
        renamed[new.replace("location_conv.conv.", "location_conv1d.")] = each
    renamed = {name: each for name, each in renamed.items() if "gate_layer" not in name}
    draw = np.random.default_rng(0).standard_normal
    n_frame, n_read = tensors["decoder.linear_projection.linear_layer.weight"].shape
    prenet = "decoder.prenet.linear_layers.0.linear_layer.weight"
    renamed[prenet] = renamed[prenet][:, -5:]  # coqui's reads the last frame of a step
    return renamed | {
        f"{STOPNET}.weight": draw((1, n_read - 8 + n_frame)).astype(np.float32),
        f"{STOPNET}.bias": draw(1).astype(np.float32),
        "decoder.attention.v.linear_layer.bias": draw(1).astype(np.float32),
        "coarse_decoder.prenet.linear_layers.0.linear_layer.weight": draw((2, 2)).astype(np.float32),
    }


def test_coqui_in_its_own_layout(tensors, wanted, torch_files, tmp_path):
    source = torch_files("x.pth", {"model": to_coqui(tensors), "config": COQUI, "step": 9})
    done = convert(source, tmp_path / "x.ckpt")
    assert done.layout == "coqui" and done.step == 9 and done.config.model.prenet_dropout == 0.0
    assert done.left_out == ["coarse_decoder.prenet.linear_layers.0.linear_layer.weight"]
    first = "decoder.prenet.first.weight"
    assert_same(tmp_path / "x.ckpt", wanted, but=("decoder.projection.weight", "decoder.projection.bias", first))
    found = load_checkpoint(tmp_path / "x.ckpt").weights
    np.testing.assert_array_equal(
        found["decoder.projection.weight"][:, :-1], wanted.weights["decoder.projection.weight"][:, :-1]
    )
    np.testing.assert_array_equal(found[first][-5:], wanted.weights[first][-5:])
    assert not found[first][:-5].any()  # the first frame of each step


def test_the_gate_computes_what_the_stop_network_does(tensors):
    theirs = to_coqui(tensors)
    renamed = {"decoder.prenet.layers.0.linear_layer.weight": np.ones((6, 5), np.float32)}
    renamed |= {name: each for name, each in theirs.items() if "stopnet" in name or "linear_projection" in name}
    renamed["decoder.decoder_rnn.weight_hh"] = theirs["decoder.decoder_rnn.weight_hh"]
    projection, bias = (theirs[f"decoder.linear_projection.linear_layer.{kind}"] for kind in ("weight", "bias"))
    draw = np.random.default_rng(1).standard_normal
    hidden, context = draw(12), draw(8)
    frames = projection @ np.concatenate((hidden, context)) + bias
    stop = theirs[f"{STOPNET}.weight"] @ np.concatenate((hidden, frames)) + theirs[f"{STOPNET}.bias"]
    for factor in (1, 2):  # a training that now makes one frame a step still shows its stop network two
        unified = unify_coqui(renamed, Coqui(factor))
        gate = unified[f"{GATE}.weight"] @ np.concatenate((hidden, context)) + unified[f"{GATE}.bias"]
        np.testing.assert_allclose(gate, stop, rtol=1e-5)
        np.testing.assert_array_equal(
            unified["decoder.linear_projection.linear_layer.weight"], projection[: factor * 5]
        )
        assert unified["decoder.prenet.layers.0.linear_layer.weight"].shape == (6, factor * 5)
    with pytest.raises(InputError, match="says r 3, its tensors are for at most 2 frames a step"):
        unify_coqui(renamed, Coqui(3))


def test_what_coqui_and_ours_do_not_share_is_refused(tensors, torch_files, tmp_path, convert_script):
    theirs = to_coqui(tensors)
    audio = {
        "sample_rate": 16000,
        "hop_length": 200,
        "fft_size": 1024,
        "win_length": 800,
        "num_mels": 5,
        "mel_fmax": None,
    }
    plain = {"signal_norm": False, "spec_gain": 1.0, "log_func": "np.log", **audio}
    for config, complaint in (
        ({}, "give its config.json by --source_config FILE"),
        (
            {"attention_norm": "sigmoid"},
            "config says attention_norm sigmoid, and this network computes what coqui's does with softmax only",
        ),
        ({**COQUI, "use_forward_attn": True}, "use_forward_attn True"),
        ({**COQUI, "attention_type": "graves"}, "attention_type graves"),
        ({**COQUI, "audio": {**plain, "signal_norm": True}}, "mel spectrograms are scaled as no setting of ours says"),
        ({**COQUI, "audio": {**plain, "num_mels": 80}}, "its own config says audio.num_mels 80, its tensors 5"),
        ({**COQUI, "r": 3}, "config says r 3"),
    ):
        source = torch_files("x.pth", {"model": theirs, "config": config})
        with pytest.raises(InputError, match=complaint):
            convert(source, tmp_path / "x.ckpt")
    (tmp_path / "config.json").write_text("{ // as coqui once wrote it\n" + json.dumps({**COQUI, "audio": plain})[1:])
    source = torch_files("x.pth", {"model": theirs})
    code, out, errors = convert_script(source, tmp_path / "x.ckpt", "--source_config", tmp_path / "config.json")
    assert code == 0 and "16000 Hz" in out and "left out, as it belongs to a training: coarse_decoder" in out, errors
    assert load_checkpoint(tmp_path / "x.ckpt").config.audio.fmax == 8000.0
    source = torch_files(
        "y.pth", {"model": {**theirs, "speaker_embedding.weight": np.ones((2, 2), np.float32)}, "config": COQUI}
    )
    with pytest.raises(InputError, match=r"there is no use for speaker_embedding\.weight"):
        convert(source, tmp_path / "y.ckpt")
    (tmp_path / "config.json").write_text("[1]")
    for path, complaint in (("config.json", "expected a JSON object"), ("none.json", "none.json: cannot be read")):
        code, _, errors = convert_script(source, tmp_path / "y.ckpt", "--source_config", tmp_path / path)
        assert code == 2 and complaint in errors


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("tts.dec.att.mlp_dec.weight", "is ESPnet's Tacotron 2: .* no weights make this network compute the same"),
        ("dec.att.mlp_dec.weight", "is ESPnet's Tacotron 2"),
        ("decoder.attention.N_a.0.weight", "is coqui's Tacotron 2 with Graves"),
    ],
)
def test_networks_that_compute_otherwise_are_named(name, complaint, torch_files, tmp_path):
    with pytest.raises(InputError, match=rf"x\.pt: {complaint}"):
        convert(torch_files("x.pt", {name: np.ones((2, 2), np.float32)}), tmp_path / "x.ckpt")


GERMAN = ["_", " ", *"abcdefghijklmnopqrstuvwxyzäöüß"]


@pytest.mark.parametrize(
    ("symbols", "cleaner", "cause"),
    [
        (
            GERMAN,
            "basic_cleaners",
            "its symbols have ä, ö, ü and 1 more, which english_cleaners would spell in other letters",
        ),
        (["_", " ", *"абвг"], "basic_cleaners", "its symbols have а, б, в and 1 more"),
        (["_", " ", *"ABC"], "basic_cleaners", "its letters are not the English ones; A, B, C cannot be reached"),
        (["_", " ", "ni3", "hao3"], "basic_cleaners", "its letters are not the English ones"),
        (
            read_symbols(CONFIG / "symbols_torchaudio_characters.json"),
            "english_cleaners",
            "its letters are the English ones",
        ),
        (read_symbols(CONFIG / "symbols_torchaudio_phonemes.json"), "english_phonemes", "ARPAbet"),
        ([*SYMBOLS, "~"], "english_cleaners", "its letters are the English ones"),
    ],
)
def test_a_cleaner_is_inferred_from_the_symbols(symbols, cleaner, cause):
    found, why = infer_cleaner(symbols)
    assert found == cleaner and cause in why


def test_a_network_with_its_own_symbols_is_read_with_its_own_cleaner(tensors, torch_files, tmp_path, convert_script):
    rows = {**tensors, "embedding.weight": tensors["embedding.weight"][: len(GERMAN)]}
    source, symbols = torch_files("x.pt", rows), tmp_path / "symbols.json"
    symbols.write_text(json.dumps(GERMAN), encoding="utf-8")
    code, out, errors = convert_script(source, tmp_path / "x.ckpt", "--symbols", symbols)
    assert code == 0 and "texts go through basic_cleaners: its symbols have ä, ö, ü" in out, errors
    assert load_checkpoint(tmp_path / "x.ckpt").config.text.cleaner == "basic_cleaners"
    for flag in ("--cleaner", "--text.cleaner"):
        code, out, _ = convert_script(source, tmp_path / "x.ckpt", "--symbols", symbols, flag, "english_cleaners")
        assert code == 0 and "texts go through" not in out
        assert load_checkpoint(tmp_path / "x.ckpt").config.text.cleaner == "english_cleaners"
    (tmp_path / "c.yaml").write_text("text: {cleaner: english_phonemes}\n")
    done = convert(source, tmp_path / "y.ckpt", config=tmp_path / "c.yaml", symbols=symbols)
    assert done.config.text.cleaner == "english_phonemes" and done.notes == ()
