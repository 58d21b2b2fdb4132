"""The shell scripts. How ranks end is tried on stand-ins of msrun and train.py first, then on the toy network under the real msrun."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from src.train.run_folder import latest
from tests.toy_training import flags, read_log, write_corpus

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("run_standalone_train.sh", "run_distribute_train.sh", "run_eval.sh", "run_export.sh")

# Writes down how it was called.
RECORDER = """
import json, os, sys
record = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
open(os.environ["RECORD"], "w").write(json.dumps(record))
sys.exit(7)
"""

# Does what msrun --join=False does, without MindSpore.
MSRUN = """
import os, subprocess, sys
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--") and "=" in word)
task = next(i for i, word in enumerate(sys.argv) if word.endswith("train.py"))
node, n_ranks = int(options["node_rank"]), int(options["local_worker_num"])
processes = [("MS_WORKER", rank, f"worker_{rank}") for rank in range(node * n_ranks, (node + 1) * n_ranks)]
for role, rank, log in processes if node else [("MS_SCHED", 0, "scheduler"), *processes]:
    environment = os.environ | {"MS_ROLE": role, "RANK_ID": str(rank), "MS_WORKER_NUM": options["worker_num"]}
    with open(f"{options['log_dir']}/{log}.log", "w") as file:
        command = ["python", *sys.argv[task:]]
        subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=role == "MS_WORKER")
"""

# How a stand-in for train.py begins.
RANK = """
import os, signal, subprocess, sys, time
rank = int(os.environ["RANK_ID"])
if os.environ["MS_ROLE"] == "MS_SCHED":
    time.sleep(600)
print(f"rank {rank} at work", flush=True)
"""

TOY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.toy_training import main
if __name__ == "__main__":
    main()
"""


class Launchers:
    """The launchers in a folder `root` of their own, beside programs that a test puts there; what they start can be found and is killed."""

    def __init__(self, folder: Path):
        self.folder, self.root, self.bin = folder, folder / "root", folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        path = os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), os.environ["PATH"]])
        for package in ("te", "hccl"):  # of CANN
            (folder / "cann" / package).mkdir(parents=True)
            (folder / "cann" / package / "__init__.py").touch()
        own = {
            "PATH": path,
            "PYTHONPATH": str(folder / "cann"),
            "DEVICE_TARGET": "CPU",
            "OMP_NUM_THREADS": "1",
            "RECORD": str(folder / "record"),
            "LAUNCHED_BY": str(folder),
        }
        self.environment = {**os.environ, **own}

    def put(self, name: str, text: str) -> None:
        """A program beside the launchers."""
        (self.root / name).write_text(text)

    def put_msrun(self, text: str) -> None:
        (self.bin / "msrun").write_text(f"#!{sys.executable}\n{text}")
        (self.bin / "msrun").chmod(0o755)

    def start(self, name: str, *arguments, **environment) -> subprocess.Popen:
        command = ["bash", str(self.root / "scripts" / name), *map(str, arguments)]
        environment = {key: value for key, value in {**self.environment, **environment}.items() if value is not None}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.folder, start_new_session=True, **pipes)

    def run(self, name: str, *arguments, **environment) -> tuple[int, str, str]:
        """Exit status, stdout and stderr."""
        return end_of(self.start(name, *arguments, **environment))

    def train(self, *flags, **environment) -> subprocess.Popen:
        """Two ranks, into `out`."""
        return self.start("run_distribute_train.sh", "c.yaml", "data", "out", "2", *flags, **environment)

    def record(self) -> dict:
        return json.loads((self.folder / "record").read_text())

    def running(self, **environment) -> list[psutil.Process]:
        """Processes that were started here, and have these variables."""
        found = []
        for process in psutil.process_iter():
            try:
                theirs = process.environ()
            except psutil.Error:
                continue
            if theirs.get("LAUNCHED_BY") == str(self.folder) and environment.items() <= theirs.items():
                found.append(process)
        return found


