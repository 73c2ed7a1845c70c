"""The main job with real processes: to its end, interrupted, and with a process that dies."""

import dataclasses
import json
import os
import re
import signal
import time

import pytest

from tfquarl.program import archive
from tfquarl.runtime import flatbuffer
from tfquarl.testing import train_process

_ENDLESS = "Experiment.num_env_steps = 1_000_000_000"
_NODES = ["collector_0", "collector_1", "converter", "evaluator", "learner", "server"]


@dataclasses.dataclass
class _Finished:
    run: train_process.TrainProcess
    exit_code: int
    left: list


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run to its end, of 200 environment steps, with codecarbon beside it."""
    path = tmp_path_factory.mktemp("train") / "run"
    bindings = ["Experiment.num_env_steps = 200", "EnergyConfig.use_codecarbon = True"]
    with train_process.TrainProcess(path, *bindings) as run:
        yield _Finished(run, run.finish(), run.processes())


def test_it_ends_well_and_leaves_no_process(finished):
    assert finished.exit_code == 0, finished.run.stderr
    assert finished.left == []


def test_the_run_directory_has_all_that_its_readme_promises(finished):
    readme = (finished.run.run_dir / "README.txt").read_text()
    promised = re.findall(r"^  (\S+\.(?:tflite|json)) ", readme, re.MULTILINE)
    assert len(promised) == 4
    for name in promised:
        assert (finished.run.run_dir / "policies" / "latest" / name).is_file(), name
    for pattern in _top_level_patterns(readme):
        assert list(finished.run.run_dir.glob(pattern)), pattern
    assert sorted(path.stem for path in (finished.run.run_dir / "logs").iterdir()) == _NODES
    assert finished.run.checkpoints() != []


def test_the_readme_tells_of_everything_that_is_there(finished):
    readme = (finished.run.run_dir / "README.txt").read_text()
    told = {pattern.split("/")[0] for pattern in _top_level_patterns(readme)}
    assert {path.name for path in finished.run.run_dir.iterdir()} - {"README.txt"} <= told


def test_the_summary_tells_how_it_ended(finished):
    summary = finished.run.summary()
    assert summary["status"] == "completed" and summary["reason"] is None
    assert summary["env_steps"] >= 200 and summary["train_steps"] > 0 and summary["wall_time_sec"] > 0
    assert summary["policy_version"] >= 1
    for key in ("int8", "float32"):
        low, high = summary[key]["confidence_interval"]
        assert low <= summary[key]["mean_return"] <= high
        assert summary[key]["episodes"] == 3
        assert summary[key]["size_bytes"] > 1000
    last = summary["last_policy"]
    assert last["train_step"] == summary["train_steps"]


def test_the_energy_is_split_over_processes_and_codecarbon_saw_no_more_of_it(finished):
    energy = finished.run.summary()["energy"]
    assert set(energy["joules_by_role"]) >= {"learner", "converter", "collector", "server", "evaluator"}
    assert sum(energy["joules_by_role"].values()) == pytest.approx(energy["joules"])
    assert 0 < energy["codecarbon"]["joules"] <= 1.1 * energy["joules"]


def test_the_policy_that_was_judged_is_kept_and_verifies(finished):
    summary = finished.run.summary()
    policy = archive.load(finished.run.run_dir, "best")
    assert policy.version == summary["policy_version"]
    assert len(policy.model) == summary["int8"]["size_bytes"]
    assert len(archive.load_pair(finished.run.run_dir, "best").reference.model) == summary["float32"]["size_bytes"]


def test_figures_have_the_names_of_tf_agents_metrics(finished):
    evaluation = finished.run.rows("eval")[-1]
    assert {"Metrics/AverageReturn", "Metrics/AverageEpisodeLength"} <= set(evaluation["values"])
    collected = {row["group"]: row for row in finished.run.rows("collect/")}
    assert set(collected) == {"collect/0", "collect/1"}
    steps = [row["values"]["Metrics/EnvironmentSteps"] for row in collected.values()]
    assert sum(steps) == finished.run.summary()["env_steps"]
    assert finished.run.rows("train")[-1]["values"]["Losses/loss"] >= 0


def test_the_console_tells_the_result_in_plain_lines(finished):
    assert "completed after" in finished.run.stdout
    assert "static_wi8_ai8" in finished.run.stdout and "\x1b" not in finished.run.stdout


@pytest.mark.parametrize(
    ("number", "to_group"),
    [
        pytest.param(signal.SIGINT, True, id="ctrl_c"),
        pytest.param(signal.SIGTERM, False, id="sigterm"),
        pytest.param(signal.SIGHUP, True, id="closed_terminal"),
    ],
)
def test_an_interrupt_ends_it_within_10_seconds_with_checkpoint_and_summary(tmp_path, number, to_group):
    with train_process.TrainProcess(tmp_path / "run", _ENDLESS) as run:
        run.wait_until(lambda: run.rows("train"))
        started = time.monotonic()
        (os.killpg if to_group else os.kill)(run.pid, number)
        assert run.finish() == 130, run.stderr
        assert time.monotonic() - started < 10
        assert run.processes() == []
        summary = run.summary()
        assert summary["status"] == "interrupted"
        assert run.checkpoints()[-1] == f"ckpt-{summary['train_steps']}"


def test_an_interrupt_of_the_final_evaluation_ends_it_within_10_seconds(tmp_path):
    bindings = ["Experiment.num_env_steps = 200", "EvaluatorConfig.num_episodes = 1_000_000"]
    with train_process.TrainProcess(tmp_path / "run", *bindings) as run:
        run.wait_until(run.checkpoints)  # the learner's last one
        started = time.monotonic()
        os.killpg(run.pid, signal.SIGINT)
        assert run.finish() == 130, run.stderr
        assert time.monotonic() - started < 10
        assert run.processes() == []
        assert run.summary()["status"] == "interrupted"


@pytest.mark.parametrize("name", ["collector_0", "server"])
def test_a_process_that_dies_ends_the_run_with_its_name_and_log(tmp_path, name):
    with train_process.TrainProcess(tmp_path / "run", _ENDLESS, "SupervisionConfig.max_deaths = 0") as run:
        run.wait_until(lambda: run.rows("train"))
        run.node(name).kill()
        assert run.finish() == 1
        message = f"{name}: exit code -9; its log is logs/{name}.log in the run directory"
        assert run.stderr.splitlines()[-1] == f"error: {message}"
        assert run.processes() == []
        summary = run.summary()
        assert (summary["status"], summary["reason"]) == ("failed", message)
        assert run.checkpoints() != []


def test_the_same_command_goes_on_where_a_run_was_interrupted(tmp_path):
    with train_process.TrainProcess(tmp_path / "run", _ENDLESS) as first:
        first.wait_until(lambda: first.rows("eval"))
        os.kill(first.pid, signal.SIGINT)
        assert first.finish() == 130, first.stderr
    before, num_rows = first.summary(), len(first.rows())
    with train_process.TrainProcess(
        tmp_path / "run", f"Experiment.num_env_steps = {before['env_steps'] + 200}"
    ) as second:
        assert second.finish() == 0, second.stderr
    after, rows = second.summary(), second.rows()[num_rows:]
    assert (after["status"], after["num_resumes"]) == ("completed", 1)
    assert after["env_steps"] >= before["env_steps"] + 200
    assert after["wall_time_sec"] > before["wall_time_sec"]
    shown = re.findall(r"\(best (\S+)\)", second.stdout)
    assert float(shown[0]) >= round(before["int8"]["mean_return"], 1)  # before there is a verdict of its own
    assert after["last_policy"]["policy_version"] > before["last_policy"]["policy_version"]
    steps = {group: [row["step"] for row in rows if row["group"] == group] for group in ("collect/0", "train")}
    assert all(group == sorted(group) for group in steps.values())
    assert steps["train"][0] > before["train_steps"]
    server = (tmp_path / "run" / "logs" / "server.log").read_text()
    assert int(re.findall(r"Table experience and (\d+) items have been successfully loaded", server)[-1]) > 0


def test_nothing_outlives_a_launcher_that_is_killed(tmp_path):
    with train_process.TrainProcess(tmp_path / "run", _ENDLESS) as run:
        run.wait_until(lambda: run.rows("collect/"))
        processes = run.processes()
        assert len(processes) >= len(_NODES)
        os.kill(run.pid, signal.SIGKILL)
        run.finish()
        for process in processes:
            process.wait(timeout=60)
        assert run.processes() == []


def test_in_one_process_the_same_seed_gives_the_same_result(tmp_path):
    runs = [
        train_process.TrainProcess(
            tmp_path / name,
            "Experiment.num_env_steps = 200",
            f"Experiment.seed = {seed}",
            gin_files=("configs/gin/scale/debug.gin",),
        )
        for name, seed in (("first", 7), ("second", 7), ("other", 8))
    ]
    for run in runs:
        with run:
            assert run.finish() == 0, run.stderr
    first, second, other = (_results(run) for run in runs)
    assert len(first["evaluations"]) > 1
    assert first == second
    assert first["digest"] != other["digest"] and first["evaluations"] != other["evaluations"]


def test_in_one_process_a_run_goes_on_too(tmp_path):
    for num_env_steps in (200, 400):
        with train_process.TrainProcess(
            tmp_path / "run",
            f"Experiment.num_env_steps = {num_env_steps}",
            gin_files=("configs/gin/scale/debug.gin",),
        ) as run:
            assert run.finish() == 0, run.stderr
    summary, steps = run.summary(), [row["step"] for row in run.rows("collect/")]
    assert (summary["status"], summary["num_resumes"]) == ("completed", 1)
    assert summary["env_steps"] >= 400 and steps == sorted(steps)
    assert summary["train_steps"] >= 8 * (400 - 64 - 16) // 16  # by all transitions, those of the first run too


def test_in_one_process_the_time_of_a_run_goes_on_too(tmp_path):
    debug = "configs/gin/scale/debug.gin"
    with train_process.TrainProcess(tmp_path / "run", "Experiment.num_env_steps = 200", gin_files=(debug,)) as run:
        assert run.finish() == 0, run.stderr
    first = run.summary()
    limits = "Experiment.num_env_steps = 1_000_000", f"Experiment.max_wall_time_sec = {first['wall_time_sec']}"
    with train_process.TrainProcess(tmp_path / "run", *limits, gin_files=(debug,)) as run:
        assert run.finish() == 0, run.stderr
    summary = run.summary()
    assert summary["status"] == "completed"
    assert summary["env_steps"] == first["env_steps"] + 64  # one round: its time was used when it began


def test_in_one_process_a_categorical_agent_collects_by_int8_policies(tmp_path):
    with train_process.TrainProcess(
        tmp_path / "run",
        "Experiment.num_env_steps = 200",
        gin_files=("configs/gin/agent/dqn_categorical.gin", "configs/gin/scale/debug.gin"),
    ) as run:
        assert run.finish() == 0, run.stderr
    assert run.rows("collect/")[-1]["values"]["Policy/version"] > 1
    converted = [row["values"] for row in run.rows("convert")]
    assert [values["Parity/is_passed"] for values in converted] == [1.0] * len(converted)
    artifact = archive.load(run.run_dir, "latest")
    assert (artifact.recipe, artifact.manifest["architecture"]["num_atoms"]) == ("static_wi8_ai8", 51)
    operators = [operator.name for operator in flatbuffer.read_layout(artifact.model).operators]
    assert operators[-5:] == ["RESHAPE", "SOFTMAX", "MUL", "SUM", "RESHAPE"]


def _results(run):
    """What a run came to, without what the clock says."""
    rows = [row for group in ("eval", "convert") for row in run.rows(group)]
    for row in rows:
        del row["time_sec"]
        row["values"] = {name: value for name, value in row["values"].items() if not name.startswith("RunTime/")}
    summary = {name: value for name, value in run.summary().items() if not name.endswith("_sec")}
    del summary["seed"], summary["energy"]
    return {
        "evaluations": [
            json.loads(path.read_text()) for path in sorted(run.run_dir.glob("policies/*/evaluation.json"))
        ],
        "digest": archive.load(run.run_dir, "latest").digest,
        "rows": rows,
        "summary": summary,
    }


def _top_level_patterns(readme):
    """Names at the beginning of the readme's lines, as patterns: 'policies/<version>/' becomes 'policies/*'."""
    names = [name for line in readme.splitlines()[1:] for name in re.findall(r"^((?:\S+ ?)+)(?:  |$)", line)]
    return [re.sub(r"<\w+>", "*", name).rstrip("/:") for line in names for name in line.split()]
