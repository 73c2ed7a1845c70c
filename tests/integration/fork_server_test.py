"""The fork server, from which all processes of a run come, is killed."""

import psutil

from tfquarl.testing import train_process

_NODES = ("server", "learner", "converter", "collector_0", "collector_1", "evaluator")


def _fork_server(run):
    return next(process for process in run.processes() if process.ppid() == run.pid and _is_fork_server(process))


def _is_fork_server(process):
    return any("multiprocessing.forkserver" in word for word in process.cmdline())


def test_a_run_goes_on_after_the_death_of_its_fork_server(tmp_path):
    with train_process.TrainProcess(tmp_path / "run", "Experiment.num_env_steps = 1_000_000_000") as run:
        run.wait_until(lambda: run.rows("eval"))
        old = {name: run.node(name) for name in _NODES}
        _fork_server(run).kill()
        run.wait_until(lambda: not any(process.is_running() for process in old.values()))
        num_rows = {group: len(run.rows(group)) for group in ("train", "collect/0", "collect/1")}
        run.wait_until(lambda: all(len(run.rows(group)) > number + 1 for group, number in num_rows.items()))
        psutil.Process(run.pid).terminate()
        assert run.finish() == 130, run.stderr
        assert run.processes() == []
        summary = run.summary()
        assert summary["status"] == "interrupted"
        assert summary["num_restarts"] == dict.fromkeys([*_NODES, "fork_server"], 1)
        assert "The fork server died, and with it every process of the run" in run.stderr
        assert "learner: it was lost when the fork server died; it is started again in" in run.stderr
