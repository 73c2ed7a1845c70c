"""Tests of tfquarl/networks."""
