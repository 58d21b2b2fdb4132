from pathlib import Path

import list_parameters
import pytest
import yaml

from src.cli import CommandLine
from src.config import AudioConfig, Config, WaveGlowConfig, load_config, network_of
from src.config.loading import typed
from src.errors import InputError
from src.models.factory import create_model

FOLDER = Path(__file__).parents[1] / "config"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_configuration_file_says_everything(path):
    keys = {section: set(values) for section, values in yaml.safe_load(path.read_text()).items()}
    config = load_config(path)
    expected = {section: set(values) for section, values in config.to_dict().items()}
    if network_of(config).kind == "vocoder":
        del expected["text"]  # it never sees any
    assert keys == expected


def test_the_ljspeech_files_hold_the_defaults():
    assert load_config(FOLDER / "tacotron2_ljspeech.yaml") == Config()
    waveglow = load_config(FOLDER / "waveglow_ljspeech.yaml")
    assert (waveglow.audio, waveglow.model) == (AudioConfig(), WaveGlowConfig())


@pytest.mark.parametrize("size", ["ljspeech", "small"])
def test_the_networks_of_one_size_have_the_same_mel_spectrograms(size):
    assert load_config(FOLDER / f"tacotron2_{size}.yaml").audio == load_config(FOLDER / f"waveglow_{size}.yaml").audio


def test_the_small_network_is_a_tenth_of_the_large_one():
    networks = [create_model(config=str(FOLDER / f"tacotron2_{name}.yaml")) for name in ("small", "ljspeech")]
    small, large = (sum(weight.size for weight in net.trainable_params()) for net in networks)
    assert small == pytest.approx(large / 10, rel=0.15)


def test_unknown_key_names_the_nearest_one():
    with pytest.raises(InputError, match=r"did you mean 'model.prenet_dropout'"):
        load_config(overrides={"model.prenet_dropot": 0.1})
    with pytest.raises(InputError, match=r"did you mean 'train.batch_size'"):
        load_config({"train": {"batchsize": 3}})


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("train.batch_size", 0, "above 0"),
        ("train.log_every", 0, "above 0"),
        ("train.grad_clip", 0.0, "above 0"),
        ("train.seed", -1, "at least 0"),
        ("model.prenet_dropout", 1.0, "below 1"),
        ("model.reduction_factor", 0, "above 0"),
        ("model.location_kernel_size", 30, "odd"),
        ("model.encoder_dim", 33, "even"),
        ("audio.win_length", 2048, "n_fft"),
        ("audio.fmax", 12000.0, "half of"),
        ("model.name", "wavenet", "tacotron2"),
        ("train.lr", "fast", "a finite number"),
        ("model.n_symbols", 1.5, "a whole number"),
        ("model.n_symbols", 149, "n_symbols is 149, but text.symbols lists 148"),
        ("text.symbols", ["a", "b", "a"], "repeated symbols: 'a'"),
        ("text.symbols", ["a", ""], "empty or repeated symbols: ''"),
        ("text.symbols", [1.5], "a list of texts"),
        ("text.end_symbol", "~", "'~' is none of"),
        ("audio.preemphasis", 1.0, "below 1"),
        ("train.anneal_steps", [200, 100], "ascending"),
        ("train.schedule", "step", "needs train.anneal_steps"),
        ("train.schedule", "inverse_sqrt", "needs train.warmup_steps"),
        ("train.schedule", "cosine", "constant"),
        ("train.amp", "O3", "O0"),
        ("train.max_hours", -1.0, "at least 0"),
        ("train.seed", 2**31, "at most 2147483647"),
        ("text.cleaner", "polish", "no cleaner 'polish'; choose one of english_cleaners"),
        ("train.accumulate", 0, "above 0"),
        ("train.reduction_steps", {100: 2}, "fall from model.reduction_factor"),
        ("audio.mel_ceiling", 1e-6, "must be below audio.mel_ceiling"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(key, value, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        load_config(overrides={key: value})
    assert key in str(error.value) or key.split(".")[0] in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("model.n_group", 7, "even"),
        ("model.n_early_every", 2, "all of model.n_group"),
        ("model.wn_kernel_size", 2, "odd"),
        ("model.sigma", -0.1, "at least 0"),
        ("model.upsample_kernel_size", 1000, "multiple of audio.hop_length"),
        ("audio.hop_length", 300, "multiple of model.n_group"),
        ("model.encoder_dim", 32, "another network; model.name is waveglow"),
        ("train.reduction_steps", {100: 2}, "is for tacotron2"),
    ],
)
def test_a_value_that_waveglow_cannot_use_is_named(key, value, complaint):
    with pytest.raises(InputError, match=complaint) as error:
        load_config(FOLDER / "waveglow_ljspeech.yaml", {key: value})
    assert key in str(error.value)


