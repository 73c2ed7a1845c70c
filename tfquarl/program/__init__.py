"""Floor 3: the experiment as a value, the topology, and the processes that run it. The only package that knows gin."""
