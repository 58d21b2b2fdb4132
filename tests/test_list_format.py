"""Lists of recordings as people have them: columns, separators, encodings, and recordings under other paths."""

import json

import pytest

from src.data.columns import recognise
from src.data.file_list import read_source
from src.data.recordings import Recordings
from src.errors import InputError

FIRST, SECOND = "Printing, in the only sense with which we are concerned.", 'In "being" comparatively modern.'
ANNA, BOB = ("a", FIRST, "anna"), ("b", SECOND, "bob")


def put(folder, *names):
    """Make empty recordings; only their names matter here."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def read(folder, content, name="list.txt", columns=None, in_folder=False):
    """Read a list of this content; returns the source and (id, wav, text, speaker) of its rows."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    source = read_source(folder, None if in_folder else folder / name, columns)
    return source, [(row.id, row.wav, row.text, row.speaker) for row in source.rows]


LJSPEECH = {  # of a folder with wavs/a.wav and wavs/b.wav: the list, and the roles of its columns
    "id|text": ("a|{}\nb|{}\n", "id|text"),
    "id|text|normalised": ("a|1. {0}|{0}\nb|2. {1}|{1}\n", "id|text|normalised"),
    "id.wav|text": ("a.wav|{}\nb.wav|{}\n", "path|text"),
    "id|speaker|text": ("a|anna|{}\nb|bob|{}\n", "id|speaker|text"),
    "id|text|speaker": ("a|{}|anna\nb|{}|bob\n", "id|text|speaker"),
    "tabs": ("a\t{}\nb\t{}\n", "id|text"),
    "carriage returns": ("a|{}\r\nb|{}\r\n", "id|text"),
    "old Macintosh": ("a|{}\rb|{}\r", "id|text"),
    "byte order mark": ("\ufeffa|{}\nb|{}\n", "id|text"),
    "blank lines": ("\na|{}\n\nb|{}\n\n", "id|text"),
    "path in wavs": ("wavs/a.wav|{}\nwavs/b.wav|{}\n", "path|text"),
    "speaker number": ("a|{}|3\nb|{}|10\n", "id|text|speaker"),
    "duration": ("a|2.35|{}\nb|1.70|{}\n", "id|-|text"),
    "speaker and language": ("a.wav|anna|EN|{}\nb.wav|bob|EN|{}\n", "path|speaker|-|text"),
    "text first": ("{}|a.wav\n{}|b.wav\n", "text|path"),
}


@pytest.mark.parametrize("form", LJSPEECH)
def test_columns_in_the_layout_of_ljspeech(tmp_path, form):
    put(tmp_path, "wavs/a.wav", "wavs/b.wav")
    content, roles = LJSPEECH[form]
    source, rows = read(tmp_path, content.format(FIRST, SECOND), "metadata.csv", in_folder=True)
    assert "|".join(source.roles) == roles and not source.bad
    assert [row[:3] for row in rows] == [
        (id if "path in" not in form else f"wavs/{id}", f"wavs/{id}.wav", text)
        for id, text in (("a", FIRST), ("b", SECOND))
    ]
    assert [bool(speaker) for *_, speaker in rows] == [("speaker" in roles)] * 2
    assert roles in source.description[0] and sum(FIRST[:20] in line for line in source.description) == 1


NAMED = {
    "csv of Hugging Face": "file_name,transcription,speaker_id\nclips/a.wav,{},anna\nclips/b.wav,{},bob\n",
    "csv with semicolons": "path;sentence;client_id\nclips/a.wav;{};anna\nclips/b.wav;{};bob\n",
    "tsv of Common Voice": "client_id\tpath\tsentence\tup_votes\nanna\ta.wav\t{}\t2\nbob\tb.wav\t{}\t0\n",
    "pipes with a header": "wav_file|text|Speaker\nclips/a.wav|{}|anna\nclips/b.wav|{}|bob\n",
}


@pytest.mark.parametrize("form", NAMED)
def test_columns_with_names(tmp_path, form):
    put(tmp_path, "clips/a.wav", "clips/b.wav")
    folder = tmp_path / "clips" if "Common Voice" in form else tmp_path
    texts = ['"{}"'.format(text.replace('"', '""')) if "csv" in form else text for text in (FIRST, SECOND)]
    (folder / "metadata.csv").write_text(NAMED[form].format(*texts), encoding="utf-8")
    rows = read_source(folder, None).rows
    assert [(row.text, row.speaker) for row in rows] == [ANNA[1:], BOB[1:]]
    assert [(folder / row.wav).is_file() for row in rows] == [True, True] and [row.line for row in rows] == [2, 3]


