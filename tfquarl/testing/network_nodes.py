"""A node that tells what network it sees. Takes a `NodeContext`."""

import os
import socket
from typing import Any


def looking(context: Any) -> None:
    """Tells its interfaces, its user, and what it hears over the loopback of a server on every interface, as Reverb's is."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("localhost", port), timeout=10) as client:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"word")
            heard = client.recv(4).decode()
        interfaces = [name for _, name in socket.if_nameindex()]
        context.sender.send("network", interfaces=interfaces, heard=heard, port=port, user=os.getuid())
        context.stop.wait()
