"""Floor 4: one small program each."""
