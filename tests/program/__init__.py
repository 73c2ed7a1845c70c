"""Tests of tfquarl.program."""
