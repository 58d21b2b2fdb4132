"""Numbers for Prometheus. Several workers each write their own into a shared folder; any of them adds them up."""

import os
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # must be set before prometheus_client is imported
BUCKETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 40, 60)  # seconds


class Metrics:
    """The metrics of a server."""

    def __init__(self):
        self._own = CollectorRegistry()
        to = {"registry": self._own}
        self.requests = Counter(
            "tts_requests", "Requests for speech, by status and by how they ended", ["path", "status", "ended"], **to
        )
        self.audio_seconds = Counter("tts_audio_seconds", "Seconds of speech sent", **to)
        self.characters = Counter("tts_characters", "Characters of texts accepted", **to)
        live = {"multiprocess_mode": "livesum"}
        self.waiting = Gauge("tts_requests_waiting", "Requests that have no sound yet", **live, **to)
        self.streams = Gauge("tts_requests_in_progress", "Requests not answered to the end yet", **live, **to)
        self.ready = Gauge("tts_workers_ready", "Workers whose voice is ready", **live, **to)
        self.first_sound = Histogram(
            "tts_first_sound_seconds", "Time from a request to its first sound", buckets=BUCKETS, **to
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, those of all workers together if there are several."""
        folder = os.environ.get(FOLDER)
        if not folder:
            return generate_latest(self._own)
        _forget_the_dead(folder)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


def _forget_the_dead(folder: str) -> None:
    """Remove what killed workers say of the present, such as how many requests wait in them. Their counts stay."""
    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = int(path.stem.rsplit("_", 1)[1])
        with suppress(OSError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                mark_process_dead(pid)
