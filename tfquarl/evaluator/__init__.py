"""The evaluator station: judges the quantized policy, and beside it the float one, on the same episodes."""
