"""Lines to wavs, with a network so simple that its output can be predicted; test_eval.py has the real one."""

import itertools
import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor

from src.audio import load_wav
from src.config import load_config
from src.errors import InputError
from src.models.tacotron2.model import Speech
from src.synthesis.output import save
from src.synthesis.synthesis import (
    BATCH_SIZE,
    WINDOW,
    Line,
    Piece,
    plan_batches,
    read_lines,
    speakable_pieces,
    synthesise,
)
from src.text import text_to_sequence

HOP, N_MELS, RATE, R = 10, 4, 1000, 2
AUDIO = {"audio.sample_rate": RATE, "audio.hop_length": HOP, "audio.n_mels": N_MELS, "audio.fmax": 500.0}
CONFIG = load_config(
    overrides={**AUDIO, "model.reduction_factor": R, "text.sentence_pause": 0.06, "text.max_sentence_length": 60}
)
PAUSE = 6  # frames


class FakeNetwork:
    """Speaks every symbol in one step of two frames: band 0 says the symbol, band 1 the position given in the seed."""

    config = CONFIG

    def __init__(self, stop_reasons=lambda ids: "gate"):
        self.stop_reasons, self.shapes, self.compiled, self.seeds = stop_reasons, [], [], []

    def generate_key(self, n_batch, length):
        return f"{n_batch} {length}"

    def compile_generate(self, n_batch, length):
        self.compiled.append((n_batch, length))

    def generate(self, text, lengths, seeds):
        self.shapes.append(text.shape)
        self.seeds += seeds
        n_batch, length = text.shape
        mel = np.zeros((n_batch, N_MELS, R * lengths.max()), np.float32)
        alignments = np.zeros((n_batch, lengths.max(), length), np.float32)
        for i, n in enumerate(lengths):
            assert not text[i, n:].any()
            mel[i, 0, : R * n], mel[i, 1, : R * n] = np.repeat(text[i, :n], R), seeds[i][1]
            alignments[i, np.arange(n), np.arange(n)] = 0.5
        reasons = [self.stop_reasons(text[i, :n]) for i, n in enumerate(lengths)]
        return Speech(Tensor(mel), Tensor((R * lengths).astype(np.int32)), Tensor(alignments), reasons)


def vocoder(mel):
    return np.repeat(mel[0], HOP) / 200


def speak(texts, net=None):
    return list(synthesise(net or FakeNetwork(), [Line(i, text) for i, text in enumerate(texts, 1)], vocoder))


def spoken_symbols(utterance):
    """Symbol ids by sentence, read back from the mel between the pauses."""
    symbols, frame = [], 0
    for sentence in utterance.sentences:
        n = sentence.mel.shape[1]
        symbols.append(utterance.mel[0, frame : frame + n : R].astype(int).tolist())
        pause = utterance.mel[:, frame + n : frame + n + PAUSE]
        np.testing.assert_allclose(pause, np.log(1e-5), rtol=1e-6)
        frame += n + PAUSE
    assert frame == utterance.mel.shape[1] + PAUSE
    return symbols


def test_lines_come_back_in_order_with_their_own_sentences_in_order():
    draw = np.random.default_rng(0)
    texts = [
        " ".join(
            f"{'x' * length} said number {('one', 'two', 'three')[k]}."
            for k, length in enumerate(draw.integers(1, 40, n))
        )
        for n in (1, 3, 2) * 8
    ]
    net = FakeNetwork()
    for i, utterance in enumerate(speak(texts, net)):
        assert utterance.line == Line(i + 1, texts[i])
        wanted = [text_to_sequence(f"{sentence.strip()}.") for sentence in texts[i].split(".")[:-1]]
        assert spoken_symbols(utterance) == wanted
        assert len(utterance.wav) == HOP * utterance.mel.shape[1]
        first = R * len(wanted[0]) * HOP
        np.testing.assert_allclose(utterance.wav[:first:HOP], np.repeat(wanted[0], R) / 200, rtol=1e-6)
        assert not utterance.wav[first : first + PAUSE * HOP].any()
        assert [sentence.mel[1, 0] for sentence in utterance.sentences] == list(
            range(len(wanted))
        )  # seeded by place in its line
        assert utterance.alignment.shape == (sum(map(len, wanted)), sum(map(len, wanted)))
        np.testing.assert_array_equal(utterance.alignment, 0.5 * np.eye(len(utterance.alignment)))
        assert utterance.alignment_score == 0.5
    assert len({batch for batch, _ in net.shapes}) == 1 and net.shapes[0][0] <= BATCH_SIZE
    assert sorted(set(net.shapes)) == sorted(net.compiled)  # each shape compiled once, before it was used
    assert {length for _, length in net.shapes} <= {32, 64, 128}


