"""Floor 1: running TFLite models; the only package that names an interpreter."""
