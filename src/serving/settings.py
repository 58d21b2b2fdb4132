"""The settings of the server: where it listens, and its limits. They travel to each worker process."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Address, key and limits of the server. Times are in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    api_key: str = ""  # empty: nobody has to show one
    allowed_hosts: tuple[str, ...] = ()  # names beside the usual ones that a request's Host may have; "*" means any
    max_characters: int = 4096  # of a text, as the OpenAI API has it
    max_waiting: int = 32  # requests without a sound yet; one more is answered by 429
    max_streams: int = 128  # requests of which some sound is still to be sent
    timeout: float = 60.0  # a request is given up when the voice gives nothing for so long
    slow_reader_timeout: float = 30.0  # a client is dropped when it takes nothing for so long
    drain_seconds: int = 30  # after SIGTERM, until speech that is still being sent is cut off
    drain_notice: float = 0.0  # after SIGTERM, until no connection is accepted any more; /healthz says 503 meanwhile
    worker_timeout: float = 120.0  # one of several workers is replaced when it gives no sign of life for so long
    shared_folder: str = ""  # of several workers: their metrics, and who is ready

    @property
    def max_body(self) -> int:
        """Bytes of a request's body: JSON takes at most 12 for a character, and the other fields take little."""
        return 12 * self.max_characters + 16_384
