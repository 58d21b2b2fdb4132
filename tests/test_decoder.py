"""The decoder with several frames a step, and with parts of the target hidden from it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops
from test_network import DROPOUT_OFF, assert_close, integers, loss_in_numpy

from src import runtime
from src.config import load_config
from src.models.factory import create_model
from src.models.scan import set_blocks
from src.models.tacotron2.decoder import Decoder
from src.models.tacotron2.loss import Tacotron2Loss

TINY = {
    f"model.{name}_dim": 8 for name in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn", "postnet")
}


@pytest.mark.parametrize("r", [2, 3])
def test_r_frames_a_step(r):
    n_mels, n_frames = 4, 7
    n_steps = -(-n_frames // r)  # the last step is not full
    np.random.seed(r)
    overrides = {
        "audio.n_mels": n_mels,
        "model.reduction_factor": r,
        "model.max_decoder_steps": n_steps,
        "train.guided_attention": 1.0,
    }
    net = create_model(config=load_config(overrides={**TINY, **DROPOUT_OFF, **overrides}))
    draw = np.random.default_rng(r)
    text, text_lengths = Tensor(draw.integers(1, 148, (2, 5)).astype(np.int32)), integers([5, 4])
    target, lengths = draw.standard_normal((2, n_mels, n_frames)).astype(np.float32), np.array([7, 5], np.int32)

    def teacher_forced(mel):
        return [output.asnumpy() for output in net(text, text_lengths, Tensor(mel), Tensor(lengths))]

    before = teacher_forced(target)
    mel, mel_postnet, gate, alignments = before
    assert mel.shape == mel_postnet.shape == (2, n_mels, n_frames)
    assert gate.shape == (2, n_steps) and alignments.shape == (2, n_steps, 5)
    for frame in range(n_frames):
        changed = target.copy()
        changed[:, :, frame] += 1
        difference = np.abs(teacher_forced(changed)[0] - mel).max(1)  # (B, T)
        first = (frame // r + 1) * r  # a step depends on the frames of the step before
        assert not difference[:, :first].any()
        assert (difference[0, first:] > 0).all()
        assert frame < lengths[1] or not difference.any(1)[1]  # padding has no effect

    outputs = tuple(map(Tensor, before))
    _, mel_loss, gate_loss, _ = Tacotron2Loss(net.config)(
        outputs, Tensor(target), Tensor(lengths), text_lengths, Tensor(0.0, ms.float32)
    )
    items = [(mel[i, :, :n], mel_postnet[i, :, :n], gate[i, : -(-n // r)], None) for i, n in enumerate(lengths)]
    wanted = loss_in_numpy(items, [target[i, :, :n] for i, n in enumerate(lengths)], r)
    np.testing.assert_allclose((float(mel_loss), float(gate_loss)), wanted, rtol=1e-4)

    if r == 3:  # its free-running output as target gives the same output teacher forced
        norm, bias = net.postnet.convolutions[-1].norm, net.decoder.projection.bias
        # No postnet, so that free running returns the decoder's frames.
        ops.Assign()(norm.gamma, ops.zeros_like(norm.gamma))
        ops.Assign()(bias, Tensor(np.append(bias.asnumpy()[:-1], np.float32(-100))))  # and no end
        speech = net.generate(text, text_lengths)
        said = speech.mel.asnumpy()
        assert said.shape == (2, n_mels, n_steps * r) and speech.mel_lengths.asnumpy().tolist() == [n_steps * r] * 2
        again = teacher_forced(said[:, :, :n_frames])
        for i, n in enumerate(lengths):
            assert_close(again[0][i, :, :n], said[i, :, :n])
        np.testing.assert_allclose(again[3][0], speech.alignments.asnumpy()[0], atol=1e-5)


def test_teacher_dropout_hides_whole_steps_in_training_only():
    runtime.setup(0)
    config = load_config(overrides={**TINY, **DROPOUT_OFF, "audio.n_mels": 4, "train.teacher_dropout": 0.5})
    decoder = Decoder(config)
    draw = np.random.default_rng(0)
    memory, mask = Tensor(draw.standard_normal((2, 5, 8)).astype(np.float32)), ops.zeros((2, 5), ms.float32)
    frames = Tensor(draw.standard_normal((12, 2, 4)).astype(np.float32))  # (T, B, n_mels)

    def decode(teacher, training=False):
        decoder.set_train(training)
        return decoder(teacher, memory, mask)[0].asnumpy()

    with_all, with_none = decode(frames), decode(frames * 0)
    with_half, with_others = decode(frames, training=True), decode(frames, training=True)
    # Training takes MindSpore's tanh and evaluation the exact one, see `src.models.ops.tanh`.
    np.testing.assert_allclose(with_half[0], with_all[0], atol=1e-4)  # the first step has no target before it
    for spoken in (with_half, with_others):
        assert np.abs(spoken - with_all).max() > 1e-3 and np.abs(spoken - with_none).max() > 1e-3
        for item in range(2):  # the second step gets all of the target or nothing, at the target's own scale
            assert min(np.abs(spoken[1, item] - wanted[1, item]).max() for wanted in (with_all, with_none)) < 1e-4
    assert np.abs(with_half - with_others).max() > 1e-3
    np.testing.assert_array_equal(decode(frames), with_all)


def test_steps_of_one_iteration_change_nothing_that_is_spoken():
    overrides = {**TINY, "audio.n_mels": 4, "model.max_decoder_steps": 7, "model.gate_threshold": 1.0}
    config = load_config(overrides=overrides | {"model.attention_stop_frames": 5})
    np.random.seed(3)
    one_by_one = create_model(config=config)
    np.random.seed(3)  # the same weights
    in_threes = create_model(config=config)
    set_blocks(in_threes, 5, 3)  # of 7 steps, the third iteration has one
    reasons = set()
    for n_symbols in (9, 1):  # attention rests at once on a single symbol, so the second iteration is cut short
        text = Tensor(np.arange(1, 2 * n_symbols + 1, dtype=np.int32).reshape(2, n_symbols))
        lengths = Tensor(np.array([n_symbols, 1], np.int32))
        wanted, found = (net.generate(text, lengths, 4) for net in (one_by_one, in_threes))
        assert found.stop_reasons == wanted.stop_reasons
        for name in ("mel_lengths", "mel", "alignments"):
            np.testing.assert_allclose(
                getattr(found, name).asnumpy(), getattr(wanted, name).asnumpy(), rtol=1e-6, atol=1e-7
            )
        reasons |= set(found.stop_reasons)
    assert reasons == {"attention", "max_decoder_steps"}
