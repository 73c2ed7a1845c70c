"""The port that a run's Reverb server is to have, looked at before the server takes it.

gRPC opens its ports with SO_REUSEPORT: a second server on the same port starts without a word, and the kernel hands each connection to
either of them. So a socket without that option tries the port first.
"""

import errno
import socket

from tfquarl.core import errors

ANY = 0
"""Lets the server choose a free one."""

_LARGEST = 65535


def check_number(port: int) -> None:
    """Checks that there is such a port.

    Raises:
      ConfigError: it is not in [0, 65535].
    """
    if not ANY <= port <= _LARGEST:
        raise errors.ConfigError(f"--port is {port}, needs 1 to {_LARGEST}, or 0 for any free one")


def check_free(port: int) -> None:
    """Checks that nobody else holds `port`, on any interface; connections that are still being closed don't count.

    Args:
      port: a number that `check_number` takes; `ANY` is always free.

    Raises:
      PortError: another program listens there, or this user may not.
    """
    if port == ANY:
        return
    both = socket.has_dualstack_ipv6()
    with socket.socket(socket.AF_INET6 if both else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("::" if both else "0.0.0.0", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise errors.PortError(
                    f"port {port} is in use by another program; end that program, or give another --port, or none for any free one"
                ) from error
            raise errors.PortError(
                f"port {port} can't be opened: {error.strerror}; give a --port that you may use, or none for any free one"
            ) from error
