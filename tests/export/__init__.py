"""Tests of tfquarl/export."""