@pytest.mark.parametrize("keys", ["file_name text speaker", "audio_filepath text speaker", "path transcription sid"])
def test_json_lines(tmp_path, keys):
    put(tmp_path, "clips/a.flac", "clips/b.flac")
    objects = [
        {**dict(zip(keys.split(), (f"clips/{id}.flac", text, name), strict=True)), "duration": 2.5, "tags": [1]}
        for id, text, name in (ANNA, BOB)
    ]
    lines = [json.dumps(each) for each in objects] + ["{broken"]
    source, rows = read(tmp_path, "\n".join(lines), "train.jsonl")
    assert [row[1:] for row in rows] == [(f"clips/{id}.flac", text, name) for id, text, name in (ANNA, BOB)]
    assert [(row.line, row.reason) for row in source.bad] == [(3, "is no JSON object")]


@pytest.mark.parametrize(
    "prefix", ["DUMMY/", "LJSpeech-1.1/wavs/", "/home/someone/data/LJSpeech-1.1/wavs/", "C:\\LJ\\wavs\\", ""]
)
@pytest.mark.parametrize("folder", ["", "wavs/"])
def test_lists_made_elsewhere(tmp_path, prefix, folder):
    put(tmp_path, f"{folder}LJ-1.wav", f"{folder}LJ-2.wav")
    lines = [f"{prefix}LJ-1.wav|{FIRST}", f"{prefix}LJ-2.wav|{SECOND}"]
    _, rows = read(tmp_path, "\n".join(lines))
    assert [row[1:3] for row in rows] == [(f"{folder}LJ-1.wav", FIRST), (f"{folder}LJ-2.wav", SECOND)]


@pytest.mark.parametrize("above", ["", "LJSpeech-1.1/"])
def test_lists_of_mels_find_the_recordings(tmp_path, above):
    put(tmp_path, f"{above}wavs/LJ-1.wav", f"{above}wavs/LJ-2.wav")
    lines = [f"LJSpeech-1.1/mels/LJ-1.pt|{FIRST}", f"LJSpeech-1.1/mels/LJ-2.pt|{SECOND}"]
    source, rows = read(tmp_path, "\n".join(lines))
    assert [row[1] for row in rows] == [f"{above}wavs/LJ-1.wav", f"{above}wavs/LJ-2.wav"]
    assert "with wavs/ for mels/" in source.description[0]


def test_speakers_of_equal_file_names_are_not_mixed_up(tmp_path):
    put(tmp_path, "p225/001.wav", "p226/001.wav")
    _, rows = read(tmp_path, f"DUMMY2/p225/001.wav|57|{FIRST}\nDUMMY2/p226/001.wav|92|{SECOND}\n")
    assert [(wav, speaker) for _, wav, _, speaker in rows] == [("p225/001.wav", "57"), ("p226/001.wav", "92")]


@pytest.mark.parametrize("suffix", [".wav", ".WAV", ".flac", ".mp3", ".ogg", ".Opus"])
@pytest.mark.parametrize("written", ["", ".wav"])
def test_suffixes(tmp_path, suffix, written):
    put(tmp_path, f"wavs/a.1{suffix}", f"wavs/b{suffix}")
    _, rows = read(tmp_path, f"a.1{written}|{FIRST}\nb{written}|{SECOND}\n", "metadata.csv", in_folder=True)
    assert [row[:2] for row in rows] == [("a.1", f"wavs/a.1{suffix}"), ("b", f"wavs/b{suffix}")]


def test_names_of_a_macintosh(tmp_path):
    put(tmp_path, "wavs/a\u0308.wav")  # decomposed, as its file system has them
    _, rows = read(tmp_path, f"\u00e4|{FIRST}\n", "metadata.csv", in_folder=True)
    assert (tmp_path / rows[0][1]).exists()


