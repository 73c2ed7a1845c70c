"""Tests of tfquarl/experiments."""
