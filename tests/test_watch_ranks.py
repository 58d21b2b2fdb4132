"""scripts/run_distribute_train.sh: how its ranks end.

Stand-ins take the places of msrun and train.py first, then the toy network runs under the real msrun.
"""

import shutil
import signal
import subprocess
import time

import pytest

from src.train.run_folder import latest
from tests.launchers import MSRUN, RANK, ROOT, end_of, prepare, wait_for
from tests.toy_training import flags, read_log, write_corpus

TOY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.toy_training import main
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def launchers(tmp_path):
    yield from prepare(tmp_path)


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
    """Wait until both ranks can save and the launcher follows the first one; before, a signal would kill the ranks."""
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


@pytest.mark.slow
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
