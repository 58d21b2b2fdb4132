"""The queue of texts: waiting, spoken, stopped, forgotten; with the simple network of test_synthesis.py."""

import io
import threading
import time

import pytest
import soundfile
from test_synthesis import HOP, RATE, FakeNetwork, vocoder

from src.errors import InputError
from src.synthesis import speech_queue
from src.synthesis.speech_queue import FINISHED, KEPT, MOST_WAITING, Job, SpeechQueue


class SlowNetwork(FakeNetwork):
    """Speaks each sentence only when it is told to, except the very first text."""

    def __init__(self):
        super().__init__()
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(1)

    def generate(self, *arguments):
        self.begun.release()
        assert self.go.acquire(timeout=60)
        return super().generate(*arguments)


@pytest.fixture
def queue_of():
    def start(net, vocoder=lambda seed: vocoder):
        queue = SpeechQueue(net, vocoder)
        threads.append(threading.Thread(target=queue.work, args=(end.is_set,), daemon=True))
        threads[-1].start()
        wait_until(lambda: not queue.preparing)
        return queue

    end, threads = threading.Event(), []
    yield start
    end.set()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.fixture
def slow(queue_of):
    """A network that waits, its queue, and a job of three sentences that is being spoken."""
    net = SlowNetwork()
    queue = queue_of(net)
    net.begun.acquire()  # of the first text
    job = queue.add("One is here. Two is longer than one. Three.", 0)
    assert net.begun.acquire(timeout=60)
    return net, queue, job


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_for(*jobs):
    wait_until(lambda: all(job.stage in FINISHED for job in jobs))


def test_what_comes_of_a_text(queue_of, monkeypatch):
    stages, report = [], Job.report
    monkeypatch.setattr(Job, "report", lambda job, *progress: (stages.append(progress), report(job, *progress)))
    net = FakeNetwork(lambda ids: "max_decoder_steps" if len(ids) > 10 else "gate")
    queue = queue_of(net)
    wait_until(lambda: len(net.compiled) == 3 and not queue.preparing)
    assert sorted(net.compiled) == [
        (1, 32),
        (1, 64),
        (1, 64),
    ]  # for the first text; and for all lengths, when there was time
    stages.clear()
    job = queue.add("This is {HH AH0} it \N{SNOWMAN}. Yes.", 7)
    wait_for(job)
    assert job.stage == "done" and not job.error
    assert [(stage, done) for stage, done, total in stages if total == 2] == [
        *(("compiling", 0), ("speaking", 0), ("speaking", 1)),  # the shorter one first
        *(("vocoder", 0), ("vocoder", 1), ("drawing", 2)),
    ]
    result = job.result
    assert [each["stop_reason"] for each in result["sentences"]] == ["max_decoder_steps", "gate"]
    assert (result["seed"], result["max_decoder_steps"]) == (7, net.config.model.max_decoder_steps)
    (note,) = result["notes"]
    assert "dropped: " in note and "\N{SNOWMAN}" in note
    wav, rate = soundfile.read(io.BytesIO(job.files[".wav"]))
    assert rate == RATE and len(wav) / rate == result["seconds"] == HOP / RATE * (
        sum(each["frames"] for each in result["sentences"]) + 6
    )
    assert job.files[".png"].startswith(b"\x89PNG")
    assert {seed for seed, _ in net.seeds[-2:]} == {7}


def test_in_turn(slow):
    net, queue, first = slow
    second, third = queue.add("Second.", 0), queue.add("Third.", 0)
    assert [queue.ahead(job) for job in (first, second, third)] == [0, 1, 2]
    queue.stop(second)
    assert second.stage == "stopped" and queue.ahead(third) == 1
    net.go.release(10)
    wait_for(first, third)
    assert (first.stage, second.stage, third.stage) == ("done", "stopped", "done") and queue.ahead(third) == 0


def test_stopped_between_sentences(slow):
    net, queue, job = slow
    after = queue.add("After.", 0)
    queue.stop(job)
    net.go.release(2)  # one for the sentence being spoken, one for `after`
    wait_for(job, after)
    assert (job.stage, after.stage) == ("stopped", "done") and not job.files


def test_whom_nobody_asks_for_blocks_nobody(slow, monkeypatch):
    net, queue, job = slow
    left = [queue.add("Waiting.", 0) for _ in range(MOST_WAITING)]
    assert queue.add("One too many.", 0) is None
    for each in (job, *left):
        each.asked -= speech_queue.PATIENCE + 1
    assert queue.get(left[0].id) is left[0]  # somebody asks for this one
    after = queue.add("After.", 0)
    net.go.release(3)
    wait_for(job, after)
    assert [each.stage for each in (job, *left, after)] == [
        "stopped",
        "done",
        *["stopped"] * (MOST_WAITING - 1),
        "done",
    ]


def test_a_failure_is_told_and_the_next_text_is_spoken(queue_of, capsys):
    def vocoder_for(seed):
        def fail(mel):
            raise {1: InputError("no such sound"), 2: RuntimeError("secret")}[seed]

        return fail if seed else vocoder

    queue = queue_of(FakeNetwork(), vocoder_for)
    jobs = [queue.add("A text.", seed) for seed in (1, 2, 0)]
    wait_for(*jobs)
    assert [job.stage for job in jobs] == ["failed", "failed", "done"]
    assert "no such sound" in jobs[0].error and "secret" not in jobs[1].error
    assert "RuntimeError: secret" in capsys.readouterr().err


def test_few_results_are_kept(queue_of):
    queue = queue_of(FakeNetwork())
    ids = []
    for _ in range(KEPT + 3):
        job = queue.add("A text.", 0)
        ids.append(job.id)
        wait_for(job)
    assert [name for name in ids if queue.get(name) is None] == ids[:3]


def test_a_network_that_has_diverged_is_an_error():
    def refuse(mel):
        raise InputError("not finite")

    with pytest.raises(InputError, match="not finite"):
        SpeechQueue(FakeNetwork(), lambda seed: refuse).work(until=bool)


def test_it_ends_between_two_sentences():
    asked, queue = [], SpeechQueue(FakeNetwork(), lambda seed: vocoder)
    job = queue.add("One. Two. Three. Four. Five.", 0)
    queue.work(until=lambda: asked.append(job.stage) or job.done == 2)
    assert (job.stage, job.done, job.total, asked[-1]) == ("stopped", 2, 5, "stopped")
