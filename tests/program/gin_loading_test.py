"""Tests of `tfquarl.program.gin_loading` and `gin_places`: mistakes by file and line, and what a good file becomes."""

import os
import re

import pytest

from tfquarl.core import errors
from tfquarl.program import gin_loading

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"
_INCLUDE = f"include '{_EXPERIMENT}'\n"
_ARCHITECTURE = """PolicyArchitecture.observation_size = 4
PolicyArchitecture.hidden_sizes = (8, 8)
PolicyArchitecture.output_size = 2
PolicyArchitecture.head = 'q_values'
"""


@pytest.fixture(autouse=True)
def _source_tree(monkeypatch):
    """Gin files are found wherever a test is started."""
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", os.getcwd())


def _refusal(gin_files, gin_bindings=(), load=gin_loading.load):
    with pytest.raises(errors.ConfigError) as caught:
        load([str(path) for path in gin_files], gin_bindings)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("NoSuch.x = 1", "2: No configurable matching 'NoSuch'", id="class"),
        pytest.param("DqnBuildr.n_step = 1", "2: No configurable .*; did you mean 'DqnBuilder'", id="class_misspelt"),
        pytest.param("DqnBuilder.foo = 1", "2: .*'DqnBuilder' doesn't have a parameter named 'foo'", id="parameter"),
        pytest.param("DqnBuilder.n_stepp = 1", "2: .*; did you mean 'n_step'?", id="parameter_misspelt"),
        pytest.param("Experiment.agent = @NoSuch()", "2: No configurable matching reference '@NoSuch", id="reference"),
        pytest.param("Experiment.seed = %N", "2: macro %N is used, and nothing defines it", id="macro"),
        pytest.param("DqnBuilder.hidden_sizes = (8, %N)", "2: macro %N is used", id="macro_inside"),
        pytest.param(
            "import nosuch", "2: imports 'nosuch', which would run it; gin files bind values only", id="module"
        ),
        pytest.param("from os import path", "2: imports 'os.path', which would run it", id="from"),
        pytest.param("include 'no/such.gin'", "2: no gin file 'no/such.gin'; looked in ", id="include"),
        pytest.param("Experiment:\n  sed = 1", "3: .*; did you mean 'seed'", id="block"),
        pytest.param(
            "PolicyArchitecture.head = 'action'",
            "2: PolicyArchitecture.head: an experiment has no PolicyArchitecture, take the line out",
            id="of an architecture",
        ),
    ],
)
def test_a_wrong_name_is_told_by_file_and_line(tmp_path, line, message):
    path = tmp_path / "a.gin"
    path.write_text(_INCLUDE + line + "\n")
    assert _matches(_refusal([path]), f"{path}:{message}")


