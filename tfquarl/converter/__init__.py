"""Floor 2: the station that turns weight snapshots into checked TFLite models."""
