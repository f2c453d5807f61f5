"""E-mail by SMTP: a plain letter for each notice, with a Message-ID that stays the same in every try."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from mlife.adapters.notifying import Limit, NotTaken
from mlife.core.errors import Misconfigured, shortened
from mlife.core.ports import Notice

SECONDS = 10.0
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
FORM = "smtp+starttls://user:secret@host:587?from=mlife@example.org&to=team@example.org"


class _Server(smtplib.SMTP):
    """A server whose greeting is within the limit already: smtplib reads it before anybody sees the socket."""

    def __init__(self, limit: Limit, host: str, port: int) -> None:
        self.limit = limit
        super().__init__(host, port, timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        self.limit.watch(sock)
        return sock


class _SecureServer(_Server):
    """The same over TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        context = ssl.create_default_context()
        sock = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self.limit.watch(sock)
        sock.do_handshake()
        return sock


class Mailbox:
    """
    Letters to the people that `MLIFE_MAIL` names.

    Args:
        url: `smtp://`, `smtp+starttls://` or `smtps://`, then user, secret, host and port; after `?` `from` and `to`,
            which may stand several times.
    """

    channel = "mail"

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            asked, self._port = parse_qs(parts.query), parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            parts, asked = urlsplit(""), {}
        self._to = [a.strip() for value in asked.get("to", []) for a in value.split(",") if a.strip()]
        self._from = asked.get("from", [""])[0].strip()
        right = parts.scheme in PORTS and parts.hostname and all(_is_address(a) for a in (self._from, *self._to))
        if not right or not self._to or asked.keys() - {"from", "to"}:
            raise Misconfigured("MLIFE_MAIL is no address that letters can be sent by", remedy=f"write {FORM}")
        self._scheme, self._host = parts.scheme, str(parts.hostname)
        self._user = unquote(parts.username or "")
        self._secret = unquote(parts.password or "")
        self.name = ", ".join(self._to)

    def tell(self, notice: Notice) -> None:
        """
        Send the letter once.

        Raises:
            NotTaken: the server is away or says no, to all or to some.
        """
        try:
            with Limit() as limit, self._server(limit) as server:
                if self._user:
                    server.login(self._user, self._secret)
                refused = server.send_message(self.letter(notice), self._from, self._to)
        except smtplib.SMTPAuthenticationError as e:
            raise NotTaken(f"the mail server does not know the user ({e.smtp_code})") from e
        except smtplib.SMTPRecipientsRefused as e:
            raise NotTaken(f"the mail server refuses {', '.join(e.recipients)}") from e
        except smtplib.SMTPResponseException as e:
            raise NotTaken(f"the mail server answered {e.smtp_code}") from e
        except (OSError, smtplib.SMTPException) as e:
            raise NotTaken(f"the mail server can't be reached: {shortened(str(e) or type(e).__name__, 120)}") from e
        if refused:
            raise NotTaken(f"the mail server refuses {', '.join(refused)}; the others have it")

    def _server(self, limit: Limit) -> smtplib.SMTP:
        if self._scheme == "smtps":
            return _SecureServer(limit, self._host, self._port)
        server = _Server(limit, self._host, self._port)
        if self._scheme == "smtp+starttls":
            server.starttls(context=ssl.create_default_context())
            if server.sock is not None:
                limit.watch(server.sock)
        return server

    def letter(self, notice: Notice) -> EmailMessage:
        """The letter about a notice."""
        letter = EmailMessage()
        letter["From"], letter["To"] = self._from, ", ".join(self._to)
        letter["Subject"] = shortened(notice.subject, 180)  # on one line: what others named must not add headers
        letter["Date"] = notice.at
        letter["Message-ID"] = f"<{notice.id}@{self._from.rpartition('@')[2] or socket.gethostname()}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(notice.text + "\n")
        return letter


def _is_address(text: str) -> bool:
    name, at, host = text.rpartition("@")
    return bool(name and at and host) and not any(c.isspace() or c in '<>,;"' for c in text)
