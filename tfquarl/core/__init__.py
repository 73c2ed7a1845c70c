"""Floor 0: the values that travel, the interfaces between stations, and the errors. Standard library and numpy only."""