def end_of(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for(happened, process: subprocess.Popen) -> None:
    """Until `happened()`; a launcher that has ended before is a failure."""
    while not happened():
        assert process.poll() is None, end_of(process)
        time.sleep(0.1)


@pytest.fixture
def launchers(tmp_path):
    made = Launchers(tmp_path)
    (tmp_path / "c.yaml").write_text("{}")
    (tmp_path / "x.ckpt").write_text("no checkpoint")
    (tmp_path / "data").mkdir()
    yield made
    for process in made.running():
        process.kill()


@pytest.mark.parametrize("name", NAMES)
def test_usage(launchers, name):
    status, usage, err = launchers.run(name, "--help")
    assert status == 0 and err == ""
    line = next(line for line in usage.splitlines() if line.startswith("usage: "))
    arguments = re.fullmatch(rf"usage: bash scripts/{name} ([A-Z_ ]+) \[flags of \w+\.py \.\.\.\]", line)[1].split()
    assert all(re.search(rf"^  {argument} ", usage, re.MULTILINE) for argument in arguments)
    assert "#" not in usage and "set -" not in usage
    assert launchers.run(name) == (2, "", usage)
    assert launchers.run(name, *arguments[:-1]) == (2, "", usage)
    status, out, err = launchers.run(name, *arguments)
    assert (status, out) == (2, "") and err == f"error: {arguments[0]} {arguments[0]}: no such file\n"


@pytest.mark.parametrize(
    "name, arguments, environment, message",
    [
        ("run_standalone_train.sh", "c.yaml nowhere out", {}, "DATA_PATH nowhere: no such folder"),
        ("run_standalone_train.sh", "c.yaml data out", {"DEVICE_TARGET": "TPU"}, "DEVICE_TARGET must be Ascend, GPU or CPU, not 'TPU'"),
        ("run_standalone_train.sh", "c.yaml data out", {"DEVICE_ID": "-1"}, "DEVICE_ID must be a whole number from 0 on, not '-1'"),
        ("run_distribute_train.sh", "c.yaml nowhere out 2", {}, "DATA_PATH nowhere: no such folder"),
        ("run_distribute_train.sh", "c.yaml data out 0", {}, "NUM_DEVICES must be a whole number from 1 on, not '0'"),
        ("run_distribute_train.sh", "c.yaml data out --train.lr 1", {}, "NUM_DEVICES must be a whole number from 1 on, not '--train.lr'"),
        ("run_distribute_train.sh", "c.yaml data c.yaml 2", {}, "OUTPUT_DIR c.yaml: the folder for logs cannot be made in it"),
        ("run_distribute_train.sh", "c.yaml data out 2", {"NUM_NODES": "2"}, "NUM_NODES is 2, so MASTER_ADDR and NODE_RANK are needed"),
        ("run_distribute_train.sh", "c.yaml data out 2", {"NODE_RANK": "1"}, "NODE_RANK must be below NUM_NODES, 1, not 1"),
        ("run_distribute_train.sh", "c.yaml data out 2", {"RANK_TABLE_FILE": "t.json"}, "RANK_TABLE_FILE t.json: no such file"),
        ("run_distribute_train.sh", "c.yaml data out 2", {"GRACE_SECONDS": "long"}, "GRACE_SECONDS must be a whole number from 1 on, not"),
        ("run_distribute_train.sh", "c.yaml data out 2", {"MASTER_PORT": "99999"}, "MASTER_PORT 99999 cannot be used"),
        ("run_eval.sh", "x.ckpt lines.txt out", {}, "INPUT lines.txt: no such file or folder, and a text has two words at least"),
        ("run_export.sh", "x.ckpt PDF out", {}, "FILE_FORMAT must be MINDIR, ONNX or AIR, not 'PDF'"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_before_anything_starts(launchers, name, arguments, environment, message):
    status, out, err = launchers.run(name, *arguments.split(), **environment)
    assert (status, out) == (2, "") and err.startswith(f"error: {message}") and err.count("\n") == 1
    assert not (launchers.folder / "out").exists()


@pytest.mark.parametrize(
    "name, given, program, arguments",
    [
        ("run_standalone_train.sh", ["c.yaml", "data"], "train.py", "--config c.yaml --data_path data"),
        ("run_eval.sh", ["x.ckpt", "data"], "eval.py", "--checkpoint x.ckpt --data_path data"),
        ("run_eval.sh", ["x.ckpt", "c.yaml"], "eval.py", "--checkpoint x.ckpt --text_file c.yaml"),
        ("run_export.sh", ["x.ckpt", "ONNX"], "export.py", "--checkpoint x.ckpt --file_format ONNX"),
    ],
)
def test_programs_get_the_arguments_and_their_status_is_passed_on(launchers, name, given, program, arguments):
    launchers.put(program, RECORDER)
    assert (
        launchers.run(name, *given, "my out", "--a.flag", "of words", DEVICE_TARGET=None, RANK_TABLE_FILE="x.ckpt")[0]
        == 7
    )
    record = launchers.record()
    assert record["arguments"] == [*arguments.split(), "--output_dir", "my out", "--a.flag", "of words"]
    assert record["environment"]["DEVICE_TARGET"] == "Ascend" and record["environment"]["DEVICE_ID"] == "0"
    assert "RANK_TABLE_FILE" not in record["environment"]  # it would make a single process wait for others


def test_a_python_without_mindspore_is_named(launchers):
    (launchers.bin / "python").symlink_to("/bin/false")
    assert launchers.run("run_standalone_train.sh", "c.yaml", "data", "out")[2].startswith("error: python on the PATH")


def test_ascend_without_cann_is_named_at_once(launchers):
    for name, arguments, package in (("run_eval.sh", ("x.ckpt", "Two words.", "out"), "te"), DISTRIBUTED):
        shutil.rmtree(launchers.folder / "cann" / package)
        status, out, err = launchers.run(name, *arguments, DEVICE_TARGET="Ascend")
        assert (status, out) == (2, "") and err.count("\n") == 1
        assert err.startswith(
            f"error: DEVICE_TARGET is Ascend, and python finds no package {package} of CANN: source set_env.sh"
        )
        (launchers.folder / "cann" / "te").mkdir(exist_ok=True)


DISTRIBUTED = "run_distribute_train.sh", ("c.yaml", "data", "out", "2"), "hccl"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"server_list": []}', '{"server_list": [{"device": [{"device_id": "0", "rank_id": "1"}]}]}'],
)
def test_a_file_that_is_no_rank_table_is_refused_at_once(launchers, content):
    (launchers.folder / "table.json").write_text(content)
    status, out, err = end_of(launchers.train(RANK_TABLE_FILE="table.json"))
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("error: RANK_TABLE_FILE table.json: not an HCCL rank table")


@pytest.mark.parametrize("given", [None, "60"])
def test_ranks_have_long_to_meet_unless_the_user_says_how_long(launchers, given):
    msrun_options(launchers, HCCL_CONNECT_TIMEOUT=given)
    assert launchers.record()["environment"]["HCCL_CONNECT_TIMEOUT"] == (given or "1800")


def test_a_text_is_spoken(launchers):
    launchers.put("eval.py", RECORDER)
    assert launchers.run("run_eval.sh", "x.ckpt", "Two words.", "out")[0] == 7
    assert launchers.record()["arguments"] == ["--checkpoint", "x.ckpt", "--text", "Two words.", "--output_dir", "out"]


def test_bad_input_is_found_by_the_programs_themselves(launchers):
    (launchers.root / "src").symlink_to(ROOT / "src")
    for name, program, arguments in [
        ("run_standalone_train.sh", "train.py", ["c.yaml", "data", "out"]),
        ("run_eval.sh", "eval.py", ["x.ckpt", "Two words.", "out"]),
    ]:
        shutil.copy(ROOT / program, launchers.root)
        status, _, err = launchers.run(name, *arguments)
        assert status == 2 and err.startswith("error: ") and err.count("\n") == 1, err


def msrun_options(launchers, **environment) -> tuple[dict[str, str], list[str]]:
    """With which options msrun is called, and with which command; its exit status is passed on."""
    launchers.put_msrun(RECORDER)
    process = launchers.train("--a.flag", "of words", **environment)
    assert end_of(process)[0] == 7
    words = launchers.record()["arguments"]
    n_options = next(i for i, word in enumerate(words) if not word.startswith("--"))
    return dict(word[2:].split("=") for word in words[:n_options]), words[n_options:]


def test_msrun_on_one_machine(launchers):
    options, command = msrun_options(launchers)
    assert 1024 <= int(options.pop("master_port")) < 65536
    own = {"worker_num": "2", "local_worker_num": "2", "node_rank": "0", "master_addr": "127.0.0.1", "join": "False"}
    assert options == {**own, "log_dir": "out/logs"}
    arguments = ["--config", "c.yaml", "--data_path", "data", "--output_dir", "out", "--a.flag", "of words"]
    assert command == [str(launchers.root / "train.py"), *arguments]


def test_msrun_on_several_machines(launchers):
    devices = [{"device_id": str(i), "device_ip": f"192.168.1.{i}", "rank_id": str(i)} for i in range(2)]
    (launchers.folder / "table.json").write_text(json.dumps({"version": "1.0", "server_list": [{"device": devices}]}))
    options, _ = msrun_options(
        launchers, NUM_NODES="4", NODE_RANK="1", MASTER_ADDR="10.0.0.1", RANK_TABLE_FILE="table.json"
    )
    own = {
        "worker_num": "8",
        "local_worker_num": "2",
        "node_rank": "1",
        "master_addr": "10.0.0.1",
        "master_port": "8118",
        "join": "False",
    }
    assert options == {**own, "log_dir": "out/logs", "rank_table_file": "table.json"}


def test_a_port_in_use_is_refused(launchers):
    with socket.create_server(("", 0)) as server:
        port = str(server.getsockname()[1])
        status, _, err = end_of(launchers.train(MASTER_PORT=port))
    assert status == 2 and err == f"error: MASTER_PORT {port} cannot be used; is another training running?\n"


@pytest.mark.parametrize(
    "end, status, message",
    [
        ("sys.exit(2)", 2, "rank 1 failed with exit status 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "rank 1 was killed by SIGKILL"),
    ],
)
def test_a_rank_that_fails_ends_all(launchers, end, status, message):
    launchers.put_msrun(MSRUN)
    launchers.put(
        "train.py",
        f"{RANK}\nif rank == 1:\n    time.sleep(1)\n    print('its last line', flush=True)\n    {end}\ntime.sleep(600)",
    )
    found, out, err = end_of(launchers.train())
    assert (found, out) == (status, "rank 0 at work\n")
    assert err == f"{message}; its last lines, of out/logs/worker_1.log:\n    rank 1 at work\n    its last line\n"
    assert not launchers.running()
    assert (launchers.folder / "out/logs/worker_0.log").read_text() == "rank 0 at work\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_fails_at_once(launchers, rank):
    launchers.put_msrun(f"{MSRUN}\nimport time\ntime.sleep(1)")
    launchers.put("train.py", RANK.replace("print", f"assert rank != {rank}\nprint") + "time.sleep(600)")
    status, _, err = end_of(launchers.train())
    assert status == 1 and err.startswith(f"rank {rank} failed with exit status 1") and "AssertionError" in err
    assert not launchers.running()


def test_what_msrun_starts_beside_the_ranks_is_of_no_matter(launchers):
    launchers.put_msrun(
        f"import subprocess\nsubprocess.Popen(['true'])\n{MSRUN}\nimport time\ntime.sleep(1)"
    )  # a zombie meanwhile
    launchers.put("train.py", RANK + "time.sleep(3)")
    assert end_of(launchers.train()) == (0, "rank 0 at work\n", "")


def test_a_second_launch_into_the_same_folder_leaves_the_first_alone(launchers):
    launchers.put_msrun(MSRUN)
    launchers.put("train.py", RANK + SAVING)
    first = launchers.train()
    wait_until_ready(launchers, first)
    status, _, err = end_of(launchers.train())
    assert (
        status == 2
        and err
        == "error: out/logs belongs to a training that runs; choose another OUTPUT_DIR, or stop that one first\n"
    )
    assert ready(launchers)
    first.terminate()
    assert end_of(first)[0] == 143


SAVING = """
def save(number, frame):
    time.sleep(2 * rank)
    open(f"saved by rank {rank} after {signal.Signals(number).name}", "w")
    sys.exit(128 + number)

signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(600)
"""


def ready(launchers) -> bool:
    logs = [launchers.folder / f"out/logs/worker_{rank}.log" for rank in range(2)]
    return all(log.exists() and "ready" in log.read_text() for log in logs)


def wait_until_ready(launchers, process: subprocess.Popen) -> None:
    """Until both ranks can save, and the launcher follows the first one: before that a signal kills what msrun has started."""
    wait_for(lambda: ready(launchers), process)
    assert "ready\n" in iter(process.stdout.readline, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_ranks_as_sigterm_and_they_have_time_to_save(launchers, number):
    launchers.put_msrun(MSRUN)
    launchers.put("train.py", RANK + SAVING)
    process = launchers.train()
    wait_until_ready(launchers, process)
    process.send_signal(number)
    status, _, err = end_of(process)
    assert status == 128 + number and err.startswith(f"{number.name}: ranks have 30 s to save a checkpoint")
    assert {path.name for path in launchers.folder.glob("saved*")} == {
        f"saved by rank {rank} after SIGTERM" for rank in range(2)
    }
    assert not launchers.running()


@pytest.mark.parametrize("again", [True, False])
def test_ranks_that_do_not_stop_are_killed(launchers, again):
    launchers.put_msrun(MSRUN)
    launchers.put("train.py", RANK + SAVING.replace("time.sleep(2 * rank)", "time.sleep(600 * rank)"))
    process = launchers.train(GRACE_SECONDS="600" if again else "10")
    wait_until_ready(launchers, process)
    process.terminate()
    if again:
        wait_for(lambda: not launchers.running(RANK_ID="0", MS_ROLE="MS_WORKER"), process)
        time.sleep(1)  # its environment, by which it was found, is gone a little before it
        process.terminate()
    status, _, err = end_of(process)
    assert status == 137 and err.splitlines()[-1] == "killed, as it did not stop in time: rank 1"
    assert not launchers.running()


@pytest.mark.parametrize("machine", [0, 1])
def test_nothing_that_a_rank_started_is_left(launchers, machine):
    launchers.put_msrun(MSRUN)
    launchers.put("train.py", RANK + "subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(3)")
    several = {"NUM_NODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "127.0.0.1"} if machine else {}
    assert end_of(launchers.train(**several)) == (0, f"rank {2 * machine} at work\n", "")
    assert not launchers.running()


def test_a_signal_while_msrun_starts(launchers):
    launchers.put_msrun("import time; print('here', flush=True); time.sleep(600)")
    process = launchers.train()
    assert process.stdout.readline() == "here\n"
    process.terminate()
    assert end_of(process)[0] == 143
    assert not launchers.running()


def toy_flags(max_steps: int) -> list[str]:
    return flags(
        data__n_buckets=1, train__max_steps=max_steps, train__validate_every=10**6, train__checkpoint_every=10**6
    )


@pytest.fixture
def two_ranks(launchers):
    """Starts the toy network on two ranks under the real msrun, and returns when they have trained for some steps."""
    launchers.put("train.py", TOY)
    shutil.rmtree(launchers.folder / "data")
    write_corpus(launchers.folder / "data")

    def start() -> subprocess.Popen:
        process = launchers.train(*toy_flags(10**6))
        log = launchers.folder / "out" / "log.jsonl"
        wait_for(lambda: log.exists() and any("loss" in row for row in read_log(log.parent)), process)
        return process

    return start


def test_two_ranks_stop_and_resume(launchers, two_ranks):
    process = two_ranks()
    process.send_signal(signal.SIGINT)
    status, out, err = end_of(process)
    assert status == 130, err
    assert "CPU x 2" in out
    assert not launchers.running()
    step = latest(launchers.folder / "out").step
    assert step == read_log(launchers.folder / "out")[-1]["step"]

    status, out, err = end_of(launchers.train("--resume", "out", *toy_flags(step + 2)))
    assert status == 0, err
    assert f"from step {step}" in out
    assert latest(launchers.folder / "out").step == step + 2
    names = {path.name for path in (launchers.folder / "out" / "logs").glob("[!.]*")}
    assert names == {"scheduler.log", *(f"worker_{rank}.log{old}" for rank in range(2) for old in ("", ".old"))}
    assert not launchers.running()


def test_a_killed_rank_ends_the_other(launchers, two_ranks):
    process = two_ranks()
    (rank,) = launchers.running(MS_ROLE="MS_WORKER", RANK_ID="1")
    rank.kill()
    status, _, err = end_of(process)
    assert status == 137 and err.startswith("rank 1 was killed by SIGKILL; its last lines, of out/logs/worker_1.log:\n")
    assert not launchers.running()


def test_bad_input_on_two_ranks(launchers):
    launchers.put("train.py", TOY)
    status, _, err = end_of(launchers.train("--train.batchsize", "3"))
    assert status == 2 and "did you mean 'train.batch_size'?" in err and "Traceback" not in err
    assert not launchers.running()
