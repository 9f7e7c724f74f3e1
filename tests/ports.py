"""Ports that nothing listens on."""

from __future__ import annotations

import socket


def free_ports(number: int) -> list[int]:
    """Free ports of this machine, each another."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


def free_port() -> int:
    """A free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
