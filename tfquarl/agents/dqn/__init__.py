"""Deep Q-learning: TF-Agents' own agents, configured."""
