"""Speech while it is being made: it is what the network speaks at once, whoever shares the batch."""

import atexit
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from live_server import until
from mindspore import Tensor

from src import create_model, runtime
from src.audio import limit_peaks
from src.checkpoint import save_checkpoint
from src.config import load_config
from src.errors import InputError
from src.export.writing import export
from src.models.sampling import item_seed
from src.models.tacotron2.stopping import StopRule
from src.streaming.batch import Sentence, SpeechBatch
from src.streaming.graphs import Tacotron2Graphs
from src.streaming.request import WholeMel
from src.streaming.voice import Voice
from src.text import encode_texts, speakable_sentences

parts_of = pytest.importorskip("src.export.onnx.inference")

WIDTHS = {f"model.{part}_dim": 8 for part in ("encoder", "prenet", "attention_rnn", "attention", "decoder_rnn")}
SETTINGS = WIDTHS | {
    "model.postnet_dim": 8,
    "audio.n_mels": 6,
    "model.reduction_factor": 2,
    "model.gate_threshold": 0.62,
}
SETTINGS |= {"model.max_decoder_steps": 20, "model.attention_stop_frames": 0, "text.cleaner": "english"}
HOP = 256
TEXT = "The first one. And here is another, longer! Short."


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """A fresh network whose gate ends some sentences, in memory, and in parts of two runtimes."""
    runtime.setup(0)
    np.random.seed(4)
    folder, config = tmp_path_factory.mktemp("nets"), load_config(overrides=SETTINGS)
    net = create_model(config=config).set_train(False)
    weight = net.parameters_dict()["decoder.projection.weight"]
    weight.set_data(Tensor(np.random.standard_normal(weight.shape).astype(np.float32)))
    save_checkpoint(folder / "net.ckpt", net, config)
    export(folder / "net.ckpt", "ONNX", folder, verify=False)
    return {"whole": net, "mindspore": Tacotron2Graphs(net, 10), "onnx": parts_of.OnnxTacotron2(folder, threads=1)}


def vocoder(seed):
    """A vocoder that repeats the mean of each frame."""
    return WholeMel(lambda mel: np.repeat(mel.mean(0), HOP).astype(np.float32) / 4)


@pytest.fixture(params=["mindspore", "onnx"])
def voice(request, nets):
    with Voice(nets[request.param], vocoder, n_places=3, vocoder_threads=2) as voice:
        yield voice


def expected(net, text, seed):
    """Sentences that `Tacotron2.generate` speaks one by one: mel, alignment, stop reason."""
    for position, sentence in enumerate(speakable_sentences(text, net.config.text)):
        speech = net.generate(*map(Tensor, encode_texts([sentence], net.config)), [item_seed(seed, position)])
        n_frames = int(speech.mel_lengths.asnumpy()[0])
        yield speech.mel.asnumpy()[0, :, :n_frames], speech.alignments.asnumpy()[0], speech.stop_reasons[0]


def test_parts_are_what_the_network_speaks_at_once(voice, nets):
    parts = list(voice.stream_parts(TEXT, seed=7))
    reasons, wavs = [], []
    pause = round(voice.config.text.sentence_pause * voice.sample_rate / HOP) * HOP
    for number, (mel, alignment, reason) in enumerate(expected(nets["whole"], TEXT, 7)):
        own = [part for part in parts if part.sentence == number]
        if number:
            silence, *own = own
            assert len(silence.wav) == pause and not silence.wav.any() and silence.mel.shape[1] * HOP == pause
            wavs.append(silence.wav)
        assert [part.stop_reason for part in own[:-1]] == [None] * (len(own) - 1)
        np.testing.assert_allclose(np.concatenate([part.mel for part in own], 1), mel, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([part.alignment for part in own]), alignment, atol=1e-4)
        assert own[-1].stop_reason == reason and len(own[-1].symbols) == alignment.shape[1]
        reasons.append(reason)
        wavs.append(limit_peaks(vocoder(0).vocoder(mel)))
    assert set(reasons) == {"gate", "max_decoder_steps"}  # else the toy shows only one of the ends
    wav, sample_rate = voice.speak(TEXT, seed=7)
    assert sample_rate == 22050 and wav.dtype == np.float32
    np.testing.assert_allclose(wav, np.concatenate(wavs), atol=1e-4)
    np.testing.assert_array_equal(np.concatenate(list(voice.stream(TEXT, seed=7))), wav)


