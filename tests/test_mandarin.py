"""Mandarin: readings against dictionaries, sandhi, figures, forced readings, users' dictionaries, and any Unicode."""

import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from src.config import load_config
from src.errors import InputError
from src.text import SYMBOLS, encode_texts, split_sentences, spoken_text, symbol_table, text_to_sequence, unknown_words
from src.text.mandarin import packages, to_pinyin
from src.text.mandarin.syllables import _syllables, is_syllable, spell, symbols_of
from src.text.mandarin.symbols import FINALS, INITIALS
from src.text.sentences import cut_sentence

ROOT = Path(__file__).parents[1]
# Words as 现代汉语词典 reads them, phrases as textbooks of Standard Mandarin do; none is from our own output.
TABLE = [line.split("\t") for line in (ROOT / "tests/data/mandarin_readings.tsv").read_text("utf-8").splitlines()]


def config(table="mandarin", **text):
    """The settings of a Mandarin network, with keys of `text`."""
    overrides = {"text.cleaner": "mandarin", "text.symbols": table, "model.n_symbols": len(symbol_table(table))}
    return load_config(overrides=overrides | {f"text.{key}": value for key, value in text.items()})


def symbols(text, table="mandarin", **keys):
    """The symbols that a network reads."""
    ids, _ = encode_texts([text], config(table, **keys))
    return " ".join(symbol_table(table)[each].replace(" ", "␣") for each in ids[0])


def test_the_table_is_long_enough():
    assert len(TABLE) >= 250 and len({word for word, _ in TABLE}) == len(TABLE)
    assert all(map(is_syllable, " ".join(readings for _, readings in TABLE).split()))


@pytest.mark.parametrize(("written", "readings"), TABLE, ids=lambda each: each)
def test_readings_of_dictionaries(written, readings):
    assert " ".join(to_pinyin(written)) == readings


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2024年3月5日", "二零二四年三月五日"),
        ("3.14", "三点一四"),
        ("¥27.50", "二十七点五零元"),
        ("13800138000", "幺三八零零幺三八零零零"),
        ("50%", "百分之五十"),
        ("GPU", "G P U"),
        ("A股", "A股"),
        ("T恤和x轴", "T恤和X轴"),
        ("-5℃", "负五摄氏度"),
        ("10km/h", "每小时十公里"),
        ("500m²", "五百平方米"),
        ("1/3", "三分之一"),
        ("½", "二分之一"),
        ("第Ⅳ章", "第四章"),
        ("1,234,567", "一百二十三万四千五百六十七"),
        ("2个人", "两个人"),
        ("12:30", "十二点三十分"),
        ("3~5个", "三到五个"),
        ("010-12345678", "零幺零幺二三四五六七八"),
        ("+86 13800138000", "加八六幺三八零零幺三八零零零"),
        ("ＡＢＣ１２３", "A B C一百二十三"),
        ("3#楼", "三号楼"),
        ("我爱 Python 3.10 。", "我爱python三点一零."),
        ("他说：“I have 3 apples and 2 dogs.”对吗？", "他说:i have three apples and two dogs.对吗?"),
        ("《红楼梦》——曹雪芹……", "红楼梦-曹雪芹..."),
        ("人人々", "人人人"),
        ("臺灣的頭髮", "台湾的头发"),
        ("乾隆", "乾隆"),
        ("二〇二四年", "二〇二四年"),
        ("你好{hang2}3个", "你好{hang2}三个"),
    ],
)
def test_figures_and_signs_in_words(written, spoken):
    assert spoken_text(written, config()) == spoken


def test_dates_and_money_as_syllables():
    assert " ".join(to_pinyin("2024年3月5日")) == "er4 ling2 er4 si4 nian2 san1 yue4 wu3 ri4"
    assert " ".join(to_pinyin("5月1日")) == "wu3 yue4 yi1 ri4"
    assert " ".join(to_pinyin("50%")) == "bai3 fen1 zhi1 wu3 shi2"
    assert " ".join(to_pinyin("13800138000")).startswith("yao1 san1 ba1 ling2 ling2 yao1")
    assert to_pinyin("A股") == ["A", "gu3"] and to_pinyin("GPU很快") == ["G", "P", "U", "hen3", "kuai4"]


