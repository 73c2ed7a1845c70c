"""Checks of the house itself: lint, types, fences, and what the documents say."""
