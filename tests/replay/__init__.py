"""Tests of tfquarl.replay."""