def test_a_text_sounds_the_same_whoever_shares_the_batch(voice):
    texts = ["One.", TEXT, "A much longer sentence " + "that goes on and on " * 5 + "until it ends.", "Two, three."] * 3
    alone = [voice.speak(text, seed=seed)[0] for seed, text in enumerate(texts)]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(pool.map(lambda item: voice.speak(item[1], seed=item[0])[0], enumerate(texts)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(voice.speak("One.", seed=1)[0], alone[0])


def test_nobody_waits_for_the_end_of_a_long_text(voice):
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(voice.speak, "One more of many. " * 30)
        short = pool.submit(voice.speak, "Short.")
        short.result(60)
        assert not long.done()
        long.result(60)


def test_a_text_that_nobody_wants_any_more_costs_nothing(voice):
    stream = voice.stream_parts("One more of many. " * 300)
    next(stream)
    stream.close()
    until(lambda: not voice._requests)
    assert voice._batch.n_free == 3
    assert len(voice.speak("Still here.")[0]) > 0


def test_a_text_is_cancelled_while_it_waits(nets):
    cancel, released = threading.Event(), threading.Event()

    def waiting(mel):
        released.wait(60)
        return vocoder(0).vocoder(mel)

    with (
        Voice(nets["onnx"], lambda seed: WholeMel(waiting), 1, vocoder_threads=1) as voice,
        ThreadPoolExecutor(1) as pool,
    ):
        text = pool.submit(lambda: list(voice.stream("One.", cancel=cancel)))
        cancel.set()
        assert text.result(60) == []
        released.set()


def test_texts_take_turns(nets):
    with Voice(nets["onnx"], vocoder, n_places=1) as voice, ThreadPoolExecutor(3) as pool:
        ends = {}

        def speak(text):
            for part in voice.stream_parts(text):
                if part.stop_reason:
                    ends.setdefault(text, []).append(time.monotonic())

        texts = "One more of many. " * 8, "And one more. " * 8, "Short one."
        list(pool.map(speak, texts))
        first, second, short = (ends[text] for text in texts)
        assert max(first[0], second[0]) < min(first[-1], second[-1]) and min(map(len, (first, second))) == 8
        assert len(short) == 1 and short[0] < min(first[-1], second[-1])


def test_a_text_waits_while_nobody_takes_its_sound(voice, monkeypatch):
    monkeypatch.setattr("src.streaming.request.MOST_AHEAD", 0.5)
    stream = voice.stream_parts("One more of many. " * 30)
    first = next(stream)
    request, spoken = voice._requests[0], -1
    while spoken != request.next:  # until no sentence has begun for a while
        spoken = request.next
        time.sleep(0.5)
    assert request.next < 15
    assert {first.sentence, *(part.sentence for part in stream)} == set(range(30))


@pytest.mark.parametrize(
    ("text", "message"), [("", "can be spoken"), ("...", "can be spoken"), ("你好", "你好|CJK|han")]
)
def test_a_text_without_a_sound_is_refused(voice, text, message):
    with pytest.raises(InputError, match=message):
        next(voice.stream(text))
    with pytest.raises(InputError, match="one voice only"):
        next(voice.stream("One.", speaker="anna"))


def test_an_error_ends_its_text_alone(nets):
    def failing(seed):
        def refuse(mel):
            raise InputError("refused")

        return WholeMel(refuse) if seed == 13 else vocoder(seed)

    with Voice(nets["onnx"], failing, n_places=2, vocoder_threads=1) as voice, ThreadPoolExecutor(2) as pool:
        good, bad = pool.submit(voice.speak, TEXT, 1), pool.submit(voice.speak, TEXT, 13)
        assert len(good.result(60)[0]) > 0
        with pytest.raises(InputError, match="refused"):
            bad.result(60)
        nan = vocoder(0).vocoder
        voice.vocoder = lambda seed: WholeMel(lambda mel: nan(mel) * np.nan)
        with pytest.raises(InputError, match="vocoder's output is not finite"):
            voice.speak("One.")


def test_a_voice_that_hangs_can_be_told(nets):
    go_on = threading.Event()

    def hanging(mel):
        go_on.wait(60)
        return np.zeros(10, np.float32)

    with Voice(nets["onnx"], lambda seed: WholeMel(hanging), 1) as voice, ThreadPoolExecutor(1) as pool:
        assert voice.seconds_stuck == 0
        speaking = pool.submit(voice.speak, "One.")
        while voice.seconds_stuck < 0.5 and not speaking.done():
            time.sleep(0.1)
        assert voice.seconds_stuck >= 0.5
        go_on.set()
        speaking.result(60)
        until(lambda: voice.seconds_stuck == 0)


def test_a_closed_voice_says_so(nets):
    voice = Voice(nets["onnx"], vocoder, n_places=1)
    stream = voice.stream("One more of many. " * 300)
    next(stream)
    closing = threading.Thread(target=voice.close)
    closing.start()
    with pytest.raises(RuntimeError, match="closed"):
        list(stream)
    closing.join(30)
    with pytest.raises(RuntimeError, match="closed"):
        voice.speak("One.")


def test_a_voice_that_speaks_is_ended_when_python_ends(nets, monkeypatch):
    ends = []
    monkeypatch.setattr(atexit, "register", lambda *call: ends.append(call))
    voice = Voice(nets["onnx"], vocoder, n_places=1)
    next(voice.stream("One more of many. " * 30))
    with ThreadPoolExecutor(1) as pool:
        speaking = pool.submit(voice.speak, "One more of many. " * 300)
        for function, *arguments in ends:
            function(*arguments)
        assert not voice._thread.is_alive()
        with pytest.raises(RuntimeError, match="closed"):
            speaking.result(30)
    del voice, speaking
    gc.collect()
    for function, *arguments in ends:
        function(*arguments)  # does nothing for a voice that is gone


def test_a_text_ends_with_its_sound_although_its_pool_has_ended(nets):
    """As when Python ends while a thread of the user's waits for its speech."""
    slow = threading.Event()

    def waiting(mel):
        slow.wait(30)
        return np.repeat(mel.mean(0), HOP).astype(np.float32) / 4

    voice = Voice(nets["onnx"], lambda seed: WholeMel(waiting), 1, vocoder_threads=1)
    with ThreadPoolExecutor(1) as pool:
        speaking = pool.submit(voice.speak, TEXT)
        until(lambda: any(request.jobs for request in voice._requests))
        voice._pool.shutdown(wait=False)
        slow.set()
        wav, _ = speaking.result(60)
    assert len(wav) > HOP
    voice.close()


def test_the_stop_rule_is_that_of_the_graph():
    model = SimpleNamespace(gate_threshold=0.5, attention_stop_frames=6, reduction_factor=2)
    rule = StopRule(model, 4)
    resting, moving = np.float32([0, 0, 0.1, 0.9]), np.float32([0, 0.6, 0, 0.4])
    assert [rule(0.1, row) for row in (resting, resting, moving, resting, resting)] == [None] * 5
    assert rule(0.1, resting) == "attention"
    model.attention_stop_frames = 0
    assert StopRule(model, 4)(0.51, resting) == "gate"


def test_places_are_taken_and_left(nets):
    batch = SpeechBatch(nets["onnx"], 2, 5)
    ids, lengths = encode_texts(["One.", "Two and three."], batch.net.config)
    first, second = (Sentence(ids[i, : lengths[i]], i) for i in range(2))
    batch.join(first)
    found = batch.run()
    assert batch.n_free == 1 and found[first].mel.shape == (6, 10) and found[first].alignment.shape == (5, lengths[0])
    batch.join(second)
    batch.leave(first)
    assert batch.n_free == 1 and set(batch.run()) == {second}
