"""The launchers in scripts/: their usage, and the arguments that they hand on."""

import json
import re
import shutil
import socket

import pytest

from tests.launchers import RECORDER, ROOT, end_of, prepare

NAMES = STANDALONE, DISTRIBUTE, EVAL, EXPORT = (
    "run_standalone_train.sh",
    "run_distribute_train.sh",
    "run_eval.sh",
    "run_export.sh",
)


@pytest.fixture
def launchers(tmp_path):
    yield from prepare(tmp_path)


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
        (STANDALONE, "c.yaml nowhere out", {}, "DATA_PATH nowhere: no such folder"),
        (
            STANDALONE,
            "c.yaml data out",
            {"DEVICE_TARGET": "TPU"},
            "DEVICE_TARGET must be Ascend, GPU or CPU, not 'TPU'",
        ),
        (STANDALONE, "c.yaml data out", {"DEVICE_ID": "-1"}, "DEVICE_ID must be a whole number from 0 on, not '-1'"),
        (DISTRIBUTE, "c.yaml nowhere out 2", {}, "DATA_PATH nowhere: no such folder"),
        (DISTRIBUTE, "c.yaml data out 0", {}, "NUM_DEVICES must be a whole number from 1 on, not '0'"),
        (
            DISTRIBUTE,
            "c.yaml data out --train.lr 1",
            {},
            "NUM_DEVICES must be a whole number from 1 on, not '--train.lr'",
        ),
        (DISTRIBUTE, "c.yaml data c.yaml 2", {}, "OUTPUT_DIR c.yaml: the folder for logs cannot be made in it"),
        (
            DISTRIBUTE,
            "c.yaml data out 2",
            {"NUM_NODES": "2"},
            "NUM_NODES is 2, so MASTER_ADDR and NODE_RANK are needed",
        ),
        (DISTRIBUTE, "c.yaml data out 2", {"NODE_RANK": "1"}, "NODE_RANK must be below NUM_NODES, 1, not 1"),
        (DISTRIBUTE, "c.yaml data out 2", {"RANK_TABLE_FILE": "t.json"}, "RANK_TABLE_FILE t.json: no such file"),
        (
            DISTRIBUTE,
            "c.yaml data out 2",
            {"GRACE_SECONDS": "long"},
            "GRACE_SECONDS must be a whole number from 1 on, not",
        ),
        (DISTRIBUTE, "c.yaml data out 2", {"MASTER_PORT": "99999"}, "MASTER_PORT 99999 cannot be used"),
        (
            EVAL,
            "x.ckpt lines.txt out",
            {},
            "INPUT lines.txt: no such file or folder, and a text has two words at least",
        ),
        (EXPORT, "x.ckpt PDF out", {}, "FILE_FORMAT must be MINDIR, ONNX or AIR, not 'PDF'"),
    ],
)
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
