"""Checks of recordings: what is measured of each, what is worth a look, and the table of all that was found."""

import csv
import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.audio import are_opposite, find_speech
from src.config import Config
from src.errors import some_of

SILENCE_DB = 40.0  # below the loudest frame; measures the silence at the ends where data.trim_db does not say more
LONG_SILENCE = 1.0  # seconds at the ends that are worth a look
QUIET_DB = -45.0  # level of speech; recordings of a studio are at -25 or so
OFFSET = 0.01  # of full scale
FLAT_TOPS, FEWEST_FLAT = 3, 10  # equal samples in a row at the peak, and how many of them make a clipped recording
MUCH_SILENCE = 0.1  # share of all recordings, from which on trimming is suggested


class Facts(NamedTuple):
    """Measurements of a recording.

    Attributes:
        seconds: length of what is used, without the silence that is trimmed.
        silence: seconds of silence at both ends of the file.
        file_seconds: length of the file.
        rate, channels: of the file.
        peak: largest absolute sample.
        level: power of the speech in dB of full scale.
        offset: mean of the samples.
        clipped: samples that lie in a row at the peak.
        opposite: its channels cancel each other.
        digest: hash of the samples, equal for copies.
    """

    seconds: float
    silence: float
    file_seconds: float
    rate: int
    channels: int
    peak: float
    level: float
    offset: float
    clipped: int
    opposite: bool
    digest: str


class Finding(NamedTuple):
    """A peculiarity of a clip: its kind, and the number that shows it."""

    kind: str
    detail: str


def measure(samples: np.ndarray, rate: int, wav: np.ndarray, config: Config) -> tuple[Facts, np.ndarray]:
    """Measure a recording, and trim it as `data.trim_db` says.

    Args:
        samples: float32 [samples, channels] as in the file, `rate` a second.
        wav: the same as `src.audio.to_mono` returns it, float32 [samples].

    Returns:
        The measurements; the trimmed waveform, float32 [samples].
    """
    sample_rate, trim_db = config.audio.sample_rate, config.data.trim_db
    start, end = find_speech(wav, sample_rate, trim_db or SILENCE_DB)
    silence = (len(wav) - (end - start)) / sample_rate
    speech = wav[start:end]
    trimmed = speech if trim_db else wav
    power = float(np.square(speech - speech.mean()).mean())
    return Facts(
        seconds=round(len(trimmed) / sample_rate, 4),
        silence=round(silence, 4),
        file_seconds=round(len(wav) / sample_rate, 4),
        rate=rate,
        channels=samples.shape[1],
        peak=round(float(np.abs(samples).max()), 4),
        level=round(10 * float(np.log10(max(power, 1e-12))), 1),
        offset=round(float(wav.mean()), 4),
        clipped=_flat_tops(samples),
        opposite=are_opposite(samples),
        digest=hashlib.sha256(np.rint(samples * 32767).astype("<i2").tobytes()).hexdigest()[:16],
    ), trimmed


def _flat_tops(samples: np.ndarray) -> int:
    """Count the samples that lie in rows of at least `FLAT_TOPS` at the highest or lowest value of their channel."""
    count = 0
    for channel in samples.T:
        for peak in (channel.max(), channel.min()):
            if abs(peak) < 0.1:  # of a quiet recording, 16 bits alone make flat tops
                continue
            at_peak = np.concatenate([[0], (np.abs(channel - peak) < 1e-4).astype(np.int8), [0]])
            edges = np.flatnonzero(np.diff(at_peak))
            lengths = edges[1::2] - edges[::2]
            count += int(lengths[lengths >= FLAT_TOPS].sum())
    return count


def findings(facts: Facts, config: Config) -> list[Finding]:
    """List what is worth a look about a recording."""
    found = []
    if is_too_long(facts, config):
        found.append(
            Finding(f"longer than data.max_seconds ({config.data.max_seconds:g}), left out", _s(facts.seconds))
        )
    if facts.rate < config.audio.sample_rate:
        found.append(Finding(f"sampling rate below {config.audio.sample_rate} Hz", f"{facts.rate} Hz"))
    if facts.clipped >= FEWEST_FLAT:
        found.append(Finding("clipped", f"{facts.clipped} samples at {facts.peak:g}"))
    if facts.level < QUIET_DB:
        found.append(Finding("nearly silent", f"{facts.level:.0f} dB"))
    if facts.opposite:
        found.append(Finding("channels of opposite phase, the first is taken", f"{facts.channels} channels"))
    if abs(facts.offset) > OFFSET:
        found.append(Finding("DC offset", f"{facts.offset:+.3f}"))
    if facts.silence > LONG_SILENCE:
        cut = "cut off" if config.data.trim_db else "kept"
        found.append(Finding(f"more than {LONG_SILENCE:g} s of silence at the ends, {cut}", _s(facts.silence)))
    return found


def is_too_long(facts: Facts, config: Config) -> bool:
    """Return whether a clip is left out because of its length."""
    return 0 < config.data.max_seconds < facts.seconds


def find_all(facts: dict[str, Facts], config: Config) -> dict[str, list[Finding]]:
    """List what is worth a look about all recordings, by id, copies of others among it."""
    found = {id: findings(each, config) for id, each in facts.items()}
    copies = defaultdict(list)
    for id, each in facts.items():
        copies[each.digest].append(id)
    for ids in copies.values():
        for id in ids[1:]:
            found[id].append(Finding("the same samples as another clip", f"= {ids[0]}"))
    return found


def table(facts: dict[str, Facts], found: dict[str, list[Finding]], config: Config) -> list[str]:
    """Lines for the screen: a row for each kind of finding with count and names, and the share of silence."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for id, each in found.items():
        for finding in each:
            kinds[finding.kind].append(f"{id} ({finding.detail})")
    if not facts:
        return []
    total, silence = (sum(getattr(each, name) for each in facts.values()) for name in ("file_seconds", "silence"))
    lines = [f"audio checks of {len(facts)} clips, {total / 3600:.2f} hours"]
    width = max(map(len, kinds), default=0)
    lines += [f"  {kind:<{width}}  {len(ids):>5}  {some_of(ids, 4)}" for kind, ids in sorted(kinds.items())]
    share = silence / total
    fate = "cut off" if config.data.trim_db else "kept"
    advice = "; --data.trim_db 40 would cut it off" if share > MUCH_SILENCE and not config.data.trim_db else ""
    lines.append(f"  silence at the ends: {100 * share:.1f} % of all, {fate}{advice}")
    return lines


def write_csv(path: Path, facts: dict[str, Facts], found: dict[str, list[Finding]], characters: dict[str, int]) -> None:
    """Write the measurements of all recordings, a line each.

    Args:
        characters: number of symbols by id.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "characters", *Facts._fields, "findings"])
        for id, each in facts.items():
            notes = "; ".join(f"{finding.kind}: {finding.detail}" for finding in found[id])
            writer.writerow([id, characters[id], *each, notes])


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Read the lines that `write_csv` wrote. Numbers are float; `id`, `digest`, `findings` and `opposite` are text."""
    with path.open(newline="", encoding="utf-8") as file:
        texts = ("id", "digest", "findings", "opposite")
        return [
            {name: value if name in texts else float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s"
