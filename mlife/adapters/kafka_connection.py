"""
The URL of a Kafka cluster, for both client libraries: kafka-python (relay, topics) and Faust's aiokafka (workers).

`kafka://[user:secret@]host:port,host:port?prefix=…&security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-512&ssl_cafile=…`
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from mlife.core.errors import Misconfigured, without_secrets
from mlife.core.topics import PARTITIONS

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PARAMETERS: Final = {
    "prefix": "put before every topic's name, so that several logs share a cluster",
    "security_protocol": ", ".join(PROTOCOLS),
    "sasl_mechanism": ", ".join(MECHANISMS),
    "ssl_cafile": "PEM file of who signed the brokers' certificates",
    "ssl_certfile": "PEM file of this client's own certificate",
    "ssl_keyfile": "PEM file of its key",
    "ssl_check_hostname": "true or false",
    "partitions": f"of each topic when it is made (default {PARTITIONS})",
    "replication": "copies of each message when topics are made (default 1)",
}
"""What a URL may say, and what it means."""

DEFAULT_PORT: Final = 9092
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")


@dataclass(frozen=True)
class KafkaConnection:
    """
    How to reach a Kafka cluster, and how topics are called and made there.

    Args:
        shown: the URL as people may see it.
        servers: `host:port` of each broker that the URL names.
        partitions, replication: of topics that are made; those that are there keep theirs.
    """

    shown: str
    servers: tuple[str, ...]
    user: str | None = None
    secret: str | None = field(default=None, repr=False)
    prefix: str = ""
    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    partitions: int = PARTITIONS
    replication: int = 1

    def topic(self, name: str) -> str:
        """The name in Kafka of MLife's topic *name*."""
        return self.prefix + name

    def kafka_python(self) -> dict[str, Any]:
        """Arguments of kafka-python's clients."""
        told: dict[str, Any] = {"bootstrap_servers": list(self.servers), "security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            told["ssl_context"] = self.tls()
        if self.protocol.startswith("SASL"):
            told |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.secret,
            }
        return told

    def faust(self) -> dict[str, Any]:
        """Arguments of a Faust application: where its brokers are, and who it is there."""
        from faust import SASLCredentials, SSLCredentials

        told: dict[str, Any] = {"broker": ";".join(f"kafka://{server}" for server in self.servers)}
        context = self.tls() if self.protocol.endswith("SSL") else None
        if self.protocol.startswith("SASL"):
            told["broker_credentials"] = SASLCredentials(
                username=self.user, password=self.secret, mechanism=self.mechanism, ssl_context=context
            )
        elif context is not None:
            told["broker_credentials"] = SSLCredentials(context)
        return told

    def tls(self) -> ssl.SSLContext:
        """
        What TLS connections are made with.

        Raises:
            Misconfigured: a file can't be read or is no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            context.check_hostname = self.check_hostname
            if self.certfile is not None:
                context.load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ssl.SSLError) as e:
            files = ", ".join(f for f in (self.cafile, self.certfile, self.keyfile) if f)
            raise Misconfigured(
                f"TLS files of {self.shown} can't be used ({e.strerror or e}): {files}",
                remedy="name PEM files that this user may read",
            ) from e
        return context


def connection(url: str) -> KafkaConnection:
    """
    Read *url*.

    Raises:
        Misconfigured: something in it is wrong; one sentence says what.
    """
    shown = without_secrets(url)
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    who, _, servers = where.rpartition("@")
    if "@" in query:  # a ? in the secret: what stands before it must not be taken for a broker and shown
        raise _wrong(shown, "has a special character in user or secret", "write special characters as %XX (? is %3F)")
    if scheme != "kafka":
        raise _wrong(shown, "does not begin with kafka://", "write kafka://host:port,host:port")
    told = _parameters(shown, query)
    user, secret = _identity(shown, who)
    protocol = _protocol(shown, told, known=user is not None)
    return KafkaConnection(
        shown=shown,
        servers=_servers(shown, servers.rstrip("/")),
        user=user,
        secret=secret,
        prefix=told.get("prefix", ""),
        protocol=protocol,
        mechanism=_choice(shown, told, "sasl_mechanism", MECHANISMS, "SCRAM-SHA-512") if user is not None else None,
        cafile=_file(shown, told, "ssl_cafile"),
        certfile=_file(shown, told, "ssl_certfile"),
        keyfile=_file(shown, told, "ssl_keyfile"),
        check_hostname=_choice(shown, told, "ssl_check_hostname", ("true", "false"), "true") == "true",
        partitions=_number(shown, told, "partitions", PARTITIONS, 1_000),
        replication=_number(shown, told, "replication", 1, 100),
    )


def _wrong(shown: str, problem: str, remedy: str) -> Misconfigured:
    return Misconfigured(f"MLIFE_BUS {shown} {problem}", remedy=remedy)


def _parameters(shown: str, query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    told = dict(pairs)
    unknown = sorted(told.keys() - PARAMETERS.keys())
    if unknown:
        raise _wrong(shown, f"has unknown parameters: {', '.join(unknown)}", f"known are {', '.join(PARAMETERS)}")
    if len(told) < len(pairs):
        raise _wrong(shown, "says a parameter twice", "say each once")
    if not _PREFIX.fullmatch(told.get("prefix", "")):
        raise _wrong(shown, f"has the prefix {told['prefix']!r}", "use at most 100 letters, digits, dots, dashes")
    return told


def _servers(shown: str, listed: str) -> tuple[str, ...]:
    found = []
    for server in listed.split(","):
        match = _SERVER.fullmatch(server)
        port = int(match["port"] or DEFAULT_PORT) if match else 0
        if match is None or not 1 <= port <= 65_535:
            raise _wrong(shown, f"names a broker {server!r}", "write host:port, several with commas between")
        found.append(f"{match['host']}:{port}")
    return tuple(found)


def _identity(shown: str, who: str) -> tuple[str | None, str | None]:
    if not who:
        return None, None
    user, colon, secret = who.partition(":")
    if not user or not colon:
        raise _wrong(shown, "names a user without a secret, or none", "write user:secret@, special characters as %XX")
    return unquote(user), unquote(secret)


def _protocol(shown: str, told: dict[str, str], *, known: bool) -> str:
    """Who has a secret does not send it in the open, unless it is said."""
    likely = "SASL_SSL" if known else "SSL" if "ssl_cafile" in told else "PLAINTEXT"
    protocol = _choice(shown, told, "security_protocol", PROTOCOLS, likely)
    if protocol.startswith("SASL") != known:
        raise _wrong(
            shown,
            f"says {protocol} and names {'a' if known else 'no'} user",
            "write kafka://user:secret@host:port?security_protocol=SASL_SSL, or no user and no SASL",
        )
    if not protocol.endswith("SSL") and any(name.startswith("ssl_") for name in told):
        raise _wrong(shown, f"says how TLS is to be used, and {protocol}", "say SSL or SASL_SSL")
    return protocol


def _choice(shown: str, told: dict[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = told.get(name, default)
    if value not in choices:
        raise _wrong(shown, f"says {name}={value}", f"say {', '.join(choices)}")
    return value


def _number(shown: str, told: dict[str, str], name: str, default: int, most: int) -> int:
    value = told.get(name, str(default))
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise _wrong(shown, f"says {name}={value}", f"say a number from 1 to {most:,}")
    return int(value)


def _file(shown: str, told: dict[str, str], name: str) -> str | None:
    path = told.get(name)
    if path is not None and not Path(path).is_file():
        raise _wrong(shown, f"says {name}={path}, and there is no such file", "name a PEM file of this machine")
    return path
