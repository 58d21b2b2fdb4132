import functools
import json
import sys

import benchmark
import pytest
from benchmarks import growth as benchmark_growth
from benchmarks import growth_data, preprocess_workers
from benchmarks import ours as benchmark_ours
from benchmarks import start as benchmark_start
from benchmarks.process import Worker, WorkerFailed, alternate
from benchmarks.report import Limit, Row

from src.config import Config, WaveGlowConfig, load_config
from src.errors import InputError

# Speaks the protocol of scripts/benchmarks/worker.py; each run is appended to a file, so that a test sees the order.
STAND_IN = """
import sys
sys.path.insert(0, "scripts")
from benchmarks.worker import serve

name, record = sys.argv[1:]

def task(**sizes):
    def run():
        print("noise on stdout")
        with open(record, "a") as file:
            file.write(name)
    return run

def limits(**sizes):
    speeds = {"gflops": 100.0, "triad_gbytes_per_s": 10.0, "read_gbytes_per_s": 20.0, "launch_us": 5.0}
    speeds["gflops_by_type"] = {"float32": 100.0, "bfloat16": None}
    product = {"name": "large", "shape": [2, 3, 4], "mindspore": 90.0, "numpy": 100.0, "layout": "plain"}
    return lambda: {"limits": {"products": [product], **speeds}}

tasks = ("training", "compiling", "free_running", "exported", "vocoding", "mel", "reading")
serve({name: task for name in tasks} | {"limits": limits}, {name: "1.0"})
"""


@pytest.fixture
def stand_in(tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return lambda name: [sys.executable, str(script), name, str(tmp_path / "record")]


def test_workers_run_in_turn_after_one_run_that_does_not_count(stand_in, tmp_path):
    with Worker(stand_in("a")) as a, Worker(stand_in("b")) as b:
        for worker in (a, b):
            worker.ask("prepare", task="training", arguments={})
        samples = alternate({"a": a, "b": b}, 3, "")
        assert a.ask("versions") == {"versions": {"a": "1.0"}}
        assert a.ask("peak_memory")["gib"] > 0.001
    record = (tmp_path / "record").read_text()
    assert sorted(record[:2]) == ["a", "b"]
    assert record[2:] == "ababab"
    assert [len(samples[side]) for side in "ab"] == [3, 3]
    assert min(samples["a"] + samples["b"]) > 0


@pytest.mark.parametrize(
    ("code", "error"), [("print('no torch', file=sys.stderr); sys.exit(2)", InputError), ("1 / 0", WorkerFailed)]
)
def test_a_worker_that_ends_says_why(code, error, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(f"import sys; {code}")
    with Worker([sys.executable, str(script)]) as worker, pytest.raises(error, match=r"no torch|ZeroDivisionError"):
        worker.ask("versions")


def test_no_such_python():
    with pytest.raises(InputError, match="/nowhere/python"):
        Worker(["/nowhere/python", "x.py"])


def test_ratio_is_one_of_medians():
    row = Row("step", "step", "s", {"ours": [1.0, 9.0, 2.0], "peer": [8.0, 4.0, 1.0]})
    assert row.ratio == 0.5
    assert row.to_dict()["sides"]["ours"] == {"median": 2.0, "min": 1.0, "max": 9.0, "samples": [1.0, 9.0, 2.0]}
    assert "ours 2 s (1..9)" in str(row)
    assert "ratio 0.500" in str(row)


QUICK = [
    "training_step_b2_t3_l4",
    "training_peak_memory_b2_t3_l4",
    "free_running_batch_1",
    "free_running_batch_8_against_batch_1",
    "free_running_batch_8",
    "waveglow_100_frames",
    "preprocessing",
]
WHOLE = [
    "training_step_b2_t3_l4",
    "training_step_b2_t3_l4_against_compiled",
    "training_step_b5_t6_l7",
    "training_peak_memory_b5_t6_l7",
    "free_running_batch_1",
    "free_running_batch_8_against_batch_1",
    "free_running_batch_8",
    *(
        f"free_running_{weights}_batch_{n}{peer}"
        for peer in ("", "_against_compiled")
        for weights in ("onnx", "int8")
        for n in (1, 8)
    ),
    "waveglow_400_frames",
    "preprocessing",
    "light_waveglow_400_frames",
    "compile_time",
    "start",
    "exported_mindir",
    "exported_onnx",
]


def test_a_row_shows_its_share_of_its_limit():
    row = Row("step", "step", "s", {"ours": [4.0], "peer": [8.0]}, Limit(2.0, "3 GB at 1.5 GB/s"))
    assert row.to_dict()["limit"]["fractions"] == {"ours": 0.5, "peer": 0.25}
    assert "limit 2 s (3 GB at 1.5 GB/s): ours reaches 50%, peer reaches 25%" in str(row)


LIMITED = ["--rows", "free_running", "preprocessing", "--limits", "--quick"]


@pytest.mark.parametrize(
    ("flags", "names"),
    [(["--repeats", "2"], WHOLE), (["--quick"], QUICK), (LIMITED, [*QUICK[2:5], "preprocessing"])],
)
def test_every_printed_ratio_is_in_the_json(flags, names, stand_in, tmp_path, monkeypatch, capsys):
    path = tmp_path / "benchmark.json"
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *flags, "--json", str(path), "--shapes", "2x3x4", "5x6x7"])
    make = benchmark.Benchmark.__init__

    def with_stand_ins(self, *arguments):
        make(self, *arguments)
        self.commands = {side: stand_in(side) for side in self.commands}

    monkeypatch.setattr(benchmark.Benchmark, "__init__", with_stand_ins)
    monkeypatch.setattr(benchmark_start, "ROOT", tmp_path)
    (tmp_path / "eval.py").write_text(
        "import pathlib, sys; path = pathlib.Path(sys.argv[-1]); path.mkdir(); (path / '0001.wav').touch()"
    )
    benchmark.main()
    result = json.loads(path.read_text())
    printed = [float(line.split("ratio ")[1]) for line in capsys.readouterr().out.splitlines() if "ratio " in line]
    assert printed == [round(ratio, 3) for ratio in result["ratios"].values()]
    assert list(result["ratios"]) == names
    assert {"cpu", "cores"} <= set(result["machine"])
    assert [bool(row.get("limit")) for row in result["rows"]] == [flags == LIMITED] * len(names)
    assert result["versions"]["torchaudio"] == "1.0"
    assert ({"mindspore"} if "--quick" in flags else {"mindspore", "onnx", "onnxruntime"}) <= set(result["versions"])


