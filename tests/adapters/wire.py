"""A wire between a program and a PostgreSQL server that can be cut before any message, in either direction."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

Action = Callable[["Line"], None]


class Line:
    """One connection through the wire; `port` is the one that the server sees."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.port = server.getsockname()[1]

    def cut(self) -> None:
        """Both ends see the other one gone."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Wire:
    """Forwards to the server of *url*; `url` leads through the wire. Without TLS, so that messages can be counted."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._server = (parts.hostname, parts.port)
        self._door = socket.create_server(("127.0.0.1", 0))
        who, _, _ = parts.netloc.rpartition("@")
        plain = "sslmode=disable&gssencmode=disable"
        self.url = urlunsplit(
            parts._replace(
                netloc=f"{who}@127.0.0.1:{self._door.getsockname()[1]}",
                query=f"{parts.query}&{plain}" if parts.query else plain,
            )
        )
        self._lock = threading.Lock()
        self.count = 0
        self._at, self._action = 0, Line.cut
        self.is_open = True
        self._lines: list[Line] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, number: int, action: Action = Line.cut) -> None:
        """Do *action* before message *number* from now on is passed on."""
        with self._lock:
            self.count, self._at, self._action = 0, number, action

    def cut_all(self) -> None:
        """Cut what is connected now."""
        for line in self._lines:
            line.cut()

    def close(self) -> None:
        """Forward nothing any more."""
        self._door.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            if not self.is_open:
                client.close()
                continue
            line = Line(client, socket.create_connection(self._server))
            self._lines.append(line)
            # a message is a letter, then the length of what follows, itself included; the client's first has no letter
            for source, target, first in ((client, line.server, 4), (line.server, client, 5)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._forward, args=(line, source, target, first), daemon=True).start()

    def _forward(self, line: Line, source: socket.socket, target: socket.socket, first: int) -> None:
        """Message by message; *first*: how long the head of the first one is."""
        try:
            while True:
                head = read(source, first)
                rest = read(source, int.from_bytes(head[-4:], "big") - 4)
                first = 5
                self._look(line)
                target.sendall(head + rest)
        except OSError:
            line.cut()
            source.close()

    def _look(self, line: Line) -> None:
        with self._lock:
            self.count += 1
            action = self._action if self.count == self._at else None
        if action is not None:
            action(line)


def read(source: socket.socket, size: int) -> bytes:
    """Exactly *size* bytes."""
    parts = []
    while size:
        part = source.recv(size)
        if not part:
            raise ConnectionResetError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
