"""Tests of quantization.scratch."""

import numpy as np

from tfquarl.quantization import scratch as scratch_lib


def test_arrays_of_a_name_share_memory_and_those_of_others_do_not():
    scratch = scratch_lib.Scratch()
    first = scratch.array("a", (4, 5))
    assert first.shape == (4, 5) and first.dtype == np.float32 and first.flags.c_contiguous
    assert np.shares_memory(first, scratch.array("a", (2, 3)))
    assert not np.shares_memory(first, scratch.array("b", (4, 5)))


def test_buffer_grows():
    scratch = scratch_lib.Scratch()
    scratch.array("a", (2,), np.int8)
    grown = scratch.array("a", (3, 7), np.int8)
    assert grown.shape == (3, 7) and grown.dtype == np.int8