def test_a_line_is_spoken_alike_alone_and_among_others():
    texts = ["One. Two is longer than one.", "Three.", "Four and more."]
    among = speak(texts)
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(among[i].wav, speak([text])[0].wav)


def test_one_sentence_at_a_time_sounds_the_same_and_tells_how_far_it_is():
    text, reports, net = "One. Two is much, much longer than one, and than three. Three.", [], FakeNetwork()
    (utterance,) = synthesise(
        net, [Line(1, text)], vocoder, batch_size=1, report=lambda *report: reports.append(report)
    )
    np.testing.assert_array_equal(utterance.wav, speak([text])[0].wav)
    assert sorted(net.compiled) == [(1, 32), (1, 64)]
    speaking = [("speaking", done, 3) for done in range(3)]
    assert reports == [("compiling", 0, 3), *speaking[:2], ("compiling", 2, 3), speaking[2]]  # the longest comes last


def test_exported_files_are_not_compiled():
    class Files(FakeNetwork):
        @property
        def compile_generate(self):
            raise AttributeError

    reports = []
    list(synthesise(Files(), [Line(1, "One.")], vocoder, report=lambda *report: reports.append(report)))
    assert reports == [("speaking", 0, 1)]


def test_memory_is_bounded_by_windows_of_whole_lines():
    pieces = [Piece(line, position, "") for line in range(300) for position in range(3)]
    lengths = np.random.default_rng(0).integers(1, 200, len(pieces))
    plan = plan_batches(pieces, lengths)
    members = [{i for batch in window for i in batch} for window in plan]
    assert [piece for window in members for piece in sorted(window)] == list(range(len(pieces)))  # each once, in order
    assert all(WINDOW <= len(window) < WINDOW + 3 for window in members[:-1])
    assert len({pieces[max(window)].line for window in members} & {pieces[min(window)].line for window in members}) == 0
    assert {len(batch) for window in plan for batch in window} == {BATCH_SIZE}
    for window in plan:
        bounds = [(min(lengths[batch]), max(lengths[batch])) for batch in window]
        assert all(longest <= shortest for (_, longest), (shortest, _) in itertools.pairwise(bounds))


def test_the_first_line_is_there_before_the_last_is_spoken():
    net = FakeNetwork()
    utterances = synthesise(net, [Line(i, "A line.") for i in range(1, 2 * WINDOW)], vocoder)
    assert next(utterances).line.number == 1
    assert len(net.shapes) == WINDOW // BATCH_SIZE


@pytest.mark.parametrize(("n", "size"), [(1, 1), (8, 8), (9, 5), (17, 6)])
def test_few_pieces_make_even_batches(n, size):
    (window,) = plan_batches([Piece(i, 0, "") for i in range(n)], np.arange(n) + 1)
    assert {len(batch) for batch in window} == {size} and {i for batch in window for i in batch} == set(range(n))


def test_a_text_of_three_thousand_characters():
    sentence = (
        "the committee, which had met on Thursday, said that it had nothing to say about number {}, or so it was said"
    )
    text = (". ".join(sentence.format(word) for word in ("one", "two", "three")) + ". ") * 9
    assert 2900 < len(text) < 3200
    (utterance,) = speak([text])
    assert "".join(piece.text for piece in utterance.sentences).replace(" ", "") == text.replace(" ", "")
    assert all(len(piece.text) <= 60 for piece in utterance.sentences)


def test_what_has_no_sound_is_not_spoken():
    assert speakable_pieces(Line(1, "Well..."), CONFIG) == ["Well..."]
    assert speakable_pieces(Line(1, "... 1. Well. ..."), CONFIG) == ["... 1. Well. ..."]
    assert speakable_pieces(Line(1, "Well" + "." * 200), CONFIG)[0].startswith("Well")
    assert len(speakable_pieces(Line(1, "Well" + "." * 200), CONFIG)) == 1
    assert speakable_pieces(Line(1, "1984"), CONFIG) == ["1984"]
    assert speakable_pieces(Line(1, "{AA1}"), CONFIG) == ["{AA1}"]
    for text in ("...", "?!", "😀", "{}", "-" * 100):
        with pytest.raises(InputError, match=r"line 7: nothing of '.*' can be spoken"):
            speakable_pieces(Line(7, text), CONFIG)


def test_bad_lines_are_found_before_anything_is_spoken():
    net = FakeNetwork()
    with pytest.raises(InputError, match=r"line 2: nothing of '\.\.\.'"):
        speak(["fine", "..."], net)
    with pytest.raises(InputError, match="XX"):
        speak(["fine", "{XX}"], net)
    with pytest.warns(UserWarning, match=r"'#' .U.0023. in line 1, '@' .U.0040. in line 2") as caught:
        speak(["fine # one", "fine @ two"], net)
    assert len(caught) == 1 and len(net.shapes) == 1


