"""Tests of tfquarl/experiments/training_report.py."""

import contextlib
import json
import pathlib
from typing import Any

import pytest

from tfquarl.core import errors
from tfquarl.experiments import training_report
from tfquarl.metrics import jsonl
from tfquarl.metrics import names

_GIN_FILE = "configs/gin/experiments/dqn_cartpole_int8.gin"
_VERSIONS = {
    "packages": {"python": "3.11.7"},
    "commit": "abc",
    "machine": {"cores": 2, "cpu": "a processor", "flags": ["avx2"]},
}


def _run(
    path: pathlib.Path, seed: int, mean_return: float | None, experiment: str = "dqn_cartpole_int8"
) -> pathlib.Path:
    path.mkdir()
    verdict = None
    if mean_return is not None:
        verdict = {
            "mean_return": mean_return,
            "confidence_interval": [mean_return - 1, mean_return + 1],
            "episodes": 20,
            "size_bytes": 1000,
        }
    summary = {
        "experiment": experiment,
        "recipe": "static_wi8_ai8",
        "seed": seed,
        "status": "completed",
        "env_steps": 200,
        "train_steps": 50,
        "wall_time_sec": 12.54,
        "int8": verdict,
        "float32": verdict,
    }
    command = ["/any/tools/train.py", f"--gin_bindings=Experiment.seed = {seed}", "--root_dir=/any/run"]
    (path / "operative_config.gin").write_text(f"include '{_GIN_FILE}'\nExperiment.seed = {seed}\n")
    (path / "summary.json").write_text(json.dumps(summary))
    (path / "versions.json").write_text(json.dumps({**_VERSIONS, "command": command}))
    values = {names.AVERAGE_RETURN: 10.0 * seed, names.FLOAT32_AVERAGE_RETURN: 11.0 * seed}
    rows = [
        jsonl.MetricRow(1.0, f"{names.COLLECT}/0", 120, {}),
        jsonl.MetricRow(1.0, f"{names.COLLECT}/1", 80, {}),
        jsonl.MetricRow(2.0, names.EVAL, 50, values),
    ]
    with contextlib.closing(jsonl.JsonLinesWriter(path / "metrics.jsonl")) as writer:
        for row in rows:
            writer.write(row)
    return path


def test_a_row_and_a_command_for_each_run_by_seed(tmp_path: pathlib.Path):
    paths = [_run(tmp_path / "b", 2, 480.0), _run(tmp_path / "a", 1, 490.0)]
    (tmp_path / "made").mkdir()
    text = training_report.write_report(paths, tmp_path / "made" / "report", 475.0, "Another job ran beside it.")
    rows = [line for line in text.splitlines() if line.startswith(("| 1", "| 2"))]
    assert rows == [
        "| 1 | completed | 200 | 50 | 12.54 | 490.0 | 489.0 .. 491.0 | 490.0 | 20 | 1000 / 1000 |",
        "| 2 | completed | 200 | 50 | 12.54 | 480.0 | 479.0 .. 481.0 | 480.0 | 20 | 1000 / 1000 |",
    ]
    assert '    ./bazelw run //tools:train -- "--gin_bindings=Experiment.seed = 1"\n' in text
    assert "Another job ran beside it." in text and "at commits abc:" in text
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == [
        "report.json",
        "report.md",
        "report_env_steps.png",
        "report_wall_time.png",
    ]
    assert (tmp_path / "made" / "report.md").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--gin_bindings=A.x = 1"], '"--gin_bindings=A.x = 1"'),
        (["--gin_bindings=A.x='all'"], "\"--gin_bindings=A.x='all'\""),
        (["--gin_bindings=A.x=(1,2)"], '"--gin_bindings=A.x=(1,2)"'),
        (["--gin_bindings", 'A.x = "$y"'], "--gin_bindings 'A.x = \"$y\"'"),
        (["--root_dir", "/any/run", "--seed=1"], "--seed=1"),
    ],
    ids=["spaces", "quotes", "brackets", "what shells read", "a directory in two words"],
)
def test_a_command_can_be_typed(arguments: list[str], shown: str):
    found = training_report.command({"command": ["/any/tools/train.py", *arguments]})
    assert found == f"./bazelw run //tools:train -- {shown}"


@pytest.mark.parametrize(
    ("bindings", "told"),
    [
        (
            "ConverterConfig.recipe = 'float32'",
            r"ConverterConfig\.recipe: 'static_wi8_ai8' \(.*/a\), 'float32' \(.*/c\)",
        ),
        ("EnvironmentConfig.name = 'gym:Acrobot-v1'", r"EnvironmentConfig\.name: 'gym:CartPole-v1' \(.*/a\), 'gym:A"),
        (
            "DqnBuilder.n_step = 3\nDqnBuilder.learning_rate = 2e-3",
            r"DqnBuilder\.n_step: 10 \(.*\), 3 \(.*\); DqnBuilder\.learning_rate: 0\.001 \(.*\), 0\.002 \(.*/c\)",
        ),
    ],
    ids=["recipe", "environment", "two settings"],
)
def test_runs_of_other_settings_are_no_seeds_of_one_experiment(bindings: str, told: str, tmp_path: pathlib.Path):
    paths = [_run(tmp_path / name, seed, 480.0) for seed, name in enumerate("abc")]
    training_report.write_report(paths, tmp_path / "report")
    with (paths[2] / "operative_config.gin").open("a") as file:
        file.write(bindings)
    with pytest.raises(
        errors.ConfigError, match=rf"differ in their seed alone, got .*{told}.*; make one report of each"
    ):
        training_report.write_report(paths, tmp_path / "report")
    training_report.write_report(paths[2:], tmp_path / "alone")


