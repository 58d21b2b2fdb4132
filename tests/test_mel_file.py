"""Mels from files, teacher-forced mels of a whole dataset, and a vocoder's segments of them."""

import json
import re
import shutil

import numpy as np
import pytest
from toy_training import ToyNetwork
from toy_waveglow import SETTINGS, write_wav_corpus

from src import runtime
from src.audio import mel_spectrogram
from src.config import load_config
from src.data.corpus import Corpus
from src.data.mel_file import MelFolder, clip_path, guess_scale, open_mels, read_mel
from src.data.segments import Segments, decode
from src.errors import InputError
from src.train.teacher_forcing import align, durations_of, textgrid
from src.train.waveglow import WaveGlowTask

CONFIG = load_config(overrides=SETTINGS)
AUDIO = CONFIG.audio
SPOKEN = {key: value for key, value in SETTINGS.items() if key.startswith("audio.")} | {
    "model.encoder_dim": 8,
    "data.n_buckets": 1,
}


def speech(scale):
    """A mel with silence, as of speech, on some scale, float32 [8, 50]."""
    magnitudes = np.exp(np.random.default_rng(0).uniform(-14, 1.5, (8, 50)))
    floored = np.maximum(magnitudes, 1e-5)
    unit = (np.log10(floored) + 5) / 6
    scales = {"ln": np.log(floored), "log10": np.log10(floored), "dB": 20 * np.log10(floored), "magnitudes": magnitudes}
    return (scales | {"0 to 1": unit, "-1 to 1": 2 * unit - 1, "-4 to 4": 8 * unit / unit.max() - 4})[scale]


def put(path, mel):
    np.save(path, mel.astype(np.float32))
    return path


@pytest.mark.parametrize("scale", ["ln", "log10", "dB", "magnitudes", "0 to 1", "-1 to 1", "-4 to 4"])
def test_scales_are_told_apart(tmp_path, scale):
    path = put(tmp_path / "x.npy", speech(scale))
    assert guess_scale(speech(scale))[0] == scale
    if scale == "ln":
        mel, notes = read_mel(path, AUDIO)
        np.testing.assert_allclose(mel, speech("ln"), rtol=1e-6)
        assert notes == []
    elif scale == "-1 to 1":  # which quiet noise might be
        assert "look like a scale of -1 to 1, but the vocoder reads natural logarithms" in read_mel(path, AUDIO)[1][0]
    else:
        with pytest.raises(InputError, match=r"look like .*, but the vocoder reads natural logarithms") as error:
            read_mel(path, AUDIO)
        assert (f"--mel_scale {scale} converts it" in str(error.value)) == (scale in ("log10", "dB"))
    if scale in ("log10", "dB"):
        np.testing.assert_allclose(read_mel(path, AUDIO, scale)[0], speech("ln"), atol=1e-4)


