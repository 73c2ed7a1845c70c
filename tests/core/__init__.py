"""Tests of `tfquarl.core`."""
