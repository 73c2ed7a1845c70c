"""Tests of tfquarl.runtime."""
