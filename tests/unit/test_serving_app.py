"""What the local server says where it cannot listen."""

import socket

import pytest


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64, "192.0.2.1"])
@pytest.mark.parametrize("rest_port", [0, -1])
def test_a_host_that_cannot_be_bound_is_named(host, rest_port):
    from serving.local.app import LocalServer, ServerOptions

    with pytest.raises(OSError, match="cannot listen on host") as caught:
        LocalServer(ServerOptions([], host=host, port=0, rest_api_port=rest_port))
    assert repr(host) in str(caught.value) and "--host" in str(caught.value)


def test_a_port_that_is_taken_is_named_with_its_flag():
    from serving.local.app import LocalServer, ServerOptions

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"--rest_api_port {port} "):
            LocalServer(ServerOptions([], port=0, rest_api_port=port))
        with pytest.raises(OSError, match=f"--port {port} "):
            LocalServer(ServerOptions([], port=port, rest_api_port=-1))
