"""Tacotron 2 against the public PyTorch implementation, and what the network promises beyond it.

tests/data/tiny_tacotron2.npz holds the weights, outputs and gradients of the PyTorch network. Graphs take seconds to
compile, so all teacher-forced batches have one shape.
"""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.checkpoint import copy_strictly, network_parameters
from src.config import load_config
from src.convert.mapping import to_ours
from src.convert.tacotron2 import tacotron2_mapping, tacotron2_sizes
from src.models.factory import create_model
from src.models.tacotron2.loss import Tacotron2Loss, guided_attention_penalty

OUTPUTS = ("mel", "mel_postnet", "gate", "alignments")
N_SYMBOLS, N_FRAMES = 20, 30  # every batch is padded to this
DROPOUT_OFF = {f"model.{part}_dropout": 0.0 for part in ("encoder", "prenet", "attention", "decoder", "postnet")}
STOPPING = {"model.max_decoder_steps": 40, "model.attention_stop_frames": 6}


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parent / "data" / "tiny_tacotron2.npz") as file:
        return dict(file)


def build(reference, **overrides):
    tensors = {name.removeprefix("w/"): value for name, value in reference.items() if name.startswith("w/")}
    config = load_config(overrides={**tacotron2_sizes(tensors), **DROPOUT_OFF, **STOPPING, **overrides})
    net = create_model(config=config)
    copy_strictly(to_ours(tacotron2_mapping(config), tensors), network_parameters(net), "tiny")
    return net


@pytest.fixture(scope="module")
def net(reference):
    return build(reference)


def integers(values):
    return Tensor(np.asarray(values, np.int32))


def batch_of(texts, mels):
    """Pad texts [L] and mels [n_mels, T] to one batch, with random values, because the padding must not matter."""
    draw = np.random.default_rng(0)
    text = draw.integers(1, 148, (len(texts), N_SYMBOLS)).astype(np.int32)
    mel = draw.standard_normal((len(mels), mels[0].shape[0], N_FRAMES)).astype(np.float32)
    for i in range(len(texts)):
        text[i, : len(texts[i])] = texts[i]
        mel[i, :, : mels[i].shape[1]] = mels[i]
    return (
        Tensor(text),
        integers([len(each) for each in texts]),
        Tensor(mel),
        integers([each.shape[1] for each in mels]),
    )


def pair(reference, name):
    """Texts, mels and outputs of two items: of batch `a`, with equal lengths, or of `b0` and `b1`, which ran alone."""
    if name == "a":
        texts, mels, outputs = (
            reference["a_text"],
            reference["a_mel"],
            [reference[f"a_out_{output}"] for output in OUTPUTS],
        )
        return texts, mels, list(zip(*outputs, strict=True))
    items = [f"{name}{i}" for i in range(2)]
    outputs = [[reference[f"{item}_out_{output}"][0] for output in OUTPUTS] for item in items]
    return [reference[f"{item}_text"][0] for item in items], [reference[f"{item}_mel"][0] for item in items], outputs


def assert_close(found, wanted, name="", tolerance=1e-4):
    """Check the norm of the difference relative to that of the reference."""
    assert found.shape == wanted.shape, name
    assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted), name


@pytest.mark.parametrize("name", ["a", "b"])
def test_teacher_forced_is_the_public_implementation_whatever_the_padding(reference, net, name):
    texts, mels, wanted = pair(reference, name)
    outputs = [output.asnumpy() for output in net(*batch_of(texts, mels))]
    for i, (n_symbols, n_frames) in enumerate((len(text), mel.shape[1]) for text, mel in zip(texts, mels, strict=True)):
        mel, mel_postnet, gate, alignments = (output[i] for output in outputs)
        assert (
            not mel[:, n_frames:].any() and not mel_postnet[:, n_frames:].any() and not alignments[:, n_symbols:].any()
        )
        found = mel[:, :n_frames], mel_postnet[:, :n_frames], gate[:n_frames], alignments[:n_frames, :n_symbols]
        for output, ours, theirs in zip(OUTPUTS, found, wanted[i], strict=True):
            assert_close(ours, theirs, f"{name}{i} {output}")


