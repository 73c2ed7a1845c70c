"""Real Reverb servers for the publication's tests."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import pytest
import reverb

from tfquarl.publication import publication_tables


@pytest.fixture
def serve() -> Iterator[Callable[[Sequence[reverb.Table]], reverb.Client]]:
    """Starts a server of the given tables, and gives a client of it."""
    servers = []

    def start(tables: Sequence[reverb.Table]) -> reverb.Client:
        servers.append(reverb.Server(tables))
        return reverb.Client(f"localhost:{servers[-1].port}")

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client(serve: Callable[[Sequence[reverb.Table]], reverb.Client]) -> reverb.Client:
    """Client of a server with all publication tables."""
    return serve(publication_tables.make_publication_tables())


@pytest.fixture
def stopped_client() -> reverb.Client:
    """Client of a server that is no more."""
    server = reverb.Server(publication_tables.make_publication_tables())
    server.stop()
    return reverb.Client(f"localhost:{server.port}")