def test_the_worst_stop_reason_speaks_for_the_line():
    reasons = {len("Yes."): "gate", len("Maybe."): "attention", len("Certainly."): "max_decoder_steps"}
    utterances = speak(["Yes.", "Yes. Maybe.", "Certainly. Maybe. Yes."], FakeNetwork(lambda ids: reasons[len(ids)]))
    assert [utterance.stop_reason for utterance in utterances] == ["gate", "attention", "max_decoder_steps"]


def test_a_network_that_has_diverged_is_named_as_such(monkeypatch):
    net = FakeNetwork()
    speech = net.generate(np.ones((1, 3), np.int32), np.array([3], np.int32), [(0, 0)])
    broken = speech._replace(mel=Tensor(np.full(speech.mel.shape, np.nan, np.float32)))
    monkeypatch.setattr(net, "generate", lambda *_: broken)
    with pytest.raises(InputError, match=r"'abc' is not finite.* diverged"):
        speak(["abc"], net)


def test_a_line_that_the_vocoder_refuses_is_named():
    def refuse(mel):
        if mel.shape[1] == R:
            raise InputError("one symbol is too short")
        return vocoder(mel)

    with pytest.raises(InputError, match="line 2: one symbol is too short"):
        list(synthesise(FakeNetwork(), [Line(1, "abc"), Line(2, "a")], refuse))


def test_no_time_is_lost_to_the_repeats_that_fill_a_batch(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("src.synthesis.synthesis.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    net = FakeNetwork()
    utterances = speak([f"Text of {'x' * i}." for i in range(9)], net)  # two batches of five
    seconds = sum(sentence.seconds for utterance in utterances for sentence in utterance.sentences)
    assert len(net.shapes) == 2 and seconds == pytest.approx(2)


def test_files_of_an_utterance(tmp_path):
    (utterance,) = speak(["One. And two."])
    row = save(utterance, tmp_path, "0007", CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0007.png", "0007.wav", "0007_mel.npy"]
    np.testing.assert_allclose(load_wav(tmp_path / row["wav"], RATE), utterance.wav, atol=1 / 32768)
    mel = np.load(tmp_path / row["mel"])
    np.testing.assert_array_equal(mel, utterance.mel)
    assert mel.dtype == np.float32 and mel.shape == (N_MELS, row["frames"])
    assert (tmp_path / row["picture"]).read_bytes().startswith(b"\x89PNG")
    assert row["seconds"] == row["frames"] * HOP / RATE == pytest.approx(len(utterance.wav) / RATE)
    assert (row["line"], row["text"], row["stop_reason"], row["alignment_score"]) == (1, "One. And two.", "gate", 0.5)
    assert row["real_time_factor"] == utterance.seconds / row["seconds"] > 0
    assert [sentence["text"] for sentence in row["sentences"]] == ["One.", "And two."]
    first, second = row["sentences"]
    pause = round(CONFIG.text.sentence_pause * RATE / HOP) * HOP / RATE
    assert (first["start"], first["end"]) == (0, first["frames"] * HOP / RATE)
    assert (second["start"], second["end"]) == pytest.approx((first["end"] + pause, row["seconds"]))
    assert "".join(second["symbols"]) == second["spoken"] == "and two."
    assert row["spoken"] == "one. and two." and row["peak"] == pytest.approx(np.abs(utterance.wav).max())
    json.dumps(row)


def test_a_loud_line_is_limited_and_reported(tmp_path):
    (utterance,) = synthesise(
        FakeNetwork(), [Line(1, "abc")], lambda mel: 3 * vocoder(mel) / np.abs(vocoder(mel)).max()
    )
    row = save(utterance, tmp_path, "0001", CONFIG)
    assert row["peak"] == pytest.approx(3) and 0.95 < np.abs(utterance.wav).max() <= 1


def test_lines_of_a_file_keep_their_numbers(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeffone\r\n\r\n  two\u2028half \n \nthree\n\n\n".encode())
    assert read_lines(path) == ([Line(1, "one"), Line(3, "two\u2028half"), Line(5, "three")], [2, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for content, message in ((b"", "no text"), (b" \n\n", "no text"), (b"caf\xe9", "UTF-8")):
            path.write_bytes(content)
            with pytest.raises(InputError, match=rf"lines\.txt: .*{message}"):
                read_lines(path)
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read \(No such file"):
        read_lines(tmp_path / "gone.txt")