def test_forced_readings_change_what_stands_beside_them_but_not_themselves():
    assert to_pinyin("银{hang2}") == ["yin2", "hang2"]
    assert to_pinyin("不{shi4}") == ["bu2", "shi4"]
    assert to_pinyin("一{ge4}") == ["yi2", "ge4"]
    assert to_pinyin("你{hao3}") == ["ni2", "hao3"]
    assert to_pinyin("{ni3}好") == ["ni3", "hao3"]
    assert to_pinyin("{lü4}色") == ["lv4", "se4"]
    assert symbols("{HH AH0 L OW1}你好") == "@HH @AH0 @L @OW1 n i2 h ao3"
    with pytest.raises(InputError, match=r"^line 2: 'hang9' in \{hang9\} is neither a syllable of pinyin"):
        text_to_sequence("银{hang9}", "mandarin", where="line 2")
    with pytest.raises(InputError, match="is not closed"):
        spoken_text("银{hang2", config())


def test_third_tones_by_feet():
    assert " ".join(to_pinyin("老李买好酒")) == "lao2 li3 mai2 hao2 jiu3"
    assert " ".join(to_pinyin("我也想买")) == "wo2 ye3 xiang2 mai3"
    assert " ".join(to_pinyin("你好，我好")) == "ni2 hao3 wo2 hao3"
    assert to_pinyin("很#1好") == ["hen2", "hao3"] and to_pinyin("很#3好") == ["hen3", "hao3"]


def test_symbols_are_initials_and_finals_with_tone():
    assert symbols("你好，GPU！") == "n i2 h ao3 , @JH @IY1 ␣ @P @IY1 ␣ @Y @UW1 !"
    assert symbols("花儿开了。") == "h ua1 rr k ai1 l e5 ."
    assert symbols("我#1玩#4。") == "uo3 uan2 ."
    assert symbols("我#1玩#4。", "mandarin_prosody") == "uo3 #1 uan2 #4 ."
    assert symbols_of("zhi1") == ["zh", "iii1"] and symbols_of("ci4") == ["c", "ii4"]
    assert symbols_of("xue2") == ["x", "ve2"] and symbols_of("liu4") == ["l", "iou4"]
    assert symbols_of("yuan2") == ["van2"] and symbols_of("weng1") == ["ueng1"] and symbols_of("er2") == ["er2"]
    assert symbols_of("dianr3") == ["d", "ian3", "rr"]
    assert spell("Lü:4".replace(":", "")) == "lv4" and spell("ma0") == "ma5" and spell("ma") == "ma5"
    for wrong in ("hao6", "xa1", "b1", "", "hang9", "bang22"):
        with pytest.raises(InputError, match="no syllable of pinyin"):
            spell(wrong)
        assert not is_syllable(wrong)


def test_every_syllable_has_symbols_of_the_table():
    table = set(symbol_table("mandarin"))
    assert 400 <= len(_syllables()) <= 440
    assert {symbol for syllable in _syllables() for tone in "12345" for symbol in symbols_of(syllable + tone)} <= table
    used = {symbol for base in _syllables() for symbol in symbols_of(f"{base}1")}
    assert used >= {*INITIALS, *(f"{final}1" for final in FINALS if final not in ("uai", "io"))} - {"rr"}
    for name in ("mandarin", "mandarin_prosody"):
        assert len(set(symbol_table(name))) == len(symbol_table(name))
    assert set(SYMBOLS) - table == set("ABCDEFGHIJKLMNOPQRSTUVWXYZaeiouvwy")


