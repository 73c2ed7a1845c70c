"""Compares collectors: TF-Agents' own (S) and this project's by recipe (F32, F16, D8, I8), on tasks and seeds.

    ./bazelw run //tools:study -- --gin_file=configs/gin/experiments/actorq_cartpole.gin --root_dir=runs/actorq

Each --gin_file is a task; StudyConfig in it tells arms and seeds. What has been run is kept: the same command goes on where it was
broken off, and writes report.md, report.json and plots into the study's directory when all runs are there. Further tasks, arms and seeds may
be run in the same directory; other settings are refused.
"""

import pathlib

from absl import flags

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.experiments import page_text
from tfquarl.experiments import study
from tfquarl.experiments import study_plan
from tfquarl.experiments import study_report
from tfquarl.experiments import study_results
from tfquarl.program import budget as budget_lib
from tfquarl.program import command_line
from tfquarl.program import gin_loading
from tfquarl.program import study_config

_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "A task's gin file; may be given several times.")
_GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", [], "A binding like 'StudyConfig.seeds = (1,)', for all tasks."
)
_ROOT_DIR = flags.DEFINE_string("root_dir", None, "The study's directory.")
_ARM = flags.DEFINE_string("arm", None, "Makes this one run, of --seed, in --root_dir; the study starts its runs so.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the run of --arm.")


def main() -> int:
    """Makes the runs that are missing, or one, and gives the exit code."""
    if not _GIN_FILE.value or _ROOT_DIR.value is None:
        return command_line.fail(
            "--gin_file and --root_dir are needed, for example --gin_file=configs/gin/experiments/actorq_cartpole.gin"
            " --root_dir=runs/actorq"
        )
    root, bindings = pathlib.Path(_ROOT_DIR.value), _GIN_BINDINGS.value
    if _ARM.value is not None:
        return _make_one(root, _ARM.value)
    plan = study_plan.make_plan(_GIN_FILE.value, bindings)
    settings = study_plan.settings(_GIN_FILE.value, bindings)
    with kept_plan.go_on(root, kept_plan.KeptPlan("study", settings)):
        study_results.write_floors(root, study_plan.floors(_GIN_FILE.value, bindings))
        study.run(plan, root, study.in_process_of_its_own(bindings), lambda line: print(line, flush=True))
        print(page_text.of(study_report.write_report(root, root / "report")))
    print(root / "report.md")
    return 0


def _make_one(directory: pathlib.Path, arm: str) -> int:
    if arm not in study_config.ARMS:
        raise errors.ConfigError(f"--arm={arm} is no arm of a study; those are {', '.join(study_config.ARMS)}")
    path = _GIN_FILE.value[0]
    name = gin_loading.load([path], _GIN_BINDINGS.value).experiment.name
    one = study_plan.StudyRun(path, name, arm, _SEED.value)
    result = study.make_run(one, directory, _GIN_BINDINGS.value)
    return command_line.INTERRUPTED if result.status is budget_lib.Status.INTERRUPTED else 0


if __name__ == "__main__":
    command_line.run(main)
