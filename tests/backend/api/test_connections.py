"""More connections than there may be are refused in words, and none stays for nothing; nor does
one end without a word."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time

import pytest
import uvicorn

from helpers.backend.api import connections
from helpers.backend.api.connections import BoundedProtocol, ShutdownNotice, most_connections

ASK = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(connections, "MOST", 4)
    monkeypatch.setattr(connections, "LEAST", 4)
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def answer(link: socket.socket) -> bytes:
    data = b""
    while piece := link.recv(4096):
        data += piece
    return data


def test_one_connection_too_many_is_refused_and_silent_ones_make_room(port, caplog):
    caplog.set_level(logging.INFO)
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(4)]
    time.sleep(0.1)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            said = answer(link)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"too_many_connections" in said
    time.sleep(0.7)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(ASK)
        assert b"hello" in answer(link)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    for link in silent:
        link.close()


def test_half_of_the_descriptors_are_left_for_files(monkeypatch):
    resource = pytest.importorskip("resource")
    for soft, most in ((256, 128), (1024, 512), (10**6, 512), (20, 16), (-1, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert most_connections() == most


@pytest.mark.parametrize("begun", [False, True])
def test_a_request_that_the_servers_end_cuts_off_is_told_so(begun, caplog):
    """Clients of OpenAI's API read the envelope; what had begun just ends, without a traceback."""
    at_work = threading.Event()

    async def slow(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        at_work.set()
        await asyncio.sleep(60)

    config = uvicorn.Config(
        ShutdownNotice(slow), port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    with socket.create_connection(address, timeout=10) as link:
        link.sendall(ASK)
        assert at_work.wait(10)
        server.should_exit = True
        said = answer(link)
    thread.join(10)
    assert said.startswith(b"HTTP/1.1 200 " if begun else b"HTTP/1.1 503 ")
    assert (b"server_ended" in said) is not begun
    assert not [record for record in caplog.records if record.exc_info]
