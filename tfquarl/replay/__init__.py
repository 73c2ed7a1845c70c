"""Floor 1: transitions from collectors to the learner: n-step windows, Reverb tables, writer and dataset."""
