"""Tests of tfquarl/agents/dqn."""
