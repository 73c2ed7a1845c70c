"""Floor 1: policy, critic and Q networks, defined once by `PolicyArchitecture`, with variables by name, shape and dtype."""
