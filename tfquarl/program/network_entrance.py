"""Imported first by the fork server, while it has one thread: the processes of a run get a network of their own, where the system allows it."""

from tfquarl.program import private_network

private_network.enter()
