"""Start ranks by msrun and watch them until all have ended; called by run_distribute_train.sh.

usage: python scripts/watch_ranks.py LOG_DIR FIRST_RANK NUM_RANKS msrun --join=False ...
The environment variable GRACE_SECONDS says how long ranks may take to save a checkpoint (default: 30).

msrun could watch by itself (--join=True), but then:
- it kills all ranks as soon as one has saved the checkpoint that it was asked for;
- it waits half a minute longer when one has failed;
- it always exits with 1;
- it leaves all of them running when it gets SIGTERM.
So here it only starts them, and they become children of this process.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import psutil

PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl: orphaned descendants become children of this process
FAILURE_SECONDS = 3  # for ranks to end by themselves after another one has failed
SCHEDULER_SECONDS = 60  # for the scheduler to end after the ranks of this machine; other machines' ranks need it
LAST_LINES = 20
STOPPED = 128 + signal.SIGINT, 128 + signal.SIGTERM  # exit status of a rank that has saved a checkpoint when asked to
SCHEDULER = "scheduler"


class Ranks:
    """The processes that msrun starts: ranks, and on the first machine a scheduler through which they find each other.

    Args:
        log_dir: folder for the output of each process.
        numbers: of the ranks on this machine.
        grace_seconds: for ranks to stop when they are asked to.
    """

    def __init__(self, log_dir: Path, numbers: range, grace_seconds: int):
        self.log_dir, self.grace_seconds = log_dir, grace_seconds
        self.names = [f"worker_{number}" for number in numbers]
        self.running: dict[int, str] = {}  # process id -> stem of its log file: worker_0, scheduler
        self.ended: dict[str, int] = {}  # in order of time: exit status, or minus the signal that killed it
        self.killed: set[str] = set()  # by this process
        self.stopped_by: int | None = None  # the signal that this process got
        self.n_ranks = 0  # of all machines
        self._started = False

    def start(self, command: list[str]) -> int:
        """Run msrun, which ends once it has started all, and return its exit status.

        Logs of an earlier run get the suffix .old.
        """
        for log in filter(Path.exists, map(self._log, self.names)):
            log.replace(f"{log}.old")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays in force
                signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        msrun = subprocess.Popen(command, start_new_session=True)  # not reached by the terminal's Ctrl-C
        while msrun.poll() is None:
            self._find(msrun.pid)
            time.sleep(0.05)
        self._find(os.getpid())
        self._started = True
        for pid in [pid for pid in self.running if not psutil.pid_exists(pid)]:
            del self.running[pid]
        for name in self.names:  # ended so soon that its status is lost
            if name not in self.running.values() and self._log(name).exists():
                self._note_end(name, 1)
        return msrun.returncode

    def wait(self) -> None:
        """Print the first rank's output until all have ended."""
        over = threading.Event()
        follower = threading.Thread(target=_follow, args=(self._log(self.names[0]), over))
        follower.start()
        while self.running:
            if set(self.running.values()) == {SCHEDULER}:
                elsewhere = self.n_ranks > len(self.ended)
                self._within(SCHEDULER_SECONDS) if elsewhere and not self._failures() else self._kill()
            pid, status = os.wait()
            if pid in self.running:  # otherwise a helper that a rank has left behind
                self._note_end(self.running.pop(pid), os.waitstatus_to_exitcode(status))
        over.set()
        follower.join()

    def clean(self) -> None:
        """Kill everything that still runs."""
        with contextlib.suppress(ChildProcessError):
            while True:
                self._kill()
                os.wait()

    def report(self) -> int:
        """Print what went wrong. Returns the exit status of the whole: that of the rank that failed first."""
        for name, status in self._failures()[:1]:
            how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"failed with exit status {status}"
            log = self._log(name)
            lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.exists() else []
            _say(f"{_title(name)} {how}; its last lines, of {log}:", *(f"    {line}" for line in lines))
            return status if status > 0 else 128 - status
        if self.killed - {SCHEDULER}:
            _say(f"killed, as it did not stop in time: {', '.join(map(_title, sorted(self.killed - {SCHEDULER})))}")
            return 128 + signal.SIGKILL
        status = max((abs(status) for name, status in self.ended.items() if name != SCHEDULER), default=0)
        return 128 + self.stopped_by if status and self.stopped_by else status

    def _find(self, parent: int) -> None:
        children = []
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(parent).children()
        for process in children:
            with contextlib.suppress(psutil.Error):  # an ended process has no environment
                environment = process.environ()
                if "MS_ROLE" in environment and process.pid not in self.running:
                    name = SCHEDULER if environment["MS_ROLE"] == "MS_SCHED" else f"worker_{environment['RANK_ID']}"
                    self.running[process.pid], self.n_ranks = name, int(environment["MS_WORKER_NUM"])

    def _note_end(self, name: str, status: int) -> None:
        self.ended[name] = status
        if status:
            self._within(self.grace_seconds if self._is_stop(status) else FAILURE_SECONDS)

    def _is_stop(self, status: int) -> bool:
        # A rank that has not begun to train yet is killed by SIGTERM.
        return status in STOPPED or (self.stopped_by is not None and status == -signal.SIGTERM)

    def _failures(self) -> list[tuple[str, int]]:
        ended = [(name, status) for name, status in self.ended.items() if name not in self.killed]
        failures = [(name, status) for name, status in ended if status and not self._is_stop(status)]
        return sorted(failures, key=lambda failure: failure[0] == SCHEDULER)  # its failure follows theirs

    def _within(self, seconds: int) -> None:
        """Kill what still runs after this time; an earlier deadline stays."""
        signal.alarm(min(seconds, signal.alarm(0) or seconds))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ask the ranks to stop. A second signal kills them, as does one while they are being started."""
        again, self.stopped_by = self.stopped_by is not None, number
        if again or not self._started:
            self._kill()
            return
        name = signal.Signals(number).name
        _say(f"{name}: ranks have {self.grace_seconds} s to save a checkpoint; once more kills them")
        for pid, name in self.running.items():
            if name != SCHEDULER:
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGTERM)
        self._within(self.grace_seconds)

    def _kill(self, *_: object) -> None:
        for pid, name in self.running.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # a zombie has ended by itself just now
                    self.killed.add(name)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _log(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"


def _follow(path: Path, over: threading.Event) -> None:
    """Print a file's content, and what is appended to it until `over`."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        while True:
            last = over.is_set()
            os.write(sys.stdout.fileno(), file.read())
            if last:
                return
            over.wait(0.2)


