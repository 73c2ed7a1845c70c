"""Tests of `tfquarl.core.without_pandas`, in processes of their own."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("before", "is_hidden"),
    [("", True), ("import pandas", False)],
    ids=["hidden_from_later_imports", "left_alone_where_it_is_in_use"],
)
def test_pandas_is_hidden(before, is_hidden):
    program = f"""
{before}
from tfquarl.core import without_pandas
try:
    import pandas
    print(pandas.DataFrame.__name__)
except ImportError:
    print("hidden")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hidden" if is_hidden else "DataFrame"]
