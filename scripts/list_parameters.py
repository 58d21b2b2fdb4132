"""Write docs/parameters.md from the fields of the configuration.

python scripts/list_parameters.py
"""

import sys
from argparse import ArgumentParser
from dataclasses import MISSING, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.cli import facts, run
from src.config import sections
from src.files import write_atomically

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
HEAD = """# Parameters

Every key of the configuration. Each is a line of a YAML file in `config/` and a flag of every script:
`--train.batch_size 16`. Keys of `model` are those of the network that `model.name` names.
`python scripts/list_parameters.py` writes this page.
"""


def main() -> None:
    """Parse the command line and write the page."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write it")
    write_atomically(parser.parse_args().page, page().encode())


def page() -> str:
    """Return the page: a table for each section, and for each network one of its `model` section."""
    lines = [HEAD]
    for name, kinds in sections().items():
        for kind in kinds:
            network = f", {kind.name}" if name == "model" else ""
            lines += [
                f"## `{name}`{network}",
                "",
                kind.__doc__,
                "",
                "| key | default | values | |",
                "|---|---|---|---|",
            ]
            for field in fields(kind):
                values = facts(f"{name}.{field.name}", field).rpartition("default:")[0].rstrip(", ").replace("|", ", ")
                default = field.default_factory() if field.default is MISSING else field.default
                if isinstance(default, list) and len(default) > 3:
                    default = f"{len(default)} items"
                explanation = field.metadata["explanation"].replace("|", "\\|")
                lines.append(
                    f"| `{name}.{field.name}` | {default if default != '' else 'none'} | {values} | {explanation} |"
                )
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
