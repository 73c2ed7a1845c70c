"""The fork server, from which all processes of a run come, is killed."""

import psutil

from tfquarl.testing import train_process


def _fork_server(run):
    return next(process for process in run.processes() if process.ppid() == run.pid and _is_fork_server(process))


def _is_fork_server(process):
    return any("multiprocessing.forkserver" in word for word in process.cmdline())


def test_a_run_goes_on_after_the_death_of_its_fork_server(tmp_path):
    with train_process.TrainProcess(tmp_path / "run", "Experiment.num_env_steps = 1_000_000_000") as run:
        run.wait_until(lambda: run.rows("eval"))
        before = {process.pid for process in run.processes()}
        _fork_server(run).kill()
        num_rows = {group: len(run.rows(group)) for group in ("train", "collect/0")}
        run.wait_until(lambda: all(len(run.rows(group)) > number + 1 for group, number in num_rows.items()))
        assert before.isdisjoint(process.pid for process in run.processes())
        psutil.Process(run.pid).terminate()
        assert run.finish() == 130, run.stderr
        assert run.processes() == []
        assert run.summary()["status"] == "interrupted"
