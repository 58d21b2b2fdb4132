"""The server of scripts/serve.py with the stand-in voice, in a process of its own, for tests.

python tests/serve_standin.py '{"port": 0}' '{"delay": 0.1}'
"""

import functools
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from standin_voice import make_standin

from src.cli import run
from src.serving.server import serve
from src.serving.settings import Settings

if __name__ == "__main__":
    settings, voice = map(json.loads, sys.argv[1:])
    run(lambda: serve(Settings(**settings), functools.partial(make_standin, **voice)))
