"""The dry run's results as Markdown: graphs, primitives, and calculated times on an Ascend 910B."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ascend.documented_types import DOCUMENTED
from ascend.reading import NO_TENSOR
from src.config import load_config
from src.config.schema import Config
from src.errors import InputError
from src.files import write_atomically

BEGIN, END = "<!-- scripts/ascend_dry_run.py writes from here -->", "<!-- as far as here -->"
SLICE = "Tacotron 2, training step"
KINDS = ("aclnn", "aclop", "fused", "HCCL", "copy", "AICPU")
CONFIGS = Path(__file__).resolve().parents[2] / "config"
SCAN_STEPS, FREE_STEPS = 10, 5  # in an iteration of the loops on Ascend (src.runtime.device.BLOCKS)
LAUNCH_US = 5, 10  # what one launch takes, an assumption
# Assumed: what products of these types reach on an Ascend 910B, a third of the peak, and what its memory gives.
TFLOPS = {"float32": 25.0, "float16": 100.0}
GBYTES_PER_S = 1200.0
Record = dict[str, Any]


class Work(NamedTuple):
    """One call of a graph at full width."""

    graph: str
    described: str
    iterations: dict[str, float]  # loop -> how often it runs; the word before its number
    flops: float
    weight_bytes: float  # read again and again, where products are too small to be bound by arithmetic
    precision: str
    deeper: int = 1  # times as many layers as the graph has; so many times its launches are more than there are


def write_page(page: Path, records: list[Record]) -> None:
    """Write the tables between the marks of a page.

    Raises:
        InputError: the page cannot be read, or has not both marks.
    """
    before, after = around_marks(page)
    write_atomically(page, f"{before}{BEGIN}\n\n{tables(records)}\n\n{END}{after}".encode())


def around_marks(page: Path) -> tuple[str, str]:
    """The text of a page before its first mark and after its second one.

    Raises:
        InputError: the page cannot be read, or has not both marks.
    """
    try:
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
    except (OSError, ValueError) as error:
        raise InputError(f"{page}: cannot be read, or does not hold the marks '{BEGIN}' and '{END}'") from error
    return before, after


def tables(records: list[Record]) -> str:
    """Return the three tables."""
    return "\n\n".join(
        ("### Graphs", graphs(records), "### Primitives", primitives(records), "### Time", times(records))
    )


def graphs(records: list[Record]) -> str:
    """A row for each compilation."""
    head = f"| graph | ranks | jit level | launches | {' | '.join(KINDS)} | a decoder step | an iteration of |"
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for record in records:
        counts = [sum(record["counts"].get(kind, {}).values()) for kind in KINDS]
        loops = ", ".join(f"{loop}: {n}" for loop, n in record["launches_by_loop"].items())
        found = record["launches"] if record["ok"] else f"**{record['error']}**"
        numbers = " | ".join(str(count or "") for count in counts)
        step = record["launches_per_decoder_step"]
        told = f"{record['graph']} | {record['ranks']} | {record['jit_level']} | {found}"
        lines.append(f"| {told} | {numbers} | {'' if step is None else f'{step:.4g}'} | {loops} |")
    return "\n".join(lines)


def primitives(records: list[Record]) -> str:
    """A row for each primitive: its kernels at each jit level, its types, and whether it writes in place."""
    levels = sorted({record["jit_level"] for record in records})
    names = sorted({name for record in records for name in record["kernels"]}, key=str.lower)
    in_place = {name for record in records for name in record["in_place"]}
    lines = [
        f"| primitive | {' | '.join(f'kernel at {level}' for level in levels)} | types | documented by | in place |",
        "|---" * (len(levels) + 4) + "|",
    ]
    for name in names:
        cells = []
        for level in levels:
            kinds = {kind for record in records if record["jit_level"] == level for kind in _kinds(record, name)}
            cells.append(", ".join(sorted(kinds)))
        types = {kind for record in records for each in record["types"].get(name, ()) for kind in each.split()}
        cells.append(", ".join(sorted(types - {"->", NO_TENSOR})))
        cells.append(_source(name))
        lines.append(f"| `{name}` | {' | '.join(cells)} | {'yes' if name in in_place else ''} |")
    return "\n".join(lines)


def _source(name: str) -> str:
    """CANN's name for a primitive, as a link to the page that says which types it takes."""
    if name not in DOCUMENTED or not DOCUMENTED[name].page:
        return "–"
    documented = DOCUMENTED[name]
    linked = documented.page.startswith("https://")
    return f"[{documented.operator}]({documented.page})" if linked else f"`{documented.page}`"


def _kinds(record: Record, name: str) -> Iterable[str]:
    return record["kernels"].get(name, "").split(", ") if name in record["kernels"] else ()


def times(records: list[Record]) -> str:
    """Launches and products of calls of full width, and which bind. Calculated."""
    fewest, most = LAUNCH_US
    lines = [
        f"| call | jit level | launches | at {fewest} to {most} µs | products | at the assumed speed | what binds |",
        "|---" * 7 + "|",
    ]
    for record in records:
        for work in works():
            if work.graph == record["graph"] and record["ranks"] == 1 and record["ok"]:
                n = launched(record, work.iterations) * work.deeper
                starts = n * fewest / 1e3, n * most / 1e3
                by_arithmetic = work.flops / TFLOPS[work.precision] / 1e9
                products = max(by_arithmetic, work.weight_bytes / GBYTES_PER_S / 1e6)
                binds = "launches" if starts[0] > products else "products" if starts[1] < products else "either"
                lines.append(
                    f"| {work.described} | {record['jit_level']} | {n:,.0f} "
                    f"| {starts[0]:,.0f} to {starts[1]:,.0f} ms "
                    f"| {work.flops / 1e12:.3g} TFLOP, {work.precision} | {products:,.0f} ms | {binds} |"
                )
    return "\n".join(lines)


