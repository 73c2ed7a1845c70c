"""Distributed distributional deterministic policy gradients (D4PG, arXiv 1804.08617)."""