def test_a_users_dictionary(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("# Names\n行长 hang2 zhang3\n单田芳 shan4 tian2 fang1\n\n有点儿 you2 dianr3\n", encoding="utf-8")
    ours = config(readings=str(path))
    assert ours.text.readings == ["行长 hang2 zhang3", "单田芳 shan4 tian2 fang1", "有点儿 you2 dianr3"]
    assert symbols("听单田芳说书", readings=str(path)).startswith("t ing1 sh an4 t ian2 f ang1")
    assert load_config(overrides={"text.cleaner": "mandarin", "text.readings": ours.text.readings}) is not None
    for content, complaint in (
        ("好 hao3 hao3", "own.txt: line 1: '好' has 1 characters, but 2 readings"),
        ("\n好 hao9", "own.txt: line 2: 'hao9' is no syllable"),
        ("good hao3", "own.txt: line 1: 'good' is no Chinese word"),
        ("好 hao3\n好 hao4", "own.txt: line 2: '好' is given twice"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            config(readings=str(path))
        assert complaint in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="own2"):
        config(readings=str(tmp_path / "own2.txt"))
    with pytest.raises(InputError, match=r"text\.readings: the cleaner english takes none"):
        load_config(overrides={"text.cleaner": "english", "text.readings": ["好 hao3"]})
    with pytest.raises(InputError, match=r"text\.readings: line 1: '好'"):
        config(readings=["好"])


def test_traditional_characters_are_converted_or_refused():
    assert to_pinyin("臺灣銀行") == to_pinyin("台湾银行") == ["tai2", "wan1", "yin2", "hang2"]
    assert to_pinyin("乾燥的頭髮") == ["gan1", "zao4", "de5", "tou2", "fa5"]
    assert symbols("乾隆", traditional="refuse") == "q ian2 l ong2"
    with pytest.raises(InputError, match=r"^line 3: '臺灣銀' is traditional; text\.traditional convert reads it"):
        text_to_sequence("臺灣銀行", _cleaner(traditional="refuse"), where="line 3")


def _cleaner(**text):
    from src.text.registry import cleaner_of  # noqa: PLC0415

    return cleaner_of(config(**text).text)


def test_sentences():
    text = "你好。他说：“走吧！”我走了；真的吗？3.14是……圆周率\n{yin2 hang2}。A.B."
    assert split_sentences(text, config()) == [
        "你好。",
        "他说：“走吧！”",
        "我走了；",
        "真的吗？",
        "3.14是……",
        "圆周率",
        "{yin2 hang2}。",
        "A.B.",
    ]
    assert split_sentences("……你好。", config()) == ["……你好。"]
    assert split_sentences("我们要#1去#4。好#4！", config()) == ["我们要#1去#4。", "好#4！"]
    assert cut_sentence("今天天气很好，我们去公园玩，然后回家", 10) == ["今天天气很好，", "我们去公园玩，", "然后回家"]


def test_unknown_words_are_named():
    assert unknown_words("你好 Tadhg，GPU", config()) == ["tadhg"]
    with pytest.warns(UserWarning, match=r"dropped: '☃' \(U\+2603\)$"):
        assert symbols("你☃好") == "n i3 h ao3"  # a sign between them is a pause
    with pytest.raises(InputError, match=r"'i3' in \{n i3\} is none of .* symbols .* made for text\.symbols mandarin"):
        text_to_sequence("你", "mandarin", where="")


def test_any_unicode_is_read_or_reported():
    draw, table = random.Random(7), config()
    pools = [
        "你好一不儿子得地行长了",
        "0123456789.,:/-%¥$",
        "{}#1234 \n\t",
        "abcXYZ'",
        "，。！？；：…“”《》（）",
        "😀☃éжαあ한",
    ]
    for _ in range(300):
        letters = [chr(draw.randrange(32, 0x11000)) if draw.random() < 0.1 else draw.choice(draw.choice(pools))]
        letters += [draw.choice(draw.choice(pools)) for _ in range(draw.randrange(12))]
        text = "".join(letters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ids = text_to_sequence(text, "mandarin", _alphabet(table))
            except InputError:
                continue
        assert all(0 < each < table.model.n_symbols for each in ids), text
        assert all(is_syllable(each) or each.isascii() for each in to_pinyin(text)), text


def _alphabet(table):
    from src.text import alphabet_of  # noqa: PLC0415

    return alphabet_of(table.text)


def test_every_plane_and_every_long_text():
    for code in range(0, 0x32000, 97):
        if not 0xD800 <= code < 0xE000 and chr(code) not in "{}":
            to_pinyin(f"好{chr(code)}5")
    assert len(to_pinyin("好" * 5000)) == 5000
    assert to_pinyin("") == [] and to_pinyin("。") == []
    assert len(to_pinyin("9" * 400)) >= 400


def test_packages_are_imported_late_and_named_if_missing(monkeypatch):
    code = "import sys, src.text; print([m for m in ('jieba', 'pypinyin', 'wetext', 'opencc', 'mindspore') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(InputError) as caught:
        packages.needed("opencc")
    assert str(caught.value) == (
        "Mandarin needs the package opencc-python-reimplemented: pip install -r requirements-mandarin.txt"
    )