@pytest.mark.parametrize("way", ["file", "included file", "binding"])
def test_a_module_that_a_gin_file_imports_does_not_run(tmp_path, monkeypatch, way):
    marker, path = tmp_path / "marker", tmp_path / "a.gin"
    (tmp_path / "tfquarl_test_evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path.write_text(_INCLUDE if way == "binding" else "import tfquarl_test_evil\n" + _INCLUDE)
    (tmp_path / "b.gin").write_text(f"include '{path}'\n")
    given = tmp_path / "b.gin" if way == "included file" else path
    message = _refusal([given], ["import tfquarl_test_evil"] if way == "binding" else [])
    assert message.startswith(f"{'--gin_bindings' if way == 'binding' else path}:1: imports 'tfquarl_test_evil'")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Experiment.num_env_steps = 'many'", "got 'many', needs int"),
        ("Experiment.num_env_steps = 1.5", "got 1.5, needs int"),
        ("Experiment.num_env_steps = -5", "num_env_steps is -5, needs 1 or more"),
        ("Experiment.seed = True", "got True, needs int"),
        ("DqnBuilder.learning_rate = True", "got True, needs float"),
        ("Experiment.name = None", "got None, needs str"),
        ("Experiment.name = 'a/b'", "name is 'a/b', needs a word without spaces and slashes"),
        ("Experiment.name = 5", "got 5, needs str"),
        ("Experiment.name = ''", "name is '', needs a word"),
        ("Experiment.name = '..'", "name is '..', needs a word"),
        (r"Experiment.name = 'x\ny'", r"name is 'x\ny', needs a word"),
        (r"Experiment.name = 'x\u2028y'", r"name is 'x\u2028y', needs a word"),
        ("Experiment.stop_at_return = 1e999", "stop_at_return is inf, needs a number that a return can reach, or None"),
        ("Experiment.final_evaluation_sec = -1.0", "final_evaluation_sec is -1.0, needs 0 or more"),
        ("Experiment.agent = @DqnBuilder", "got the class @DqnBuilder, needs AgentBuilder; did you mean @DqnBuilder()"),
        ("Experiment.agent = @ReplayConfig()", "got @ReplayConfig(), needs AgentBuilder"),
        ("Experiment.learner = 3", "got 3, needs LearnerConfig"),
        ("tfquarl.Experiment.seed = 'a'", "got 'a', needs int"),
        ("ScaleConfig.in_process = 'yes'", "got 'yes', needs bool"),
        ("ScaleConfig.num_collectors = 0", "num_collectors is 0, needs 1 or more"),
        ("DqnBuilder.hidden_sizes = 256", "got 256, needs tuple[int, ...]"),
        ("DqnBuilder.hidden_sizes = ('a',)", "got ('a',), needs tuple[int, ...]"),
        ("DqnBuilder.hidden_sizes = ()", "hidden_sizes is (), needs the units of one layer or more"),
        ("DqnBuilder.activation = 'foo'", "activation is 'foo', needs one of relu, tanh"),
        ("DqnBuilder.n_step = 0", "n_step is 0, needs 1 or more"),
        ("Experiment.seed = -1", "seed is -1, needs 0 to 2147483647"),
        ("Experiment.seed = 2_147_483_648", "seed is 2147483648, needs 0 to 2147483647"),
        ("LearnerConfig.batch_size = 0", "batch_size is 0, needs 1 or more"),
        ("ConverterConfig.recipe = 'int7'", "unknown recipe 'int7'"),
        ("EvaluatorConfig.num_episodes = 0", "num_episodes is 0, needs 1 or more"),
        ("CollectorConfig.report_interval_sec = 0", "report_interval_sec is 0, needs more than 0"),
        ("EnergyConfig.grid_g_per_kwh = {'WORLD': 'a'}", "got {'WORLD': 'a'}, needs "),
        ("EnvironmentConfig.action_repeat = 0", "action_repeat is 0, needs 1 or more"),
    ],
)
def test_a_wrong_value_is_told_by_file_line_and_parameter(tmp_path, line, message):
    path = tmp_path / "a.gin"
    path.write_text(f"{_INCLUDE}\n{line}\n")
    parameter = line.split(" = ")[0].removeprefix("tfquarl.")
    assert _refusal([path]).startswith(f"{path}:3: {parameter}: {message}")


@pytest.mark.parametrize(
    "bindings",
    [
        pytest.param(["Experiment.scale = @Experiment()"], id="itself"),
        pytest.param(["DqnBuilder.n_step = @ReplayConfig()", "ReplayConfig.max_size = @DqnBuilder()"], id="by another"),
    ],
)
def test_a_class_that_is_bound_to_itself(bindings):
    message = _refusal([_EXPERIMENT], bindings)
    assert message.startswith("a binding leads back to its own class, as 'Experiment.scale = @Experiment()' does")


