"""The programs in surroundings that are not the usual ones: locale, disk, folder, flags of Python."""

import os
import subprocess
import sys
from pathlib import Path

from hostile_files import log_of

ROOT = Path(__file__).resolve().parents[1]


def python(*arguments, **options):
    options = {"cwd": ROOT, "stdout": subprocess.PIPE} | options
    return subprocess.run(
        [sys.executable, *map(str, arguments)], stderr=subprocess.PIPE, text=True, check=False, timeout=300, **options
    )


def test_a_locale_of_few_characters(tmp_path):
    run = tmp_path / "Lauf-Nr.-1-über-ß"
    run.mkdir()
    log_of(run, {"step": 1, "loss": 1.0})
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}
    done = python("scripts/plot_log.py", run, env=environment)
    assert (done.returncode, done.stderr) == (0, "") and "log.png" in done.stdout and (run / "log.png").exists()
    done = python("scripts/plot_log.py", tmp_path / "nö", env=environment)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_disk_that_is_full_under_the_output(tmp_path):
    with open("/dev/full", "w") as full:
        done = python("scripts/plot_log.py", log_of(tmp_path, {"step": 1, "loss": 1.0}), stdout=full)
        assert done.returncode == 2 and "No space left on device" in done.stderr and done.stderr.count("\n") == 1


def test_a_working_directory_that_was_deleted(tmp_path):
    (tmp_path / "gone").mkdir()
    code = (
        "import os, shutil, sys; os.chdir(sys.argv[1]); shutil.rmtree(sys.argv[1]); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    for arguments in (["scripts/plot_log.py", "run"], ["eval.py", "--text", "a", "--output_dir", "out"]):
        done = python("-c", code, tmp_path / "gone", ROOT / arguments[0], *arguments[1:])
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        (tmp_path / "gone").mkdir(exist_ok=True)


def test_python_without_docstrings_or_the_scripts_folder(tmp_path):
    log_of(tmp_path, {"step": 1, "loss": "low"})
    done = python("-OO", "-I", "scripts/plot_log.py", tmp_path)  # others would compile MindSpore anew, for a minute
    assert done.returncode == 2 and "the log has no step yet" in done.stderr and done.stderr.count("\n") == 1
    done = python("-I", "train.py", "--resume", "nowhere")
    assert done.returncode == 2 and done.stderr == "error: nowhere: no such run to resume\n"


def test_no_script_relies_on_docstrings_or_on_its_folder():
    for path in [*ROOT.glob("*.py"), *ROOT.glob("scripts/*.py")]:
        text = path.read_text()
        assert "__doc__." not in text, path
        is_script = "__main__" in text and "from src" in text
        assert "sys.path.insert(0, " in text or not is_script, path