def launched(record: Record, iterations: dict[str, float]) -> float:
    """Launches of a call whose loops run that often. A loop is named by the word before its number, `decoder` is the
    decoder's LSTM."""
    loops = record["launches_by_loop"]
    outside = record["launches"] - sum(loops.values())
    return outside + sum(n * _times(loop, loops, iterations) for loop, n in loops.items())


def _times(loop: str, loops: dict[str, int], iterations: dict[str, float]) -> float:
    return iterations["decoder" if loop in decoder_lstm(loops) else loop.split(maxsplit=1)[0]]


def decoder_lstm(loops: dict[str, int]) -> list[str]:
    """The loops of the decoder's LSTM in a teacher-forced graph, forward and, in training, backward.

    The other LSTMs are the two directions of the encoder. The decoder's has the most launches of the three, or as many.
    """
    lstms = sorted((loop for loop in loops if loop.startswith("LSTMScan")), key=lambda loop: (loops[loop], loop))
    if not any(loop.startswith("AttentionScan") for loop in loops):
        return []
    return [lstms[-1]] if len(lstms) == 3 else [lstms[2], lstms[-1]]


def per_decoder_step(loops: dict[str, int]) -> float | None:
    """Launches that a decoder step takes, both directions of training together; None where there is no decoder."""
    if "free_run 1" in loops:
        return loops["free_run 1"] / FREE_STEPS
    scans = [loop for loop in loops if loop.startswith("AttentionScan")] + decoder_lstm(loops)
    return sum(loops[loop] for loop in scans) / SCAN_STEPS if scans else None


def works() -> list[Work]:
    """The calls of the table, of the configurations for LJSpeech."""
    tacotron2, waveglow = (load_config(CONFIGS / f"{name}_ljspeech.yaml") for name in ("tacotron2", "waveglow"))
    n_batch, frames, symbols = 64, 600, 100
    blocks = frames / SCAN_STEPS
    scans = {"AttentionScan": blocks, "decoder": blocks, "LSTMScan": symbols / SCAN_STEPS}
    step = 3 * 2 * n_batch * (frames * per_frame(tacotron2, symbols) + symbols * per_symbol(tacotron2))
    said = f"training step, {n_batch} clips of {frames} frames and {symbols} symbols"
    spoken = 500
    speech = 2 * (spoken * per_frame(tacotron2, symbols) + symbols * per_symbol(tacotron2))
    speaking = {"free_run": spoken / FREE_STEPS, "FreeRunning": 2, "LSTMScan": symbols / SCAN_STEPS}
    positions = waveglow.train.batch_size * waveglow.train.segment_length / waveglow.model.n_group
    segments = f"training step, {waveglow.train.batch_size} segments of {waveglow.train.segment_length} samples"
    couplings = waveglow.model.n_flows * waveglow.model.wn_layers // 4  # the graph has 2 flows of 2 layers
    return [
        Work(SLICE, f"Tacotron 2, {said}", scans, step, 0, "float32"),
        Work(f"{SLICE}, `train.amp` O2", "the same with `train.amp` O2", scans, step, 0, "float16"),
        Work("Tacotron 2, free running", f"one text of {symbols} symbols, {spoken} frames", speaking, speech,
             spoken * recurrent_bytes(tacotron2), "float32"),
        Work("WaveGlow of few layers, training step", f"WaveGlow, {segments}; launches at most", {},
             3 * 2 * positions * per_position(waveglow), 0, "float32", couplings),
    ]  # fmt: skip


def per_frame(config: Config, symbols: int) -> float:
    """Products that a frame takes, forward, for a text of so many symbols."""
    model, n_mels = config.model, config.audio.n_mels
    prenet = n_mels * model.prenet_dim + model.prenet_dim**2
    attention = 4 * model.attention_rnn_dim * (model.prenet_dim + model.encoder_dim + model.attention_rnn_dim)
    energies = symbols * (model.attention_dim * (2 * model.location_kernel_size + 1) + model.encoder_dim)
    decoder = 4 * model.decoder_rnn_dim * (model.attention_rnn_dim + model.encoder_dim + model.decoder_rnn_dim)
    projection = (model.decoder_rnn_dim + model.encoder_dim) * (n_mels + 1)
    query = model.attention_rnn_dim * model.attention_dim
    return prenet + attention + query + energies + decoder + projection + _postnet(config)


def per_symbol(config: Config) -> float:
    """Products that a symbol takes, forward."""
    model = config.model
    width = model.encoder_dim
    lstms = 2 * 4 * (width // 2) * (width + width // 2)
    return model.encoder_layers * model.encoder_kernel_size * width**2 + lstms + width * model.attention_dim


def recurrent_bytes(config: Config) -> float:
    """Bytes of float32 weights that a decoder step of one text reads."""
    return 4 * (per_frame(config, 0) - _postnet(config))


def _postnet(config: Config) -> float:
    model, n_mels = config.model, config.audio.n_mels
    width, inner = model.postnet_dim, model.postnet_layers - 2
    return model.postnet_kernel_size * (2 * n_mels * width + inner * width**2)


def per_position(config: Config) -> float:
    """Products that a group of samples takes in WaveGlow, forward."""
    model = config.model
    width, layers = model.wn_channels, model.wn_layers
    condition = config.audio.n_mels * model.n_group * 2 * width * layers
    convolutions = layers * model.wn_kernel_size * width * 2 * width
    res_skip = (layers - 1) * width * 2 * width + width * width
    return model.n_flows * (condition + convolutions + res_skip)
