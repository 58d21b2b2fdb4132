"""Make a bundle for MindSpore Hub: a card with the checkpoint's sha256, the checkpoint, and the code beside them.

python scripts/make_hub_bundle.py --checkpoint x.ckpt --output_dir dist
python scripts/make_hub_bundle.py --checkpoint x.ckpt --card mandarin_voice/hub_meta.md --output_dir dist
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import CommandLine, run
from src.hub.bundle import make_bundle
from src.hub.card import read_header


def main() -> None:
    """Parse the command line, bundle, report."""
    parser = CommandLine(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="our .ckpt of either network")
    parser.add_argument(
        "--output_dir", type=Path, required=True, help="folder to make; files of the other network in it stay"
    )
    parser.add_argument("--card", type=Path, help="template of the card (default: this repository's of the network)")
    arguments, overrides = parser.parse()
    card = make_bundle(arguments.checkpoint, arguments.output_dir, overrides, arguments.card)
    header = read_header(card)
    asset = header["asset"][0]
    file_name = asset["asset-link"].strip("<>").split("/")[-1]
    print(f"{card}: {header['model-name']}, {file_name}, sha256 {asset['asset-sha256']}")
    if "//example.com/" in header["repo-link"]:
        fields = "the repository's address and your user-id"
        print(f"before publishing, put {fields} into {arguments.card or card.name}, and run this again")


if __name__ == "__main__":
    run(main)