def test_layouts(tmp_path):
    mel = speech("ln").astype(np.float32)
    for content in (mel, mel[None], mel.astype(np.float64)):
        np.testing.assert_array_equal(read_mel(put(tmp_path / "x.npy", content), AUDIO)[0], mel)
    turned, notes = read_mel(put(tmp_path / "x.npy", mel.T), AUDIO)
    np.testing.assert_array_equal(turned, mel)
    assert notes == [f"{tmp_path}/x.npy: is [frames, 8], read as transposed"]
    np.savez(tmp_path / "x.npz", mel=mel, alignment=np.zeros(3))
    np.testing.assert_array_equal(read_mel(tmp_path / "x.npz", AUDIO)[0], mel)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", np.zeros((9, 50)), r"holds float32 \[9, 50\]; expected numbers \[8, frames\]"),
        ("x.npy", np.zeros((8, 0)), "holds"),
        ("x.npy", np.full((8, 5), np.nan), "NaN"),
        ("x.npy", b"no array", "cannot be read as a numpy file"),
        ("x.npz", b"PK\x03\x04", "cannot be read as a numpy file"),
        ("x.pt", b"PK", "PyTorch file"),
        ("y.npy", None, "no such file"),
    ],
)
def test_files_that_are_no_mel_are_one_line(tmp_path, name, content, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        put(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        read_mel(tmp_path / name, AUDIO)
    assert "\n" not in str(error.value)


def test_pickled_objects_are_not_read(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="without pickled objects"):
        read_mel(tmp_path / "x.npy", AUDIO)


def test_durations_follow_the_path_that_never_goes_back():
    lengths = [3, 1, 0, 4]
    alignment = np.repeat(np.eye(4), lengths, axis=0) * 0.9 + 0.02
    assert durations_of(alignment, 8, 1).tolist() == lengths
    glance = alignment.copy()
    glance[5] = [0.9, 0.02, 0.02, 0.06]  # a step back to the first symbol
    assert durations_of(glance, 8, 1).tolist() == lengths
    assert durations_of(alignment, 15, 2).tolist() == [6, 2, 0, 7]  # the last step stands for one frame
    random = np.random.default_rng(0).random((30, 7))
    found, best = durations_of(random, 30, 1), -np.inf
    assert found.sum() == 30 and (found >= 0).all()
    for cuts in np.sort(np.random.default_rng(1).integers(0, 31, (3000, 6)), 1):  # no other path is likelier
        path = np.repeat(np.arange(7), np.diff([0, *cuts, 30]))
        best = max(best, np.log(random[np.arange(30), path]).sum())
    assert np.log(random[np.arange(30), np.repeat(np.arange(7), found)]).sum() >= best


def test_a_textgrid_has_no_gap_and_no_empty_interval():
    text = textgrid(["@HH", "@AH0", "@L", " ", "t", "o", '"'], np.array([0.1, 0.2, 0, 0.1, 0.3, 0.1, 0.1]))
    tiers = re.split(r"item \[\d\]", text)[1:]
    for tier in tiers:
        bounds = [(float(a), float(b)) for a, b in re.findall(r"xmin = (\S+)\s+xmax = (\S+)\s+text", tier)]
        assert bounds[0][0] == 0 and bounds[-1][1] == 0.9 and all(a < b for a, b in bounds)
        assert [b for _, b in bounds[:-1]] == [a for a, _ in bounds[1:]]
    assert re.findall('text = "(.*)"', tiers[0]) == ["HH", "AH0", " ", "t", "o", '""']
    assert re.findall('text = "(.*)"', tiers[1]) == ["HH AH0 L", "", 'to""']


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_wav_corpus(tmp_path_factory.mktemp("corpus"), n_train=7)


@pytest.fixture(scope="module")
def net():
    runtime.setup(0)
    np.random.seed(0)
    return ToyNetwork(load_config(overrides=SPOKEN))


@pytest.fixture(scope="module")
def aligned(data, net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mels") / "aligned"
    assert align(net, data, folder, 3) == {"written": 9, "there": 0}
    return folder


def test_every_clip_is_aligned(data, aligned):
    for split in ("train", "val"):
        corpus = Corpus(data, split)
        for id, n_frames, n_symbols in zip(corpus.ids, corpus.mel_lengths, corpus.text_lengths, strict=True):
            with np.load(aligned / f"{id}.npz") as found:
                assert found["mel"].shape == (8, n_frames) and found["mel"].dtype == np.float32
                assert found["alignment"].shape == (n_frames, n_symbols) and found["symbols"].shape == (n_symbols,)
                np.testing.assert_allclose(found["alignment"].astype(float).sum(1), 1, atol=1e-2)
                assert found["durations"].sum() == n_frames
            assert f"xmax = {n_frames * 32 / 8000:.6f}" in (aligned / f"{id}.TextGrid").read_text()
    manifest = json.loads((aligned / "align.json").read_text())
    assert manifest["complete"] and len(manifest["frames"]) == 9


def test_alignment_goes_on_where_it_stopped(data, net, aligned, tmp_path):
    folder = tmp_path / "again"
    align(net, data, folder, 3)
    before = {path.name: path.read_bytes() for path in folder.glob("*.npz")}
    (folder / "3.npz").unlink()
    (folder / "8.TextGrid").unlink()
    stamp = (folder / "1.npz").stat().st_mtime_ns
    assert align(net, data, folder, 3) == {"written": 2, "there": 7}
    assert {path.name: path.read_bytes() for path in folder.glob("*.npz")} == before
    assert (folder / "1.npz").stat().st_mtime_ns == stamp
    other = ToyNetwork(net.config)
    with pytest.raises(InputError, match=r"another network or dataset \(network_sha256\); --overwrite"):
        align(other, data, folder, 3)
    assert align(other, data, folder, 3, overwrite=True)["written"] == 9
    with pytest.raises(InputError, match="holds other files"):
        align(net, data, data, 3)


def test_segments_of_given_mels_begin_at_frames(data, aligned):
    corpus = Corpus(data)
    mels = MelFolder(aligned, corpus, AUDIO)
    segments = Segments(corpus, 3, AUDIO, 256, 1, mels=mels)
    whole = {clip: decode(wav) for clip, (wav,) in enumerate(corpus.stream(range(7), 1, ["wav"]))}
    starts = set()
    for batch in segments.epoch(0):
        assert batch.mel.shape == (3, 8, 8) and batch.mel.dtype == batch.audio.dtype == np.float32
        for clip, mel, audio in zip(batch.indices, batch.mel, batch.audio, strict=True):
            given = mels.read(clip)
            assert given.shape[1] == corpus.mel_lengths[clip]
            (first,) = [k for k in range(given.shape[1] - 7) if np.array_equal(given[:, k : k + 8], mel)]
            np.testing.assert_array_equal(whole[int(clip)][32 * first : 32 * first + 256], audio)
            starts.add(first)
    assert len(starts) > 3
    mel, audio = segments.cut_given(whole[0][:100], 0.99, 0)
    assert mel.shape == (8, 8) and not audio[100:].any()


def test_a_share_of_the_segments_takes_given_mels(data, aligned):
    corpus = Corpus(data)
    segments = Segments(corpus, 3, AUDIO, 256, 1, mels=MelFolder(aligned, corpus, AUDIO, share=0.5))
    counts = {True: 0, False: 0}
    for epoch in range(4):
        for batch, flags in zip(segments.epoch(epoch), segments.given(epoch), strict=True):
            for clip, mel, is_given in zip(batch.indices, batch.mel, flags, strict=True):
                given = segments.mels.read(clip)
                found = any(np.array_equal(given[:, k : k + 8], mel) for k in range(given.shape[1] - 7))
                assert found == is_given
                counts[found] += 1
    assert min(counts.values()) > 5
    again = [batch.mel for batch in segments.epoch(3, first_batch=1)]
    np.testing.assert_array_equal(again, [batch.mel for batch in segments.epoch(3)][1:])


def test_a_mel_that_is_damaged_later_is_one_line(data, aligned, tmp_path):
    shutil.copytree(aligned, tmp_path / "mels")
    corpus = Corpus(data)
    segments = Segments(corpus, 3, AUDIO, 256, 1, mels=MelFolder(tmp_path / "mels", corpus, AUDIO))
    (tmp_path / "mels/4.npz").write_bytes((aligned / "4.npz").read_bytes()[:200])
    with pytest.raises(InputError, match=r"4\.npz: cannot be read as a numpy file") as error:
        list(segments.epoch(0))
    assert "\n" not in str(error.value)


def test_a_vocoder_trains_on_the_mels_of_the_setting(data, aligned):
    config = load_config(overrides=SETTINGS | {"data.mels": str(aligned)})
    corpus = Corpus(data)
    batch = next(WaveGlowTask(config).batches(corpus).epoch(0))
    given = open_mels(config, corpus).read(int(batch.indices[0]))
    assert any(np.array_equal(given[:, k : k + 8], batch.mel[0]) for k in range(given.shape[1]))
    assert open_mels(CONFIG, corpus) is None
    with pytest.raises(InputError, match=r"data\.mels is for vocoders"):
        load_config(overrides={"data.mels": str(aligned)})
    with pytest.raises(InputError, match=r"data\.mels_share \(0\.5\) needs data\.mels"):
        open_mels(load_config(overrides=SETTINGS | {"data.mels_share": 0.5}), corpus)


def test_mels_of_another_program(data, tmp_path):
    corpus = Corpus(data)
    for clip, (mel,) in enumerate(corpus.stream(range(7), 1, ["mel"])):
        shorter = mel[:-1] + 0.2 * np.random.default_rng(clip).standard_normal(mel[:-1].shape)
        put(tmp_path / f"{corpus.ids[clip]}.npy", shorter)
    mels = MelFolder(tmp_path, corpus, AUDIO)
    assert mels.read(2).shape == (8, corpus.mel_lengths[2])
    put(tmp_path / f"{corpus.ids[0]}.npy", np.load(tmp_path / f"{corpus.ids[0]}.npy")[:-5])
    with pytest.raises(InputError, match=r"0\.npy has .* frames, its recording .*data\.trim_db"):
        MelFolder(tmp_path, corpus, AUDIO)
    for id, n_frames in zip(corpus.ids, corpus.mel_lengths, strict=True):
        put(tmp_path / f"{id}.npy", np.linspace(-11, 2, 8)[:, None] + np.zeros(n_frames))
    with pytest.raises(InputError, match=r"not of these recordings, or on another scale: their mean distance is"):
        MelFolder(tmp_path, corpus, AUDIO)


def test_folders_that_do_not_fit_are_named(data, aligned, tmp_path):
    corpus = Corpus(data)
    with pytest.raises(InputError, match=r"is no folder; scripts/align\.py"):
        MelFolder(tmp_path / "nowhere", corpus, AUDIO)
    with pytest.raises(InputError, match=r"no mel of 7 of 7 train clips, such as 0; scripts/align\.py"):
        MelFolder(tmp_path, corpus, AUDIO)
    audio = load_config(overrides=SETTINGS | {"audio.fmax": 3000.0}).audio
    with pytest.raises(InputError, match=r"other settings: fmax is 4000\.0 there, 3000\.0 here"):
        MelFolder(aligned, corpus, audio)


def test_ids_stay_inside_the_folder(tmp_path):
    assert clip_path(tmp_path, "DUMMY/a", ".npz") == tmp_path / "DUMMY/a.npz"
    assert clip_path(tmp_path, "/abs/../../a.b", ".npz") == tmp_path / "abs/__/__/a.b.npz"


def test_a_recording_and_its_mel_agree(data):
    """The distance that tells other recordings apart is 0 for the recordings themselves."""
    corpus = Corpus(data)
    wav, mel = next(corpus.stream([0], 1, ["wav", "mel"]))
    np.testing.assert_allclose(mel_spectrogram(decode(wav), AUDIO), mel.T, atol=1e-3)