def _title(name: str) -> str:
    return name.replace("worker_", "rank ")


def _say(*lines: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed
        print(*lines, sep="\n", file=sys.stderr, flush=True)


def main() -> int:
    """Start the ranks, wait, report. Returns the exit status."""
    if {"-h", "--help"} & set(sys.argv[1:2]):
        print((__doc__ or "").rstrip())
        return 0
    try:
        log_dir, first, number, *command = sys.argv[1:]
        numbers = range(int(first), int(first) + int(number))
        grace_seconds = int(os.environ.get("GRACE_SECONDS", "30"))
        if not (command and numbers and Path(log_dir).is_dir()):
            raise ValueError
    except ValueError:
        _say(
            "error: expected LOG_DIR (an existing folder) FIRST_RANK NUM_RANKS and the command line of msrun; "
            "bash scripts/run_distribute_train.sh calls this script with them"
        )
        return 2
    ranks = Ranks(Path(log_dir), numbers, grace_seconds)
    # Held until this process ends. It has the rank's number because machines may share the folder.
    lock = os.open(Path(log_dir, f".lock_{first}"), os.O_CREAT | os.O_WRONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _say(f"error: {log_dir} belongs to a training that runs; choose another OUTPUT_DIR, or stop that one first")
        return 2
    try:
        status = ranks.start(command)
        if ranks.stopped_by:
            return 128 + ranks.stopped_by
        if status:
            _say(f"msrun failed with exit status {status}")
            return status
        ranks.wait()
    finally:
        ranks.clean()
    return ranks.report()


if __name__ == "__main__":
    sys.exit(main())
