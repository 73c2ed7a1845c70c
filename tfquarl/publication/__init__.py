"""Floor 2: the newest snapshot and the newest artifact, as bytes in Reverb tables of size one or in memory."""
