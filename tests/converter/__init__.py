"""Tests of tfquarl.converter."""