@pytest.mark.parametrize("binding", ["EnvironmentConfig.action_repeat = 2", "CollectorConfig.max_episode_steps = 2"])
def test_a_suite_that_steps_many_environments_by_one_call_does_no_more_than_that(tmp_path, binding):
    path = tmp_path / "a.gin"
    path.write_text(f"{_INCLUDE}ScaleConfig.is_vectorized = True\n{binding}\n")
    parameter = binding.split(".")[1].split(" ")[0]
    assert _refusal([path]).startswith(f"Experiment: {parameter} is 2 and is_vectorized True")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("Experiment.seed == 3\n", "1: Couldn't parse statement, expected ':' or '='", id="two_equals"),
        pytest.param("\nExperiment.seed =\n", "2: Unable to parse value: Experiment.seed =", id="no_value"),
        pytest.param("just words\n", "1: Couldn't parse statement, .*: just words", id="words"),
        pytest.param("Experiment.seed = int\n", "1: Failed to parse token 'int': Experiment.seed = int", id="name"),
        pytest.param("\nDqnBuilder.hidden_sizes = (1,\n", "2: a bracket or a quote is not closed: Dqn", id="bracket"),
        pytest.param("Experiment.name = 'a\n", "1: Unable to parse value: Experiment.name = 'a", id="quote"),
        pytest.param("include 'c.gin'\n", "1: no gin file 'c.gin'", id="included_file"),
        pytest.param("Experiment.seed = 1\nDqnBuilder.no = 2\n", "2: .*parameter named 'no'", id="parameter"),
        pytest.param("Experiment.seed = 'x'\n", "1: Experiment.seed: got 'x', needs int", id="type"),
        pytest.param("\nScaleConfig.num_collectors = 0\n", "2: ScaleConfig.num_collectors: num_", id="range"),
    ],
)
@pytest.mark.parametrize("where", ["given", "included"])
def test_a_mistake_in_an_included_file_is_told_by_that_file(tmp_path, text, message, where):
    faulty, outer = tmp_path / "b.gin", tmp_path / "a.gin"
    faulty.write_text(text)
    outer.write_text(f"{_INCLUDE}include '{faulty}'\n")
    refusal = _refusal([_EXPERIMENT, faulty] if where == "given" else [outer])
    assert _matches(refusal, f"{faulty}:{message}")


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        (["Experiment.seed = 'x'"], "--gin_bindings:1: Experiment.seed: got 'x', needs int"),
        (["Experiment.seed = 3", "Experiment.sed = 3"], "--gin_bindings:2: .*; did you mean 'seed'"),
        (["Experiment.seed = 3", "oops"], "--gin_bindings:2: Couldn't parse statement, .*: oops"),
        (["Experiment.seed = ("], "--gin_bindings:1: a bracket or a quote is not closed: Experiment.seed = ("),
    ],
)
def test_a_mistake_on_the_command_line_is_told_by_its_number(bindings, message):
    assert _matches(_refusal([_EXPERIMENT], bindings), message)


def test_a_file_that_includes_itself_is_refused(tmp_path):
    a, b = tmp_path / "a.gin", tmp_path / "b.gin"
    a.write_text(f"include '{b}'\n")
    b.write_text(f"\ninclude '{a}'\n")
    assert _refusal([a]) == f"{b}:2: '{a}' includes itself"


def test_a_file_that_is_not_there_is_told_with_the_places_that_were_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refusal = _refusal(["no.gin"])
    assert refusal.startswith("no gin file 'no.gin'; looked in ") and str(tmp_path) in refusal


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.gin"
    path.write_bytes(b"\xff\xfe")
    assert "can't be read" in _refusal([path])


def test_an_experiment_that_lacks_a_part_says_which(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text("include 'configs/gin/base.gin'\nExperiment.name = 'a'\n")
    assert _refusal([path]).startswith("nothing binds EnvironmentConfig.name; is an include missing?")


def test_a_later_file_wins_and_a_binding_wins_over_files(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text("Experiment.seed = 5\nExperiment.num_env_steps = 7\n")
    loaded = gin_loading.load([_EXPERIMENT, str(path)], ["Experiment.seed = 6"])
    assert (loaded.experiment.seed, loaded.experiment.num_env_steps) == (6, 7)
    assert loaded.place("Experiment", "seed") == "--gin_bindings:1: Experiment.seed"
    assert loaded.place("Experiment", "num_env_steps") == f"{path}:2: Experiment.num_env_steps"
    assert loaded.place("Experiment", "final_evaluation_sec") == "Experiment.final_evaluation_sec"


def test_a_load_knows_nothing_of_the_one_before():
    gin_loading.load([_EXPERIMENT], ["Experiment.seed = 6"])
    assert gin_loading.load([_EXPERIMENT]).experiment.seed == 0


def test_the_operative_configuration_gives_the_same_experiment_again(tmp_path):
    first = gin_loading.load([_EXPERIMENT], ["N = 16", "DqnBuilder.hidden_sizes = (%N, %N)", "Experiment.seed = 6"])
    assert "Experiment.seed = 6" in first.given and "num_env_steps" in first.given
    path = tmp_path / "operative_config.gin"
    path.write_text(first.operative)
    again = gin_loading.load([str(path)])
    assert again.experiment == first.experiment
    assert again.unused == ()


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        pytest.param("D4pgBuilder.n_step = 7", "2: D4pgBuilder.n_step", id="of_an_agent_that_is_not_used"),
        pytest.param("a/Experiment.seed = 7", "2: a/Experiment.seed", id="of_a_scope_that_is_not_used"),
        pytest.param("WIDTH = 7", "2: WIDTH", id="macro"),
    ],
)
def test_a_binding_that_nothing_uses_is_found(tmp_path, line, unused):
    path = tmp_path / "a.gin"
    path.write_text(_INCLUDE + line + "\n")
    assert gin_loading.load([str(path)]).unused == (f"{path}:{unused}",)


