"""Tests of tfquarl/agents."""
