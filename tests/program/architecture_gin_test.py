"""Tests of `tfquarl.program.architecture_gin`: what a good file becomes, and mistakes by file and line."""

import pytest

from tfquarl.core import errors
from tfquarl.program import architecture_gin

_GIN = """PolicyArchitecture.observation_size = 4
PolicyArchitecture.hidden_sizes = (8, 8)
PolicyArchitecture.output_size = 2
PolicyArchitecture.head = 'q_values'
"""


def test_files_and_bindings_become_an_architecture(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text(_GIN)
    made = architecture_gin.load([str(path)], ["PolicyArchitecture.output_size = 3"])
    assert (made.observation_size, made.hidden_sizes, made.output_size, made.head) == (4, (8, 8), 3, "q_values")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            "import tfquarl_test_evil", "a.gin:5: imports 'tfquarl_test_evil', which would run it", id="import"
        ),
        pytest.param("PolicyArchitecture.head = (", "a.gin:5: a bracket or a quote is not closed", id="syntax"),
        pytest.param("include 'none.gin'", "a.gin:5: no gin file 'none.gin'", id="include"),
        pytest.param("NoSuch.x = 1", "PolicyArchitecture: No configurable matching 'NoSuch'", id="class"),
    ],
)
def test_what_is_wrong_is_told_and_no_module_runs(tmp_path, monkeypatch, line, message):
    marker = tmp_path / "marker"
    (tmp_path / "tfquarl_test_evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a.gin").write_text(_GIN + line + "\n")
    with pytest.raises(errors.ConfigError) as caught:
        architecture_gin.load([str(tmp_path / "a.gin")], [])
    assert message in str(caught.value)
    assert not marker.exists()
