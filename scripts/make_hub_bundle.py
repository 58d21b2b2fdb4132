"""Make what MindSpore Hub publishes and loads: a card with the checkpoint's sha256, the checkpoint, and the code beside them.

python scripts/make_hub_bundle.py --checkpoint x.ckpt --output_dir dist
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.hub.bundle import make_bundle
from src.hub.card import read_header


def main() -> None:
    """Parse, bundle, report."""
    parser = CommandLine(__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="our .ckpt of either network")
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="folder to make; what is there of the other network stays"
    )
    arguments, overrides = parser.parse()
    card = make_bundle(arguments.checkpoint, arguments.output_dir, overrides)
    header = read_header(card)
    asset = header["asset"][0]
    print(
        f"{card}: {header['model-name']}, {asset['asset-link'].strip('<>').split('/')[-1]}, sha256 {asset['asset-sha256']}"
    )
    if "//example.com/" in header["repo-link"]:
        print(
            f"before publishing, put the repository's address and your user-id into {card.name} of this repository, and run this again"
        )


if __name__ == "__main__":
    run(main)