WRONG = {
    "UTF-16": (f"a|{FIRST}\n".encode("utf-16"), r"looks like UTF-16LE, not UTF-8; convert it: iconv -f UTF-16LE"),
    "UTF-16 without a mark": (f"a|{FIRST}\n".encode("utf-16-be"), "looks like UTF-16BE"),
    "UTF-32": (f"a|{FIRST}\n".encode("utf-32"), "looks like UTF-32LE"),
    "NUL": (f"a|{FIRST}\nb|\0{SECOND}\n".encode(), "line 2 has a NUL byte"),
    "Latin-1": ("a|Ein schöner Tag für alle.\n".encode("latin-1") * 9, r"line 1 and 8 more .* iconv -f WINDOWS-1252 "),
    "Cyrillic": ("a|Привет, мир\n".encode("cp1251") * 9, "look like WINDOWS-1251"),
    "Japanese": ("a|これはペンです、とてもよい。\n".encode("shift_jis") * 9, "look like SHIFT_JIS"),
    "Chinese": ("a|今天天气很好，我们走吧。\n".encode("gb18030") * 9, "look like (GB18030|EUC-KR)"),
    "one column": (b"a hello\nb world\n", "no | or tab separates the fields"),
    "JSON list": (b'[{"path": "a.wav", "text": "b"}]', "write an object to each line"),
    "unknown names": (b'{"recording": "a.wav", "words": "b"}\n', r"\(recording, words\).*--columns .*path=NAME"),
    "only a header": (b"file_name,text\n", "has no rows"),
    "nothing": (b"\n \n", "has no rows"),
    "quote": (b'file_name,text\na.wav,"' + b"x\nb.wav,yes\n" * 9, "cannot be read as csv"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_list_that_cannot_be_read_is_one_line(tmp_path, kind):
    content, message = WRONG[kind]
    with pytest.raises(InputError, match=message.replace("| or", r"\| or")) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value) and "list.txt" in str(error.value)


def test_a_few_lines_in_another_encoding_are_bad_rows(tmp_path):
    put(tmp_path, "a.wav")
    source, rows = read(tmp_path, f"a.wav|{FIRST}\nb.wav|Ein schöner Tag".encode("latin-1"))
    assert len(rows) == 1
    assert source.bad == [(2, "b.wav", "is not UTF-8 text, it looks like WINDOWS-1252 (Latin-1)", "")]


def test_a_quoted_field_may_go_on_in_the_next_line(tmp_path):
    source, rows = read(tmp_path, 'file_name,text\na.wav,"Hello,\nworld."\nb.wav,"Yes, it is."\n')
    assert [row[2] for row in rows] == ["Hello, world.", "Yes, it is."] and [row.line for row in source.rows] == [2, 4]


def test_columns_are_overridden(tmp_path):
    put(tmp_path, "a.wav", "b.wav")
    text = f"a.wav|anna|{FIRST}|x\nb.wav|bob|{SECOND}|y\n"
    assert read(tmp_path, text, columns="path,-,text,speaker")[1][0] == ("a", "a.wav", FIRST, "x")
    named = f"clip\tsaid\twho\na.wav\t{FIRST}\tanna\n"
    assert read(tmp_path, named, columns="path=clip,text=said,speaker=who")[1] == [("a", "a.wav", FIRST, "anna")]
    lines = json.dumps({"clip": "a.wav", "said": FIRST, "who": 7})
    assert read(tmp_path, lines, columns="path=clip,text=said,speaker=who")[1] == [("a", "a.wav", FIRST, "7")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("path,text", "--columns names 2 columns .* has 3"),
        ("path,text,voice", "'voice' is no column; choose among id, path"),
        ("path,text,text", "column text is given 2 times"),
        ("path,-,speaker", r"no column text in path\|-\|speaker"),
        ("-,text,speaker", "no column id or path"),
        ("path=clip,text=x", "has no column 'clip', it has a.wav"),
    ],
)
def test_columns_that_contradict_the_list(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, f"a.wav|{FIRST}|anna\nb.wav|{SECOND}|bob\n", columns=columns)


def test_rows_of_another_width_or_without_speaker_are_bad(tmp_path):
    put(tmp_path, "wavs/a.wav")
    rows = [f"x{i}.wav|speaker-{i % 3}|{FIRST}" for i in range(20)]
    source, found = read(tmp_path, "\n".join([*rows, "y.wav|too few", f"z.wav||{SECOND}", f"|anna|{SECOND}"]))
    assert len(found) == 20
    assert [(row.line, row.reason.split(",")[0]) for row in source.bad] == [
        (21, "has 2 fields"),
        (22, "has no speaker"),
        (23, "the field of its recording is empty"),
    ]


WORDS = ["six", "seven", "six", "eight", "seven", "nine"]


@pytest.mark.parametrize(
    ("rows", "roles"),
    [
        ([[f"c{i}", word.capitalize(), word] for i, word in enumerate(WORDS)], "id|text|normalised"),
        ([[f"c{i}", word] for i, word in enumerate(WORDS)], "id|text"),
        ([[f"c{i}", str(len(word)), f"it is {len(word)}"] for i, word in enumerate(WORDS)], "id|text|normalised"),
        ([[f"c{i}", str(i % 2), word] for i, word in enumerate(WORDS)], "id|speaker|text"),
        ([["c", "Hello there.", "Hello there."]], "id|text|normalised"),
        ([["c", "你好世界", "小明"], ["d", "今天天气很好", "小明"]], "id|text|speaker"),
        ([["a.wav", "pitch/a.pt", FIRST], ["b.wav", "pitch/b.pt", SECOND]], "path|-|text"),
    ],
)
def test_speakers_are_told_from_texts(rows, roles):
    assert "|".join(recognise(rows, lambda name: False)) == roles


def test_a_recording_that_is_not_there(tmp_path):
    recordings = Recordings(tmp_path, by_id=True)
    recordings.settle(["a", "b"])
    assert recordings.find("a") is None and recordings.expected("a") == "wavs/a.wav"
    assert recordings.find("") is None


def test_a_format_that_cannot_be_read_is_found_but_comes_last(tmp_path):
    put(tmp_path, "wavs/a.m4a", "wavs/a.wav", "wavs/b.m4a")
    _, rows = read(tmp_path, f"a|{FIRST}\nb|{SECOND}\n", "metadata.csv", in_folder=True)
    assert [row[1] for row in rows] == ["wavs/a.wav", "wavs/b.m4a"]
    _, rows = read(tmp_path, f"wavs/b.m4a|{FIRST}\n")
    assert rows[0][:2] == ("wavs/b", "wavs/b.m4a")