def test_a_file_is_found_without_a_word_of_where_it_is_not(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    gin_loading.load([_EXPERIMENT])
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_files_and_bindings_become_an_architecture(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))  # where experiments are found, too
    (tmp_path / "a.gin").write_text(_ARCHITECTURE)
    made = gin_loading.load_architecture(["a.gin"], ["N = 3", "PolicyArchitecture.output_size = %N"])
    assert (made.observation_size, made.hidden_sizes, made.output_size, made.head) == (4, (8, 8), 3, "q_values")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("import os", "imports 'os', which would run it", id="import"),
        pytest.param("PolicyArchitecture.head = (", "a bracket or a quote is not closed", id="syntax"),
        pytest.param("include 'none.gin'", "no gin file 'none.gin'", id="include"),
        pytest.param("NoSuch.x = 1", "No configurable matching 'NoSuch'", id="class"),
        pytest.param(
            "PolicyArchitectur.head = 1", "No configurable .*; did you mean 'PolicyArchitecture'?", id="class_misspelt"
        ),
        pytest.param("PolicyArchitecture.heat = 1", "Configurable .*; did you mean 'head'?", id="parameter_misspelt"),
        pytest.param("PolicyArchitecture.head = %N", "macro %N is used, and nothing defines it", id="macro"),
        pytest.param(
            "Experiment.seed = 1", "Experiment.seed: an architecture has no Experiment", id="of_an_experiment"
        ),
        *(
            pytest.param(f"PolicyArchitecture.{name} = {value}", f"PolicyArchitecture.{name}: {message}", id=value)
            for name, value, message in (
                ("hidden_sizes", "(8.0,)", "got (8.0,), needs tuple[int, ...]"),
                ("hidden_sizes", "64", "got 64, needs tuple[int, ...]"),
                ("output_size", "2.5", "got 2.5, needs int"),
                ("output_size", "True", "got True, needs int"),
                ("head", "'actions'", "head is 'actions', needs one of q_values, action"),
                ("head", "'action'", "head 'action' needs action_low and action_high of length 2"),
            )
        ),
    ],
)
def test_what_is_wrong_in_an_architecture_is_told_by_file_and_line(tmp_path, line, message):
    path = tmp_path / "a.gin"
    path.write_text(_ARCHITECTURE + line + "\n")
    assert _matches(_refusal([path], load=gin_loading.load_architecture), f"{path}:5: {message}")


@pytest.mark.parametrize("line", _ARCHITECTURE.splitlines())
def test_an_architecture_that_lacks_a_value_says_which_and_how_to_bind_it(line):
    bindings = [other for other in _ARCHITECTURE.splitlines() if other != line]
    name = line.split(" = ")[0]
    assert _matches(
        _refusal([], bindings, gin_loading.load_architecture),
        f"{name} is not bound; weights need their architecture: --gin_bindings='{name} = .*', or --gin_file",
    )


def _matches(message, pattern):
    """Whether the message begins with the pattern, in which only '.*' is special."""
    return re.match(".*".join(map(re.escape, pattern.split(".*"))), message) is not None
