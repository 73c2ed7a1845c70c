"""Tests of tfquarl/program/server_port.py, with real sockets."""

import contextlib
import os
import socket

import pytest

from tfquarl.core import errors
from tfquarl.program import server_port


@contextlib.contextmanager
def _listening(family=socket.AF_INET, address="127.0.0.1", option=None):
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        if option is not None:
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            holder.bind((address, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {address}: {error}")
        holder.listen()
        yield holder


@pytest.mark.parametrize(
    ("family", "address", "option"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", None, id="loopback"),
        pytest.param(socket.AF_INET, "0.0.0.0", None, id="every_interface"),
        pytest.param(socket.AF_INET6, "::1", None, id="ipv6"),
        pytest.param(socket.AF_INET, "0.0.0.0", socket.SO_REUSEPORT, id="one_that_would_share_it_as_grpc_servers_do"),
    ],
)
def test_a_port_that_somebody_holds_is_told_with_the_remedy(family, address, option):
    with _listening(family, address, option) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(
            errors.PortError, match=rf"port {port} is in use by another program; end that program, or give"
        ):
            server_port.check_free(port)


def test_a_port_is_free_again_at_once_when_its_server_has_ended():
    with _listening(option=socket.SO_REUSEADDR) as holder:
        port = holder.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = holder.accept()
        served.close()  # first: so its side waits for stray packets, as a killed server's does
        assert client.recv(1) == b""
        client.close()
    server_port.check_free(port)


def test_any_port_is_free():
    server_port.check_free(server_port.ANY)


def test_a_port_that_the_user_may_not_open():
    if os.geteuid() == 0:
        pytest.skip("root may open every port")
    with pytest.raises(
        errors.PortError, match=r"port 1 can't be opened: Permission denied; give a --port that you may"
    ):
        server_port.check_free(1)


@pytest.mark.parametrize(("port", "is_one"), [(-1, False), (0, True), (65535, True), (65536, False)])
def test_numbers(port, is_one):
    with contextlib.nullcontext() if is_one else pytest.raises(errors.ConfigError, match=f"--port is {port}, needs 1"):
        server_port.check_number(port)
