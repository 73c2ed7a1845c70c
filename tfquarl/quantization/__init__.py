"""Floor 1: what quantization means here: recipes, integer arithmetic, calibration and parity figures. Numpy only."""
