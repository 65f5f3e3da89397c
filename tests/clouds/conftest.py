"""Parts that several tests of clouds use."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The origin of moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()
