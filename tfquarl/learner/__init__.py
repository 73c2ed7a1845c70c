"""Floor 2: the station that turns batches of transitions into policy snapshots. It knows no algorithm."""