@pytest.mark.parametrize("script", ["raise SystemExit('no such voice')", "print('nothing written')"])
def test_a_start_that_leaves_no_wav_is_an_error(script, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_start, "ROOT", tmp_path)
    (tmp_path / "eval.py").write_text(script)
    with pytest.raises(WorkerFailed, match=r"eval\.py ended with exit code [01]"):
        benchmark_start.seconds_to_wav(tmp_path / "cache", tmp_path / "first")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_known_before_the_measurements(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(
        sys, "argv", ["benchmark.py", "--peer_python", "/nowhere/python", "--json", str(tmp_path / "benchmark.json")]
    )
    with pytest.raises(InputError, match=f"{package} is missing here: pip install -r requirements-onnx.txt"):
        benchmark.main()


def test_the_network_of_config_is_a_tacotron2(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--config", "config/waveglow_small.yaml"])
    with pytest.raises(InputError, match="--config must be of a Tacotron 2"):
        benchmark.main()


WIDTHS = ("encoder_dim", "prenet_dim", "attention_rnn_dim", "attention_dim", "decoder_rnn_dim", "postnet_dim")


TASKS = [
    benchmark_ours.training,
    pytest.param(benchmark_ours.compiling, marks=pytest.mark.slow),
    benchmark_ours.free_running,
    benchmark_ours.free_running_onnx,
    functools.partial(benchmark_ours.free_running_onnx, precision="int8"),
]


@pytest.mark.parametrize("task", TASKS)
def test_ours_runs(task):
    layers = {"model.encoder_layers": 1, "model.postnet_layers": 1, "audio.n_mels": 4}
    config = load_config(overrides={f"model.{width}": 4 for width in WIDTHS} | layers).to_dict()
    task(config, seed=0, batch_size=2, n_frames=7, length=5)()


def test_our_onnx_files_run():
    layers = {"model.encoder_layers": 1, "model.postnet_layers": 1, "audio.n_mels": 4}
    config = load_config(overrides={f"model.{width}": 4 for width in WIDTHS} | layers).to_dict()
    benchmark_ours.exported(config, seed=0, n_frames=7, length=5, file_format="ONNX")()


def test_our_mel_spectrograms_are_made():
    benchmark_ours.mel("demo_corpus/wavs", load_config("config/tacotron2_small.yaml").to_dict())()


@pytest.mark.slow
def test_our_mindir_file_runs():
    layers = {"model.encoder_layers": 1, "model.postnet_layers": 1, "audio.n_mels": 4}
    config = load_config(overrides={f"model.{width}": 4 for width in WIDTHS} | layers).to_dict()
    benchmark_ours.exported(config, seed=0, n_frames=7, length=5, file_format="MINDIR")()


@pytest.mark.parametrize("by_onnx", [False, True])
def test_our_vocoder_runs(by_onnx):
    model = WaveGlowConfig(n_flows=2, wn_layers=1, wn_channels=4)
    benchmark_ours.vocoding(Config(model=model).to_dict(), seed=0, n_frames=3, by_onnx=by_onnx)()


def test_growth_measures_each_shape_once_and_draws_it(stand_in, tmp_path, monkeypatch, capsys):
    files = {"--json": tmp_path / "growth.json", "--picture": tmp_path / "growth.png"}
    sizes = ["--shape", "2x3x4", "--batch", "1", "2", "--frames", "3", "5", "--text", "4"]
    monkeypatch.setattr(sys, "argv", ["growth.py", *sizes, *(str(part) for pair in files.items() for part in pair)])
    monkeypatch.setattr(
        benchmark_growth, "commands", lambda _: {side: stand_in(side) for side in ("ours", "torchaudio")}
    )
    benchmark_growth.main()
    rows = json.loads(files["--json"].read_text())["rows"]
    assert [row["shape"] for row in rows] == [[1, 3, 4], [2, 3, 4], [2, 5, 4]]
    assert min(rows[0]["ours"].values()) > 0
    assert "2x5x4: ours" in capsys.readouterr().out
    assert files["--picture"].read_bytes().startswith(b"\x89PNG")


def test_growth_of_index_and_text_is_drawn(stand_in, tmp_path, monkeypatch, capsys):
    files = {"--json": tmp_path / "growth.json", "--picture": tmp_path / "growth.png"}
    sizes = ["--clips", "300", "100", "--sentences", "1", "--repeats", "1"]
    flags = [*sizes, *(str(part) for pair in files.items() for part in pair)]
    monkeypatch.setattr(sys, "argv", ["growth_data.py", *flags])
    measured = {("clips", 100): 1.0, ("clips", 300): 2.0, ("sentences", 1): 3.0}
    monkeypatch.setattr(
        growth_data, "measure", lambda kind, n, _: {"kind": kind, "n": n, "seconds": measured[kind, n], "gib": 0.5}
    )
    growth_data.main()
    rows = json.loads(files["--json"].read_text())["rows"]
    assert [row["seconds"] for row in rows] == [1.0, 2.0, 3.0]
    assert files["--picture"].read_bytes().startswith(b"\x89PNG")


def test_an_epoch_of_a_synthetic_index_is_planned():
    growth_data.clips(50)()


def test_preprocessing_is_measured_by_number_of_workers(tmp_path, monkeypatch, capsys):
    flags = ["--clips", "44", "--workers", "2", "--repeats", "1", "--json", str(tmp_path / "workers.json")]
    flags += ["--config", str(preprocess_workers.ROOT / "config/tacotron2_small.yaml")]
    monkeypatch.setattr(sys, "argv", ["preprocess_workers.py", *flags])
    preprocess_workers.main()
    rows = json.loads((tmp_path / "workers.json").read_text())["rows"]
    assert [row["workers"] for row in rows] == [1, 2]
    assert rows[0]["share"] == 1
    assert rows[1]["share"] == pytest.approx(rows[0]["seconds"][0] / (2 * rows[1]["seconds"][0]))
    assert "2 workers: " in capsys.readouterr().out
