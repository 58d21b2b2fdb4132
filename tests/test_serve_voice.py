"""scripts/serve.py with the voice that ships, whose graphs take a while: `pytest -m slow`."""

import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest
from live_server import ROOT, SPEECH

from src.audio import to_pcm16

TEXTS = ["Hello there. How are you today?", "The prisoners had not risen.", "One. Two. Three.", "It was still worse."]
STARTING = 600  # seconds


@pytest.mark.slow
def test_the_shipped_voice_speaks_as_it_does_offline():
    from src.synthesis import load_voice  # noqa: PLC0415

    command = [sys.executable, "scripts/serve.py", "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://\S+", server.stdout.readline())[0]
        threading.Thread(target=server.stdout.read, daemon=True).start()
        end = time.monotonic() + STARTING
        while httpx.get(f"{url}/healthz", timeout=STARTING).status_code != 200:
            assert server.poll() is None and time.monotonic() < end
            time.sleep(0.5)
        rate = httpx.get(f"{url}/facts", timeout=STARTING).json()["sample_rate"]
        sounds = {}

        def ask(seed):
            text = TEXTS[seed % len(TEXTS)]
            fields = {"input": text, "response_format": "pcm", "sample_rate": rate, "seed": seed}
            sounds[text, seed] = httpx.post(url + SPEECH, json=fields, timeout=STARTING).content

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]  # which share batches
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
    voice = load_voice()
    assert len(sounds) == 8
    for (text, seed), sound in sounds.items():
        wav, found = voice.speak(text, seed=seed)
        assert found == rate
        np.testing.assert_array_equal(np.frombuffer(sound, "<i2"), to_pcm16(wav))
    voice.close()
