"""Tests of tfquarl/environments."""
