"""Floor 1: figures of a run: metrics.jsonl, TensorBoard files, the live display, statistics, tables, plots and energy."""
