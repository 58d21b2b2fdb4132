"""Stand-ins for programs that speak, which play a tone as long as the text, and lists for them."""

import sys

FLITE = f"""#!{sys.executable}
import math, struct, sys, wave
if "-lv" in sys.argv:
    print("Voices available: kal VOICE")
    sys.exit()
text, path = sys.argv[sys.argv.index("-t") + 1], sys.argv[sys.argv.index("-o") + 1]
tone = [int(9000 * math.sin(k / 5)) for k in range(400 * sum(map(str.isalpha, text)))]
with wave.open(path, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(struct.pack(f"<{{len(tone) + 6400}}h", *[0] * 3200, *tone, *[0] * 3200))
"""


def install_flite(folder, monkeypatch, voice="slt"):
    """Put a `flite` with a voice on the search path. Returns the folder."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/flite").write_text(FLITE.replace("VOICE", voice))
    (folder / "bin/flite").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    return folder


def listed(folder, text, name="list.txt"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name
