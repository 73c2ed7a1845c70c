"""Tests of tfquarl/evaluator."""
