"""Tests of tfquarl/collector."""
