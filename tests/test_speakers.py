"""Several voices in one network: their embedding, training, warm start from one voice, and who speaks."""

import json
import sys

import numpy as np
import pytest
import soundfile
from mindspore import Tensor
from test_train_log import records
from toy_training import TINY, read_log, toy_config, write_corpus

import eval as script
from src.checkpoint import Checkpoint, load_checkpoint, network_parameters, save_checkpoint
from src.cli import run as run_script
from src.config import load_config
from src.convert.tacotron2 import tacotron2_mapping
from src.errors import InputError
from src.export.onnx import tacotron2 as onnx_tacotron2
from src.export.onnx.graph_builder import Graph
from src.models.factory import create_model
from src.synthesis.synthesis import Line, synthesise
from src.train.loop import Training
from src.train.warm_start import match_speakers

NAMES = ["anna", "bert", "cara"]
MANY = TINY | {
    "model__n_speakers": 3,
    "model__max_decoder_steps": 8,
    "model__gate_threshold": 1.0,
    "data__n_buckets": 1,
    "audio__griffinlim_iterations": 2,
    "train__max_steps": 4,
    "train__validate_every": 2,
    "train__lr": 0.05,
}


def write_corpus_of_voices(folder):
    """The toy corpus with the voices `NAMES` in turn."""
    write_corpus(folder)
    for path in folder.glob("*_index.npz"):
        with np.load(path) as arrays:
            index = dict(arrays)
        np.savez(path, **index, speakers=np.arange(len(index["ids"]), dtype=np.int32) % len(NAMES))
    stats = json.loads((folder / "stats.json").read_text())
    (folder / "stats.json").write_text(json.dumps(stats | {"speakers": NAMES}))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus_of_voices(tmp_path_factory.mktemp("voices") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run on three voices that began with the weights of a network of one voice.

    It takes three graphs of the real network (training, validation, speech): half a minute on two idle cores.
    """
    folder = tmp_path_factory.mktemp("run")
    one = toy_config(**TINY, model__max_decoder_steps=8)
    np.random.seed(3)
    save_checkpoint(folder / "one.ckpt", create_model(config=one), one)
    config = toy_config(**MANY, train__spoken_sentences=["So it is."], train__tensorboard=True)
    training = Training(config, data, folder / "out", warm_start=folder / "one.ckpt")
    training.run()
    return training


@pytest.fixture(scope="module")
def trained(run):
    """Its output folder."""
    return run.output_dir


def events_of(folder):
    return [event for path in sorted((folder / "tensorboard").iterdir()) for event in records(path)]


def test_one_voice_is_the_network_it_was():
    one, many = (create_model(config=toy_config(**TINY, model__n_speakers=n)) for n in (1, 3))
    assert {*network_parameters(many)} - {*network_parameters(one)} == {"speaker_embedding"}
    assert network_parameters(many)["speaker_embedding"].shape == (3, 8)


def test_every_voice_begins_as_the_one_of_the_warm_start_and_then_differs(trained):
    one = load_checkpoint(trained.parent / "one.ckpt").weights
    first, last = (load_checkpoint(trained / f"tacotron2-{step}.ckpt") for step in (0, 4))
    assert not first.weights["speaker_embedding"].any()
    assert all(np.array_equal(value, first.weights[name]) for name, value in one.items())
    row = read_log(trained)[0]
    assert row["fresh"] == [] and row["fresh_voices"] == NAMES
    assert first.config.data.speakers == last.config.data.speakers == NAMES
    rows = last.weights["speaker_embedding"]
    assert all(np.abs(rows[i] - rows[j]).max() > 1e-3 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_every_validation_speaks_with_the_weights_of_its_step(trained):
    rows = [row for row in read_log(trained) if "spoken" in row]
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert [each["text"] for each in row["spoken"]] == ["So it is."]
        assert [each["wav"] for each in row["spoken"]] == [f"spoken-1-{row['step']}.wav"]
        for each in row["spoken"]:
            assert each["stop_reason"] == "max_decoder_steps" and 0 < each["alignment_score"] <= 1
            wav, sample_rate = soundfile.read(trained / each["wav"])
            assert sample_rate == 22050 and len(wav) == each["seconds"] * sample_rate == 8 * 256
            assert (trained / each["wav"]).with_suffix(".png").read_bytes()[1:4] == b"PNG"
    wavs = [(trained / f"spoken-1-{step}.wav").read_bytes() for step in (2, 4)]
    assert wavs[0] != wavs[1]
    sounds = [(event.step, value) for event in events_of(trained) for value in event.summary.value]
    sounds = [(step, value) for step, value in sounds if value.HasField("audio")]
    assert [(step, value.tag) for step, value in sounds] == [(step, "spoken-1") for step in (2, 4)]
    assert sounds[0][1].audio.encoded_audio_string == wavs[0] and sounds[0][1].audio.length_frames == 8 * 256


def test_the_voice_that_is_chosen_speaks(run):
    net, lengths = run.net, Tensor(np.array([5], np.int32))

    def spoken(speakers=None):
        return net.generate(Tensor(np.full((1, 32), 40, np.int32)), lengths, [(0, 0)], speakers).mel.asnumpy()

    first, last = spoken([0]), spoken([2])
    assert np.abs(first - last).max() > 1e-4
    np.testing.assert_array_equal(spoken(), first)
    net.choose_voice("cara")
    np.testing.assert_array_equal(spoken([None]), last)
    net.choose_voice("0")
    np.testing.assert_array_equal(spoken(), first)
    by_line = [
        next(synthesise(net, [Line(1, "So.", speaker)], lambda mel: np.zeros(mel.shape[1] * 256, np.float32))).mel
        for speaker in (None, 0, 2)
    ]
    np.testing.assert_array_equal(by_line[0], by_line[1])
    assert np.abs(by_line[0] - by_line[2]).max() > 1e-4
    for wrong in ("dora", "3", "-1"):
        with pytest.raises(InputError, match=rf"'{wrong}': this network has no such voice; it has anna, bert, cara"):
            net.choose_voice(wrong)


def test_the_vector_of_a_voice_is_added_at_real_symbols_only(trained):
    net = create_model(checkpoint=trained / "tacotron2-4.ckpt")
    text, lengths = Tensor(np.full((2, 5), 40, np.int32)), Tensor(np.array([3, 5], np.int32))
    memories = [net.encode(text, lengths, Tensor(np.array(who, np.int32)))[0].asnumpy() for who in ([0, 0], [1, 2])]
    rows = net.speaker_embedding.asnumpy()
    difference = memories[1] - memories[0]
    np.testing.assert_allclose(difference[0, :3], np.tile(rows[1] - rows[0], (3, 1)), atol=1e-6)
    np.testing.assert_allclose(difference[1], np.tile(rows[2] - rows[0], (5, 1)), atol=1e-6)
    assert not memories[0][0, 3:].any() and not memories[1][0, 3:].any()


def test_an_onnx_file_has_the_voice_that_was_chosen(trained):
    onnxruntime = pytest.importorskip("onnxruntime")
    from src.export.artifact import TensorSpec  # noqa: PLC0415

    net = create_model(checkpoint=trained / "tacotron2-4.ckpt")
    net.choose_voice("bert")
    graph = Graph()
    values = onnx_tacotron2.encoder(graph, net)
    inputs = {"text": TensorSpec("int32", ("b", "l"), ""), "text_lengths": TensorSpec("int32", ("b",), "")}
    path = trained.parent / "encoder.onnx"
    graph.save(path, inputs, {"memory": (TensorSpec("float32", ("b", "l", 8), ""), values["memory"])})
    text, lengths = np.full((2, 5), 40, np.int32), np.array([3, 5], np.int32)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (memory,) = session.run(None, {"text": text, "text_lengths": lengths})
    np.testing.assert_allclose(memory, net.encode(Tensor(text), Tensor(lengths))[0].asnumpy(), atol=1e-5)


def test_voices_are_matched_by_name(trained):
    config = load_config(
        overrides={"model.n_speakers": 4, "model.encoder_dim": 8, "data.speakers": ["bert", "dora", "anna", "emil"]}
    )
    checkpoint: Checkpoint = load_checkpoint(trained / "tacotron2-4.ckpt")
    net = create_model(config=config)
    matched, missing = match_speakers(net, config, checkpoint)
    theirs, rows = checkpoint.weights["speaker_embedding"], matched.weights["speaker_embedding"]
    np.testing.assert_array_equal(rows[[0, 2]], theirs[[1, 0]])
    np.testing.assert_allclose(rows[[1, 3]], [theirs.mean(0)] * 2)
    assert missing == ["dora", "emil"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model__n_speakers": 2}, r"has 3 \(anna, bert, cara\), but model\.n_speakers is 2"),
        ({"data__speakers": ["bert", "anna", "cara"]}, r"its voices are anna, bert, cara, but data\.speakers is bert"),
    ],
)
def test_data_of_other_voices_is_refused(data, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        Training(toy_config(**MANY | settings), data, tmp_path / "out")


def test_one_voice_for_data_of_several_is_said(data, tmp_path, capsys, toy_network):
    Training(toy_config(data__n_buckets=1), data, tmp_path / "out")
    assert "has 3 voices, which a network with model.n_speakers 1 mixes up" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"no column of speakers, but model\.n_speakers is 3"):
        Training(toy_config(**MANY), write_corpus(tmp_path / "data"), tmp_path / "many")


def test_the_command_line_chooses_a_voice(trained, monkeypatch, capsys):
    def speak(*arguments):
        command = ["eval.py", "--text", "So.", "--output_dir", str(trained.parent / "wavs"), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as exit:
            run_script(script.main)
        return exit.value.code, capsys.readouterr().err

    checkpoint = trained / "tacotron2-4.ckpt"
    monkeypatch.setattr(
        "src.synthesis.lines.synthesise", lambda net, *_, **__: pytest.fail(f"voice {net.voice}")
    )  # spares a graph
    for voice, number in (("bert", 1), ("2", 2)):
        with pytest.raises(pytest.fail.Exception, match=f"voice {number}"):
            speak("--checkpoint", checkpoint, "--speaker", voice)
    code, error = speak("--checkpoint", checkpoint, "--speaker", "dora")
    assert code == 2 and error == "error: speaker 'dora': this network has no such voice; it has anna, bert, cara\n"
    code, error = speak("--checkpoint", trained.parent / "one.ckpt", "--speaker", "anna")
    assert code == 2 and "one voice only (model.n_speakers 1)" in error


def test_public_formats_have_no_place_for_voices():
    with pytest.raises(InputError, match="several speakers"):
        tacotron2_mapping(load_config(overrides={"model.n_speakers": 2}))
