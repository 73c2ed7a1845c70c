"""Tests of tfquarl/learner."""
