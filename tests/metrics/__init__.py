"""Tests of `tfquarl.metrics`."""