def loss_in_numpy(outputs, mels, r=1):
    """Sum of both mean squared errors, and mean cross entropy of the gate, item by item without padding."""
    errors, entropies = [], []
    for (mel, mel_postnet, gate, _), target in zip(outputs, mels, strict=True):
        errors.append((mel - target) ** 2 + (mel_postnet - target) ** 2)
        probability = 1 / (1 + np.exp(-gate.astype(np.float64)))
        assert len(gate) == -(-target.shape[1] // r)
        probability[:-1] = 1 - probability[:-1]  # the last step of all is the one that says stop
        entropies.append(-np.log(probability))
    return np.concatenate([error.ravel() for error in errors]).mean(), np.concatenate(entropies).mean()


def test_loss_is_the_mean_over_real_frames(reference, net):
    texts, mels, wanted = pair(reference, "b")
    text, text_lengths, mel, mel_lengths = batch_of(texts, mels)
    outputs = net(text, text_lengths, mel, mel_lengths)
    config = load_config(overrides={"train.guided_attention": 1.0, "train.guided_attention_sigma": 0.4})
    loss, mel_loss, gate_loss, guided_loss = Tacotron2Loss(config)(
        outputs, mel, mel_lengths, text_lengths, Tensor(2.0, ms.float32)
    )
    wanted_mel_loss, wanted_gate_loss = loss_in_numpy(wanted, mels)
    penalties = [
        alignment * (1 - np.exp(-((np.arange(s) / s - np.arange(t)[:, None] / t) ** 2) / (2 * 0.4**2)))
        for alignment, (t, s) in ((each[3], each[3].shape) for each in wanted)
    ]
    np.testing.assert_allclose(float(mel_loss), wanted_mel_loss, rtol=1e-4)
    np.testing.assert_allclose(float(gate_loss), wanted_gate_loss, rtol=1e-4)
    np.testing.assert_allclose(float(guided_loss), sum(map(np.sum, penalties)) / sum(map(len, penalties)), rtol=1e-4)
    np.testing.assert_allclose(float(loss), float(mel_loss) + float(gate_loss) + 2 * float(guided_loss), rtol=1e-5)

    def sum_over_ranks(x):
        return 3 * x  # of two ranks, the other has twice as many frames

    shared = Tacotron2Loss(config, sum_over_ranks, n_ranks=2)(
        outputs, mel, mel_lengths, text_lengths, Tensor(2.0, ms.float32)
    )
    np.testing.assert_allclose(float(shared[0]), float(loss) / 1.5, rtol=1e-5)


def test_guided_attention_leaves_padding_alone():
    penalty = guided_attention_penalty(integers([4, 2]), integers([3, 2]), 5, 4, 0.25).asnumpy()
    assert penalty[0, 3, 0] > 0.9 and penalty[0, 0, 0] == 0 and penalty[1, 1, 1] == 0
    assert (
        not penalty[0, 4:].any()
        and not penalty[0, :, 3:].any()
        and not penalty[1, 2:].any()
        and not penalty[1, :, 2:].any()
    )


def test_loss_and_gradients_of_training_are_the_public_implementation_whatever_the_padding(reference):
    net = build(reference)
    net.set_train(True)
    loss = Tacotron2Loss(net.config)

    def forward(text, text_lengths, mel, mel_lengths):
        return loss(net(text, text_lengths, mel, mel_lengths), mel, mel_lengths, text_lengths, Tensor(0.0, ms.float32))[
            0
        ]

    step = ms.jit(ms.value_and_grad(forward, None, net.trainable_params()))
    value, gradients = step(*batch_of(reference["a_text"], reference["a_mel"]))
    np.testing.assert_allclose(float(value), reference["d_loss"], rtol=1e-4)
    theirs = {name.removeprefix("d_grad/"): value for name, value in reference.items() if name.startswith("d_grad/")}
    # Their two biases of an LSTM have equal gradients; ours is the sum of both. The conversion needs the buffers too.
    theirs = {name: 0 * value if "bias_hh" in name else value for name, value in theirs.items()}
    theirs |= {
        name[2:]: value
        for name, value in reference.items()
        if name.startswith("w/") and ("running_" in name or "num_batches" in name)
    }
    wanted = to_ours(tacotron2_mapping(net.config), theirs)
    names = [name for name, parameter in net.parameters_and_names() if parameter.requires_grad]
    assert len(names) == len(gradients)
    for name, found in zip(names, gradients, strict=True):
        # Zero but for rounding: a bias that batch normalisation subtracts again.
        if np.linalg.norm(wanted[name]) < 1e-6:
            assert np.abs(found.asnumpy()).max() < 1e-6, name
        else:
            assert_close(found.asnumpy(), wanted[name], name)


def test_free_running_is_the_public_implementation(reference, net):
    speech = net.generate(Tensor(reference["a_text"][:1]), integers([17]))
    assert speech.mel_lengths.asnumpy().tolist() == [40] and speech.stop_reasons == ["max_decoder_steps"]
    assert_close(speech.mel.asnumpy(), reference["c_out_mel_postnet"])
    assert_close(speech.alignments.asnumpy(), reference["c_out_alignments"])
    mel, lengths, alignments = net.infer(Tensor(reference["a_text"][:1]), integers([17]))
    np.testing.assert_array_equal(mel.asnumpy(), speech.mel.asnumpy())
    np.testing.assert_array_equal(alignments.asnumpy(), speech.alignments.asnumpy())
    assert lengths.asnumpy().tolist() == [40]


def three_texts(reference):
    text = np.full((3, 17), 7, np.int32)  # rubbish beyond the ends
    for i, symbols in enumerate((reference["a_text"][0], reference["b1_text"][0], [30])):
        text[i, : len(symbols)] = symbols
    return text, np.array([17, 12, 1], np.int32)


def test_each_item_of_a_batch_is_what_it_is_alone(reference, net, monkeypatch):
    text, lengths = three_texts(reference)
    for dropout, seeds in ((0.0, [0, 0, 0]), (0.5, [(5, 0), (5, 1), 6])):
        monkeypatch.setattr(net.config.model, "prenet_dropout", dropout)
        together = net.generate(Tensor(text), Tensor(lengths), seeds)
        frames = together.mel_lengths.asnumpy()
        for i, length in enumerate(lengths):
            alone = net.generate(Tensor(text[i : i + 1, :length]), Tensor(lengths[i : i + 1]), seeds[i : i + 1])
            assert alone.mel_lengths.asnumpy()[0] == frames[i] and alone.stop_reasons[0] == together.stop_reasons[i]
            assert_close(together.mel.asnumpy()[i, :, : frames[i]], alone.mel.asnumpy()[0])
            assert_close(together.alignments.asnumpy()[i, : frames[i], :length], alone.alignments.asnumpy()[0])
            assert (
                not together.mel.asnumpy()[i, :, frames[i] :].any()
                and not together.alignments.asnumpy()[i, :, length:].any()
            )


def test_a_seed_decides_the_dropout_of_the_prenet(reference, net, monkeypatch):
    monkeypatch.setattr(net.config.model, "prenet_dropout", 0.5)
    text, lengths = Tensor(reference["a_text"][:1]), integers([17])
    mels = [net.generate(text, lengths, seed).mel.asnumpy() for seed in (1, 1, 2, [(1, 0)])]
    np.testing.assert_array_equal(mels[0], mels[1])
    np.testing.assert_array_equal(mels[0], mels[3])  # one seed for all means (seed, index of the item)
    assert np.abs(mels[0] - mels[2]).max() > 1e-3


@pytest.fixture
def change_gate(net):
    """`change(factor, shift)` multiplies and shifts the logit of the gate."""
    parameters = net.decoder.projection.weight, net.decoder.projection.bias
    before = [parameter.asnumpy().copy() for parameter in parameters]

    def change(factor, shift):
        for parameter, value, added in zip(parameters, before, (0.0, shift), strict=True):
            changed = value.copy()
            changed[..., -1] = factor * changed[..., -1] + added
            ops.Assign()(parameter, Tensor(changed))

    yield change
    change(1.0, 0.0)


def test_every_item_stops_for_its_own_reason(reference, net, change_gate):
    text, lengths = three_texts(reference)
    speech = net.generate(Tensor(text), Tensor(lengths))
    # A single symbol holds all attention from the first frame on, and model.attention_stop_frames is 6.
    assert speech.stop_reasons == ["max_decoder_steps", "max_decoder_steps", "attention"]
    assert speech.mel_lengths.asnumpy().tolist() == [40, 40, 6]
    change_gate(1.0, 100.0)
    speech = net.generate(Tensor(text), Tensor(lengths))
    assert speech.stop_reasons == ["gate"] * 3 and speech.mel_lengths.asnumpy().tolist() == [1, 1, 1]


def test_an_item_ends_with_the_first_step_whose_gate_is_above_the_threshold(reference, net, change_gate):
    gate = -reference["c_out_gate"][0, :, 0]  # the other way round it rises at first
    assert gate[5] > gate[:5].max() + 1e-3
    change_gate(-1.0, -(gate[5] + gate[:5].max()) / 2)
    speech = net.generate(Tensor(reference["a_text"][:1]), integers([17]))
    assert speech.stop_reasons == ["gate"] and speech.mel_lengths.asnumpy().tolist() == [6]
    assert_close(speech.alignments.asnumpy(), reference["c_out_alignments"][:, :6])
