"""Tests of tools/benchmark.py: each suite, small and short, from the command line to its JSON."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.benchmark", *flags]
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    }  # the tests' own
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, env=environment, timeout=280)


def _report(tmp_path: pathlib.Path, *flags: str) -> dict[str, dict[str, float]]:
    """Values by case and metric."""
    output, plot = tmp_path / "report.json", tmp_path / "plot.png"
    result = _run(*flags, f"--output={output}", f"--plot={plot}", "--hidden_sizes=16,16")
    assert result.returncode == 0, result.stderr[-2000:]
    assert plot.read_bytes().startswith(b"\x89PNG")
    report = json.loads(output.read_text())
    assert {"suite", "machine", "versions", "command", "rows"} <= set(report)
    values: dict[str, dict[str, float]] = {}
    for row in report["rows"]:
        assert row["value"] is not None
        assert row["metric"] in result.stdout
        values.setdefault(row["case"], {})[row["metric"]] = row["value"]
    return values


def test_collection(tmp_path: pathlib.Path):
    tasks = "--tasks=gym:Pendulum-v1,gymnasium:CartPole-v1"
    rows = _report(tmp_path, "--suite=collection", tasks, "--recipes=static_wi8_ai8", "--duration_sec=0.1")
    label = "gym:Pendulum-v1 2x16"
    for arm in (
        "environment alone",
        "environment as wrapped here",
        "TF-Agents",
        "static_wi8_ai8",
        "static_wi8_ai8 K=8",
    ):
        assert rows[f"{label} {arm}"]["steps per second"] > 0
    own = rows[f"{label} static_wi8_ai8"]
    assert own["speed over TF-Agents"] > 0 and own["speed over environment alone"] > 0
    assert own["environment per step"] > 0 and own["write per step"] > 0 and own["inference per step"] > 0
    assert "step while policies come, 99 % are shorter" in own
    # TF-Agents has no code for gymnasium.
    assert {case.removeprefix("gymnasium:CartPole-v1 2x16 ") for case in rows if case.startswith("gymnasium")} == {
        "environment alone",
        "environment as wrapped here",
        "static_wi8_ai8",
        "static_wi8_ai8 K=8",
    }


def test_throughput_and_its_report(tmp_path: pathlib.Path):
    flags = [
        "--tasks=gym:Pendulum-v1",
        "--recipes=float32,static_wi8_ai8",
        "--duration_sec=0.1",
        "--hidden_sizes=16,16",
    ]
    output = tmp_path / "figures.json"
    result = _run("--suite=throughput", *flags, f"--output={output}")
    assert result.returncode == 0, result.stderr[-2000:]
    cases = {row["case"].removeprefix("gym:Pendulum-v1 2x16 ") for row in json.loads(output.read_text())["rows"]}
    assert cases == {"TF-Agents", "float32", "static_wi8_ai8"}  # the collectors alone
    command = [sys.executable, "-m", "tools.report", f"--throughput={output}", f"--output={tmp_path / 'page'}"]
    report = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60)
    assert report.returncode == 0, report.stderr[-2000:]
    assert "| task | S steps/s | F32 | I8 |" in (tmp_path / "page.md").read_text()


def test_inference(tmp_path: pathlib.Path):
    rows = _report(
        tmp_path,
        "--suite=inference",
        "--tasks=gym:CartPole-v1",
        "--recipes=float32,static_wi8_ai8",
        "--duration_sec=0.1",
    )
    label = "gym:CartPole-v1 2x16"
    for arm in ("tf.function float32", "TensorFlow's TFLite float32", "float32", "static_wi8_ai8"):
        assert rows[f"{label} {arm}"]["time per inference"] > 0
    assert any(metric.startswith("speed over reading") for metric in rows[f"{label} static_wi8_ai8"])


@pytest.mark.parametrize("task", ["gym:CartPole-v1", "gym:Pendulum-v1"])
def test_learner(tmp_path: pathlib.Path, task: str):
    rows = _report(tmp_path, "--suite=learner", f"--tasks={task}", "--duration_sec=0.1")
    own = rows[f"{task} 2x16 float32"]
    assert own["train steps per second"] > 0 and own["speed over TF-Agents"] > 0
    assert 0 <= own["time waiting for data"] <= 100
    assert own["share of the matrix products' rate"] > 0


def test_startup(tmp_path: pathlib.Path):
    rows = _report(tmp_path, "--suite=startup", "--tasks=gym:CartPole-v1", "--duration_sec=1", "--num_collectors=4")
    own = rows["gym:CartPole-v1 2x16 static_wi8_ai8"]
    assert own["from the request for a further collector to its first step"] > 0
    assert 1 < own["memory that is its own alone"] < 1000
    assert rows["gym:CartPole-v1 2x16 static_wi8_ai8, 4 collectors"]["steps per second, all together"] > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param([], "--suite is needed", id="no suite"),
        pytest.param(["--suite=speed"], "--suite=speed", id="unknown suite"),
        pytest.param(["--suite=inference", "--hidden_sizes=wide"], "like 256,256,256", id="sizes"),
        pytest.param(
            ["--suite=startup", "--num_collectors=0"],
            "is '0', needs positive numbers with commas between, like 8,64",
            id="collectors",
        ),
        pytest.param(["--suite=inference", "--output=nowhere/x.json"], "there is no directory", id="no place"),
        pytest.param(["--suite=preparation", "--policies=nowhere"], "there is no 'nowhere'", id="no policy"),
        pytest.param(["--suite=inference", "--tasks=gym:CartPol-v1"], "gym:CartPole-v1", id="unknown task"),
        pytest.param(["--suite=inference", "--recipes=int8"], "unknown recipe 'int8'", id="unknown recipe"),
    ],
)
def test_mistakes_are_one_line(flags: list[str], message: str):
    result = _run(*flags)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1 and message in result.stderr
