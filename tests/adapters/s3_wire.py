"""A wire between a client and an S3 server that breaks off answers, or changes what they say."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

Change = Callable[[bytes], bytes]


class S3Wire:
    """
    Forwards to the server of *url*; `url` leads through the wire.

    `cuts` answers to come are broken off after `cut_at` bytes; `change` is done to every piece of an answer.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._door = socket.create_server(("127.0.0.1", 0))
        who = parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(parts._replace(netloc=f"{who}@127.0.0.1:{self._door.getsockname()[1]}"))
        self.cuts, self.cut_at, self.connections = 0, 0, 0
        self.change: Change = lambda piece: piece
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody is let in any more."""
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(self._server)
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(1 << 16):
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        sent = 0
        with suppress(OSError):
            while piece := server.recv(1 << 16):
                client.sendall(self.change(piece))
                sent += len(piece)
                if self.cuts and sent >= self.cut_at:
                    self.cuts -= 1
                    break
        for end in (server, client):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
