"""Compile every graph and write into docs/backends.md which primitives they hold and where these are documented to run.

python scripts/list_primitives.py
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.backends import compile_graphs, table
from src.cli import run
from src.errors import InputError
from src.files import write_atomically

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backends.md"
BEGIN, END = "<!-- scripts/list_primitives.py writes from here -->", "<!-- to here -->"


def main() -> None:
    """Parse, compile, write."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write into, between its two marks")
    page = parser.parse_args().page
    try:
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
    except (OSError, ValueError) as error:
        raise InputError(f"{page}: cannot be read, or does not hold the marks '{BEGIN}' and '{END}'") from error
    content = f"{before}{BEGIN}\n\n{table(compile_graphs())}\n\n{END}{after}"
    write_atomically(page, content.encode())


if __name__ == "__main__":
    run(main)
