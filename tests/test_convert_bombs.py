"""Small files that ask for a lot: each ends within seconds, below the memory that docs/checkpoints.md states."""

import io
import pickle
import struct
import time
import tracemalloc
import zipfile
from itertools import count

import numpy as np
import pytest

from src.convert.conversion import convert
from src.convert.originals import OUR_CONFIG
from src.convert.source import read_source
from src.convert.torch_writer import write_torch
from src.convert.unpickler import LONGEST, MOST_CLASSES, MOST_OPCODES
from src.errors import InputError

SECONDS, MEMORY = 20, 512 << 20  # tracemalloc slows what is measured down several times
OF_NAME = b"X\x01\x00\x00\x00a"


def as_zip(pickled, records=(), compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in (("data.pkl", pickled), *records):
            archive.writestr(f"x/{name}", content)
    return buffer.getvalue()


def tensor(storage_size, shape):
    """Opcodes of a tensor in the record `0`."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + number(
        storage_size
    )
    size = b"(" + b"".join(map(number, shape)) + b"t"
    strides = b"(" + b"K\x01" * len(shape) + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQK\x00" + size + strides + b"\x89NtR"


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def nested_modules():
    """Modules of which each holds the next one twice: 2^40 of them by a count of names."""
    opcodes = b"}"
    for _ in range(40):
        opcodes = (
            b"cnn\nModule\n)\x81}"
            + text(b"_modules")
            + b"}"
            + text(b"x")
            + opcodes
            + b"q\x01s"
            + text(b"y")
            + b"h\x01ssb"
        )
    return b"\x80\x02}" + text(b"model") + opcodes + b"s."


LONG_TEXT = text(b"x" * 1_000_000) + b"q\x01"
MANY_KEYS = b"".join(b"\x8a\x0a" + (key * (2**61 - 1)).to_bytes(10, "little") + b"N" for key in range(1 << 10, 1 << 16))
BOMBS = {
    "compressed record": (as_zip(bytes(50 << 20) + b".", (), zipfile.ZIP_DEFLATED), "is compressed"),
    "compressed weights": (
        as_zip(b"\x80\x02}" + OF_NAME + tensor(2, [2]) + b"s.", [("data/0", bytes(50 << 20))], zipfile.ZIP_DEFLATED),
        "is compressed",
    ),
    "storage larger than its record": (
        as_zip(b"\x80\x02}" + OF_NAME + tensor(1 << 40, [1 << 40]) + b"s.", [("data/0", bytes(8))]),
        "a storage of 1099511627776 numbers in a record of 8 bytes",
    ),
    "tensor larger than its storage": (
        as_zip(b"\x80\x02}" + OF_NAME + tensor(2, [1 << 20, 1 << 20]) + b"s.", [("data/0", bytes(8))]),
        "with data for 2 numbers",
    ),
    "one storage in many tensors": (
        as_zip(
            b"\x80\x02}"
            + text(b"t")
            + tensor(1 << 18, [1 << 18])
            + b"q\x01s"
            + b"".join(text(b"%d" % i) + b"h\x01s" for i in range(2000))
            + b".",
            [("data/0", bytes(1 << 20))],
        ),
        "its tensors ask for",
    ),
    "opcodes": (as_zip(b"\x80\x02" + b"N0" * MOST_OPCODES + b"N."), "more than 1,000,000 opcodes"),
    "empty sets": (as_zip(b"\x80\x04(" + b"\x8f" * (2 * MOST_OPCODES) + b"l."), "more than 1,000,000 opcodes"),
    "long pickle": (as_zip(b"\x80\x02" + text(bytes(LONGEST)) + b"."), "longer than 16 MB"),
    "text that claims to be long": (as_zip(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x."), "cut off, damaged"),
    "number that claims to be long": (as_zip(b"\x80\x02\x8b\xff\xff\xff\x7fx."), "cut off, damaged"),
    "memory of a distant place": (as_zip(b"\x80\x02}r\xff\xff\xff\xff."), "no tensors by name"),
    "classes": (
        as_zip(b"\x80\x02" + b"".join(b"cm\n%d\n" % i for i in range(MOST_CLASSES + 1)) + b"."),
        "names more than 10,000 classes",
    ),
    "copies of a text": (
        as_zip(
            b"\x80\x02"
            + LONG_TEXT
            + b"c_codecs\nencode\nq\x02"
            + (b"h\x02h\x01X\x06\x00\x00\x00latin1\x86R" * 1000)
            + b"."
        ),
        "copies the same data",
    ),
    "copies of a list": (
        as_zip(b"\x80\x02](" + b"N" * 100_000 + b"eq\x01ctorch\nSize\nq\x02" + b"h\x02h\x01\x85R" * 1000 + b"."),
        "copies the same data",
    ),
    "nested tuples as a key": (
        as_zip(b"\x80\x02}N" + b"\x85q\x01h\x01\x86" * 60 + b"Ns."),
        "neither texts nor numbers",
    ),
    "keys of one hash": (as_zip(b"\x80\x02}(" + MANY_KEYS + b"u."), "neither texts nor numbers"),
    "modules within modules": (as_zip(nested_modules()), "contain each other, or there are too many"),
    "long names": (
        as_zip(b"\x80\x02}" + LONG_TEXT + tensor(2, [1]) + b"s.", [("data/0", bytes(8))]),
        "under a name that is too long",
    ),
    "long class names": (as_zip(b"\x80\x04" + LONG_TEXT + b"h\x01h\x01\x930" * 2000 + b"}."), "no tensors by name"),
    "records": (b"", "more than the 100,000"),
}


def end_of_archive(n_records):
    """An archive that claims `n_records` in its 64-bit end."""
    content = as_zip(b"\x80\x02}.")
    end = content[-22:]
    end_64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, n_records, n_records, 0, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 22, 1)
    return content[:-22] + end_64 + locator + end


BOMBS["records"] = (end_of_archive(1 << 40), BOMBS["records"][1])


def refuse(path, complaint):
    """Read the file, which must fail with this complaint, and return how many seconds and bytes that took."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(InputError, match=complaint):
            read_source(path)
        return time.process_time() - begin, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_an_archive_ends_soon_and_small(name, tmp_path):
    content, complaint = BOMBS[name]
    (tmp_path / "x.pt").write_bytes(content)
    seconds, memory = refuse(tmp_path / "x.pt", complaint)
    assert seconds < SECONDS and memory < MEMORY


@pytest.mark.parametrize("name", ["opcodes", "copies of a list", "keys of one hash", "classes"])
def test_a_bomb_in_the_older_format_does_too(name, tmp_path):
    with zipfile.ZipFile(io.BytesIO(BOMBS[name][0])) as archive:
        pickled = archive.read("x/data.pkl")
    before = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    (tmp_path / "x.pt").write_bytes(before + pickled + pickle.dumps([], 2))
    seconds, memory = refuse(tmp_path / "x.pt", BOMBS[name][1])
    assert seconds < SECONDS and memory < MEMORY


def test_a_header_of_safetensors_is_bounded(tmp_path):
    for header, complaint in ((b"[" * 1_000_000, "cut off, damaged"), (b'{"a":' + b"[" * 100_000, "cut off, damaged")):
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header) + 1) + b"{" + header)
        seconds, memory = refuse(tmp_path / "x.safetensors", complaint)
        assert seconds < SECONDS and memory < MEMORY
    (tmp_path / "y.safetensors").write_bytes(struct.pack("<Q", 1 << 30) + b"{" + bytes(100))
    refuse(tmp_path / "y.safetensors", "no PyTorch file")  # a header of 1 GB is not taken for one


