"""Small real servers that alarms are told to: an HTTP server and an SMTP server, each in a thread."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """One request: its headers in lower case, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """An HTTP server; it answers with the statuses of `answers` in turn, then with 204."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/hidden-in-the-path?key=hidden-too"


@contextmanager
def hook() -> Iterator[Hook]:
    """An HTTP server for the block."""
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status = told.answers.pop(0) if told.answers else 204
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Post:
    """An SMTP server; it refuses as many letters as `refusals` says, then takes them."""

    port: int = 0
    refusals: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[list[str]] = field(default_factory=list)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, told: Post) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.told = told


class _Talk(socketserver.StreamRequestHandler):
    """What an SMTP server says to one client."""

    server: _Server

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 here")
        to: list[str] = []
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.say("354 go on")
                self.server.told.letters.append(message_from_string(self.body(), policy=policy.default))  # type: ignore[arg-type]
                self.server.told.envelopes.append(to)
            if line.upper().startswith("RCPT"):
                to.append(line.partition(":")[2].strip("<> "))
            self.say(self.answer(line.upper()))

    def answer(self, verb: str) -> str:
        told = self.server.told
        if verb.startswith("MAIL") and told.refusals > 0:
            told.refusals -= 1
            return "451 not now"
        return "221 bye" if verb == "QUIT" else "250 yes"

    def body(self) -> str:
        lines = []
        while (line := self.rfile.readline().decode()) not in (".\r\n", ""):
            lines.append(line.removeprefix(".") if line.startswith("..") else line)
        return "".join(lines)


@contextmanager
def post() -> Iterator[Post]:
    """An SMTP server for the block."""
    told = Post()
    server = _Server(told)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()