def test_the_page_names_the_recipe(tmp_path: pathlib.Path):
    path = _run(tmp_path / "a", 1, 480.0)
    _change(path, "summary.json", recipe="float32")
    text = training_report.write_report([path], tmp_path / "report")
    assert "| float32 return |" in text and "The curves are of the float32 policy" in text
    assert "int8" not in text.replace("dqn_cartpole_int8", "")


@pytest.mark.parametrize(
    ("failures", "told"),
    [((None, 0), None), ((3, 0), "3 of seed 1;"), ((3, 2), "3 of seed 1, 2 of seed 2;")],
    ids=["none", "one run", "two runs"],
)
def test_policies_that_parity_refused_are_told(
    failures: tuple[int | None, int], told: str | None, tmp_path: pathlib.Path
):
    paths = [_run(tmp_path / name, seed, 480.0) for seed, name in enumerate("ab", 1)]
    for path, count in zip(paths, failures):
        if count is not None:
            _change(path, "summary.json", num_parity_failures=count)
    text = training_report.write_report(paths, tmp_path / "report")
    assert f"Policies refused by parity: {told} in their place" in text if told else "refused" not in text


def test_pictures_are_shown_where_the_name_has_a_space(tmp_path: pathlib.Path):
    text = training_report.write_report([_run(tmp_path / "a", 1, 480.0)], tmp_path / "my report")
    assert "![Return against environment steps](my%20report_env_steps.png)" in text
    assert (tmp_path / "my report_env_steps.png").exists() and "Data: my report.json." in text


def test_a_small_return_lies_in_its_interval(tmp_path: pathlib.Path):
    path = _run(tmp_path / "a", 1, 480.0)
    verdict = {"mean_return": -0.015034, "confidence_interval": [-0.0152, -0.0148], "episodes": 20, "size_bytes": 9}
    _change(path, "summary.json", int8=verdict, float32=verdict)
    text = training_report.write_report([path], tmp_path / "report")
    assert "| -0.01503 | -0.01520 .. -0.01480 | -0.01503 | 20 |" in text


def test_every_machine_and_package_is_told(tmp_path: pathlib.Path):
    paths = [_run(tmp_path / name, seed, 480.0) for seed, name in enumerate("ab")]
    other = {"cores": 64, "cpu": "another", "flags": []}
    _change(paths[1], "versions.json", machine=other, packages={"python": "3.12.1", "numpy": "2"}, commit=None)
    text = training_report.write_report(paths, tmp_path / "report")
    assert "2 runs by recipe static_wi8_ai8 on 2 cores (a processor, avx2) and 64 cores (another). " in text
    assert "Packages: python 3.11.7 or 3.12.1, numpy 2.\n" in text and "at commits abc, unknown:" in text


def _change(run: pathlib.Path, name: str, **values: Any) -> None:
    """Changes a JSON file of a run."""
    (run / name).write_text(json.dumps({**json.loads((run / name).read_text()), **values}))


def test_the_data_hold_the_curves(tmp_path: pathlib.Path):
    training_report.write_report([_run(tmp_path / "a", 3, 1.0)], tmp_path / "report")
    (data,) = json.loads((tmp_path / "report.json").read_text())
    assert data["curves"]["int8"] == {"time_sec": [2.0], "env_steps": [200], "train_steps": [50], "returns": [30.0]}


def test_steps_of_held_actions_are_the_environments_own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    path = _run(tmp_path / "a", 1, 1.0)
    _change(path, "summary.json", action_repeat=4)
    plotted: list[Any] = []
    monkeypatch.setattr(training_report.plots, "learning_curves", lambda curves, *_: plotted.extend(curves.values()))
    text = training_report.write_report([path], tmp_path / "report")
    assert "| 1 | completed | 800 | 50 |" in text
    assert "\nEnv steps are the environment's own, 4 for each action; commands and data count actions.\n" in text
    assert [[curve.env_steps.tolist() for curve in curves] for curves in plotted] == [[[800]], [[800]]]
    (data,) = json.loads((tmp_path / "report.json").read_text())
    assert (data["summary"]["env_steps"], data["curves"]["int8"]["env_steps"]) == (200, [200])


def test_each_run_has_a_curve(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    paths = [_run(tmp_path / name, seed, 1.0) for name, seed in (("a", 2), ("b", 1), ("c", 2))]
    plotted: list[Any] = []
    monkeypatch.setattr(training_report.plots, "learning_curves", lambda curves, *_: plotted.append(list(curves)))
    training_report.write_report(paths, tmp_path / "report")
    assert plotted == [[f"static_wi8_ai8, seed {text}" for text in ("1", "2, row 2", "2, row 3")]] * 2


def test_a_run_that_was_never_judged_has_a_row(tmp_path: pathlib.Path):
    text = training_report.write_report([_run(tmp_path / "a", 1, None)], tmp_path / "report")
    assert "| 1 | completed | 200 |" in text


def _two_experiments(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    return [_run(tmp_path / "a", 1, 1.0), _run(tmp_path / "b", 2, 1.0, "another")]


def _no_commands(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    path = _run(tmp_path / "a", 1, 1.0)
    (path / "versions.json").write_text("{")
    return [path]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        pytest.param(lambda _: [], errors.ConfigError, "needs runs of one experiment, got no runs", id="none"),
        pytest.param(_two_experiments, errors.ConfigError, "'another', 'dqn_cartpole_int8'", id="two experiments"),
        pytest.param(_no_commands, errors.ArtifactError, "versions.json can't be read", id="damaged versions"),
    ],
)
def test_refuses(make: Any, error: type[Exception], message: str, tmp_path: pathlib.Path):
    with pytest.raises(error, match=message):
        training_report.write_report(make(tmp_path), tmp_path / "report")
    assert not (tmp_path / "report.md").exists()
