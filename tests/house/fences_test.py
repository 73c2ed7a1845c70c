"""No source file breaks the rules of the design, and the check of them finds what does."""

import pathlib

import pytest

from tests.house import fences
from tests.house import source_tree

_DOC = '"""A module."""\n'


@pytest.mark.parametrize("path", source_tree.python_files("tfquarl", "tools", "tests", "build_defs"), ids=str)
def test_file_keeps_the_rules(path: pathlib.Path):
    assert not [str(fault) for fault in fences.faults(path.as_posix(), (source_tree.ROOT / path).read_text())]


def test_every_tree_is_read():
    for tree in source_tree.PYTHON_TREES:
        assert source_tree.python_files(tree), tree
    assert {path.parts[1] for path in source_tree.python_files("tfquarl") if len(path.parts) > 2} <= {
        package for floor in fences.floors() for package in floor
    } | {"testing"}


def test_imports_have_no_cycle():
    allowed = fences.may_import()
    done: set[str] = set()
    while ready := {package for package in allowed if package not in done and allowed[package] <= done}:
        done |= ready
    assert done == set(allowed)


_BROKEN = {
    "syntax": ("tfquarl/core/x.py", "def f(:\n", "does not compile"),
    "upward": (
        "tfquarl/core/x.py",
        "from tfquarl.networks import architecture",
        "core may not import tfquarl/networks",
    ),
    "sideways": ("tfquarl/replay/x.py", "from tfquarl.metrics import logger", "replay may not import tfquarl/metrics"),
    "station to station": (
        "tfquarl/learner/x.py",
        "import tfquarl.collector.policy_slot",
        "learner may not import tfquarl/collector",
    ),
    "station to agent": ("tfquarl/learner/x.py", "from tfquarl import agents", "learner may not import tfquarl/agents"),
    "agent to agent": (
        "tfquarl/agents/first/x.py",
        "from tfquarl.agents.dqn import builder",
        "agent first imports agent",
    ),
    "inside a function": (
        "tfquarl/learner/x.py",
        "def _f():\n    from tfquarl.program import layout\n    return layout",
        "learner may not import tfquarl/program",
    ),
    "relative": ("tfquarl/learner/x.py", "from ..converter import gate", "learner may not import tfquarl/converter"),
    "fakes in production": ("tfquarl/learner/x.py", "from tfquarl.testing import fakes", "only tests import"),
    "fakes in tools": ("tools/x.py", "from tfquarl.testing import fakes", "only tests import"),
    "fakes to stations": ("tfquarl/testing/x.py", "from tfquarl.learner import y", "testing may not import"),
    "tool to station": ("tools/x.py", "from tfquarl.learner import y", "tools may not import tfquarl/learner"),
    "tests in production": ("tfquarl/core/x.py", "from tests import x", "tfquarl/ imports tests/"),
    "whole package": ("tfquarl/learner/x.py", "import tfquarl", "imports tfquarl as a whole"),
    "reverb": ("tfquarl/collector/x.py", "import reverb", "may import reverb"),
    "gin": ("tfquarl/learner/x.py", "from gin import config", "may import gin"),
    "interpreter library": ("tfquarl/collector/x.py", "from ai_edge_litert import interpreter", "may import ai_edge"),
    "interpreter of TensorFlow": (
        "tfquarl/converter/x.py",
        "import tensorflow as tf\nx = tf.lite.Interpreter()",
        "names a TFLite interpreter",
    ),
    "core beyond numpy": ("tfquarl/core/x.py", "from absl import logging", "numpy and the standard library only"),
    "arithmetic beyond numpy": ("tfquarl/quantization/x.py", "import scipy.stats", "numpy and the standard library"),
    "TensorFlow in a collector": ("tfquarl/collector/x.py", "import tensorflow as tf", "do without tensorflow"),
    "TF-Agents in a collector": ("tfquarl/collector/x.py", "from tf_agents import utils", "do without tf_agents"),
    "pickle": ("tfquarl/program/x.py", "import pickle", "never pickled"),
    "pickles in a file of arrays": (
        "tfquarl/export/x.py",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "could run",
    ),
    "algorithm in a station": ("tfquarl/learner/x.py", "# as the D4PG paper does", "knows no algorithm: D4PG"),
    "algorithm in a name": ("tfquarl/converter/x.py", "my_dqn_policy = 1", "knows no algorithm: dqn"),
    "empty name": ("tfquarl/core/utils.py", "", "'utils' is a name that says nothing"),
    "empty package": ("tests/helpers/x_test.py", "", "'helpers' is a name that says nothing"),
    "star": ("tests/core/x_test.py", "from os.path import *", "star import of os.path"),
    "bare except": ("tools/x.py", "try:\n    pass\nexcept:\n    pass", "bare except"),
    "print": ("tfquarl/metrics/x.py", "print('hello')", "print()"),
    "eval": ("tfquarl/program/x.py", "eval('1')", "eval()"),
    "sleep": ("tfquarl/program/x.py", "import time\ntime.sleep(1)", "time.sleep()"),
    "long module": ("tfquarl/core/x.py", "x = 1\n" * 400, "401 lines"),
    "long function": ("tools/x.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    "function without docstring": ("tfquarl/core/x.py", "def f():\n    pass", "f has no docstring"),
    "class without docstring": ("tfquarl/core/x.py", "class A:\n    pass", "A has no docstring"),
    "method without docstring": (
        "tfquarl/core/x.py",
        'class A:\n    """A."""\n    def f(self): ...',
        "f has no docstring",
    ),
}


@pytest.mark.parametrize(("path", "source", "rule"), _BROKEN.values(), ids=_BROKEN)
def test_finds(path: str, source: str, rule: str):
    found = fences.faults(path, _DOC + source)
    assert len(found) == 1, found
    assert rule in found[0].rule


_KEPT = {
    "downward": ("tfquarl/learner/x.py", "from tfquarl.core import records"),
    "own package": ("tfquarl/learner/x.py", "from tfquarl.learner import trigger"),
    "allowed neighbour": ("tfquarl/networks/x.py", "from tfquarl.quantization import recipe"),
    "layout": ("tfquarl/program/x.py", "from tfquarl.learner import y\nfrom tfquarl.agents.dqn import builder"),
    "test of anything": ("tests/learner/x_test.py", "import reverb\nfrom tfquarl.testing import y\nprint(1)"),
    "converter of TensorFlow": ("tfquarl/converter/x.py", "import tensorflow as tf\nx = tf.lite.TFLiteConverter"),
    "algorithm outside stations": ("tfquarl/program/x.py", "name = 'dqn'"),
    "private without docstring": ("tfquarl/core/x.py", "def _f():\n    pass\nclass _A:\n    def f(self): ..."),
    "nested without docstring": ("tfquarl/core/x.py", 'def f():\n    """F."""\n    def g(): ...\n    return g'),
    "print in a tool": ("tools/x.py", "print(1)"),
    "just short enough": ("tfquarl/core/x.py", "x = 1\n" * 399),
}


@pytest.mark.parametrize(("path", "source"), _KEPT.values(), ids=_KEPT)
def test_lets_pass(path: str, source: str):
    assert not fences.faults(path, _DOC + source)


def test_module_without_docstring_is_found():
    assert [fault.rule for fault in fences.faults("tfquarl/core/x.py", "x = 1\n")] == ["the module has no docstring"]


def test_fault_says_where():
    assert str(fences.faults("tools/x.py", "x = 1\nfrom os import *\n")[0]) == "tools/x.py:2: star import of os"
