"""Tests of tfquarl/agents/d4pg."""