def test_a_configuration_that_repeats_itself_is_refused(tmp_path):
    aliases = "a: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    tensors = {"decoder.attention_layer.query_layer.linear_layer.weight": np.ones((2, 2), np.float32)}
    for text_, complaint in ((aliases, "by aliases"), ("a: b\n" * 100_000, "longer than any configuration")):
        write_torch(tmp_path / "x.pt", {OUR_CONFIG: text_, "state_dict": tensors | tacotron2_sizes_only()})
        begin = time.process_time()
        with pytest.raises(InputError, match=complaint):
            convert(tmp_path / "x.pt", tmp_path / "x.ckpt")
        assert time.process_time() - begin < SECONDS


def tacotron2_sizes_only(encoder_dim=2):
    """The tensors that tell the sizes of a Tacotron 2, and no others."""
    shapes = {
        "embedding.weight": (148, encoder_dim),
        "decoder.prenet.layers.0.linear_layer.weight": (2, 2),
        "decoder.attention_rnn.weight_hh": (8, 2),
        "decoder.decoder_rnn.weight_hh": (8, 2),
        "encoder.convolutions.0.0.conv.weight": (2, 2, 5),
        "decoder.attention_layer.location_layer.location_conv.conv.weight": (2, 2, 3),
        "postnet.convolutions.0.0.conv.weight": (2, 2, 5),
        "decoder.attention_layer.query_layer.linear_layer.weight": (2, 2),
    }
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def test_a_network_is_not_built_before_its_tensors_fit(tmp_path, monkeypatch):
    """An embedding of 0.6 GB at most claims encoder convolutions of 5 TB."""
    write_torch(tmp_path / "x.pt", tacotron2_sizes_only(encoder_dim=10_000))
    monkeypatch.setattr("src.convert.conversion.create_model", lambda **_: pytest.fail("the network was built"))
    with pytest.raises(InputError, match=r"do not make one network: .* is missing"):
        convert(tmp_path / "x.pt", tmp_path / "x.ckpt")


def test_waveglow_claims_no_more_layers_than_it_has_tensors(tmp_path):
    numbers = count()
    tensors = {f"convinv.{next(numbers)}.conv.weight": np.ones((2, 2, 1), np.float32) for _ in range(3000)}
    tensors |= {f"WN.0.in_layers.{i}.weight_v": np.ones((2, 2, 1), np.float32) for i in range(3000)}
    tensors |= {
        "upsample.weight": np.ones((1, 1, 256), np.float32),
        "WN.0.start.weight_v": np.ones((2, 1, 1), np.float32),
    }
    tensors["WN.0.cond_layer.bias"] = np.ones(2, np.float32)
    write_torch(tmp_path / "x.pt", tensors)
    with pytest.raises(InputError, match="too few tensors for 3000 flows of 3000 layers"):
        convert(tmp_path / "x.pt", tmp_path / "x.ckpt")
