"""Tests of tfquarl.publication."""
