"""Floor 2: the learning algorithms. They know networks and equations, and no processes."""