def test_flags_of_both_networks_are_known_and_those_of_the_other_one_refused():
    _, overrides = CommandLine("Test.").parse(["--model.sigma", "0.7", "--train.lr", "1e-4"])
    assert load_config(FOLDER / "waveglow_small.yaml", overrides).model.sigma == 0.7
    with pytest.raises(InputError, match=r"'model.sigma' is a key of another network; model.name is tacotron2"):
        load_config(FOLDER / "tacotron2_small.yaml", overrides)


def test_flags_are_checked_together_with_the_file_they_overlay():
    _, overrides = CommandLine("Test.").parse(["--audio.fmax", "11500"])
    assert load_config({"audio": {"sample_rate": 24000}}, overrides).audio.fmax == 11500.0


def test_a_configuration_survives_its_yaml():
    config = load_config(overrides={"model.prenet_dropout": 0.0, "train.lr": 2e-4})
    assert load_config(yaml.safe_load(config.to_yaml())) == config
    assert max(map(len, config.to_yaml().splitlines())) <= 130 and len(config.to_yaml().splitlines()) < 110


def test_symbols_can_be_a_flag():
    _, overrides = CommandLine("Test.").parse(["--text.symbols", '["_", " ", "n"]', "--model.n_symbols", "3"])
    assert load_config(None, overrides).text.symbols == ["_", " ", "n"]


def test_a_list_can_be_a_plain_flag():
    arguments = [
        "--train.freeze",
        "encoder, *.bias",
        "--train.spoken_sentences",
        "Well, yes.",
        "--data.speakers",
        "ann",
    ]
    _, overrides = CommandLine("Test.").parse(arguments)
    config = load_config(None, overrides)
    assert (config.train.freeze, config.train.spoken_sentences) == (["encoder", "*.bias"], ["Well, yes."])
    assert config.data.speakers == ["ann"]
    assert load_config({"train": {"freeze": "encoder", "spoken_sentences": ["a", "b"]}}).train.freeze == ["encoder"]
    with pytest.raises(InputError, match=r"data\.speakers lists 2 names, but model\.n_speakers is 1"):
        load_config(overrides={"data.speakers": "ann,bob"})


def test_the_page_of_parameters_is_that_of_the_fields():
    assert (FOLDER.parent / "docs" / "parameters.md").read_text(encoding="utf-8") == list_parameters.page()


def test_errors_say_where_a_value_comes_from(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("train: {lr: -1}", encoding="utf-8")
    with pytest.raises(InputError, match=r"^.*c.yaml: train.lr is -1.0, but must be above 0$"):
        load_config(path)
    path.write_text("train: {batch_size: 3}", encoding="utf-8")
    with pytest.raises(InputError, match=r"^override: train.lr is -1.0, but must be above 0$"):
        load_config(path, {"train.lr": -1})
    with pytest.raises(InputError, match=r"c.yaml with overrides: train.schedule step needs train.anneal_steps"):
        load_config(path, {"train.schedule": "step"})
    for value in ("abc", "inf", "nan"):
        with pytest.raises(InputError, match=rf"^flag: train.lr is '{value}', but must be a finite number$"):
            typed({"train.lr": value})
    for key, shown in (("train.anneal_steps", "list of whole numbers"), ("text.symbols", "list of texts")):
        with pytest.raises(InputError, match=rf"flag: {key} is '5', but must be a {shown}, such as"):
            typed({key: 5})
    path.write_text("train: {amp: O3}", encoding="utf-8")
    with pytest.raises(InputError, match=r"c.yaml: train.amp is 'O3', but must be one of O0, O1, O2$"):
        load_config(path)


def test_symbols_can_be_a_table_by_name():
    assert load_config({"text": {"symbols": "english_148"}}) == Config()
    with pytest.raises(InputError, match=r"text.symbols: no table of symbols 'english_147'"):
        load_config(overrides={"text.symbols": "english_147"})


def test_the_symbols_stand_in_no_file_of_the_configuration():
    assert [path.name for path in FILES if "@AH0" in path.read_text(encoding="utf-8")] == []


def test_a_size_that_no_machine_can_hold_is_refused():
    for key in ("model.max_decoder_steps", "train.batch_size"):
        with pytest.raises(InputError, match="but must be at most"):
            load_config(overrides={key: 10**9})
