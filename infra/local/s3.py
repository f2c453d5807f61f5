"""S3 servers, built from Go modules: versitygw over a folder, and MinIO."""

import secrets
import ssl
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import quote

from infra.local.cache import found, made_once, program, run
from infra.local.certificates import Certificates
from infra.local.server import LOOPBACK, Port, Server, listening

VERSITY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"  # its release tags are refused by Go's tools
KEY = "mlife"
BUCKET = "mlife"


def _cache_name(module: str) -> str:
    path, _, version = module.partition("@")
    return f"{path.rsplit('/', 1)[-1]}-{version}"


def prepare(module: str) -> Path:
    """Build the program of a Go *module*; the folder it is in. The first time it takes minutes."""

    def make(folder: Path) -> None:
        go = program("go", "install Go 1.24 or newer")
        folder.mkdir()
        run(go, "install", module, GOBIN=str(folder), GOFLAGS="-mod=mod")

    return made_once(_cache_name(module), make)


class S3(Server):
    """
    An S3 server with one key and an empty bucket `mlife`.

    Args:
        folder: where its data is.
        tls: certificates to serve with.
    """

    module = ""

    def __init__(self, folder: Path, *, tls: Certificates | None = None) -> None:
        super().__init__(folder)
        self._port, self._tls = Port(), tls
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        self._secret = self._kept("secret", lambda: secrets.token_urlsafe(24))

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self._port.number}"

    @property
    def url(self) -> str:
        return self.bucket(BUCKET)

    def bucket(self, name: str) -> str:
        """The URL of the bucket *name*, whether it is there or not."""
        scheme = "s3+https" if self._tls else "s3+http"
        trust = f"?ca={quote(str(self._tls.ca), safe='')}" if self._tls else ""
        return f"{scheme}://{KEY}:{quote(self._secret, safe='')}@{self.address}/{name}{trust}"

    def _ready(self) -> bool:
        return listening(self._port.number)

    def _program(self) -> Path:
        name = _cache_name(self.module)
        return found(name) / name.rsplit("-v", 1)[0]


class VersityGateway(S3):
    """versitygw over a folder: small and quick to start."""

    name = "versitygw"
    module = VERSITY

    def _launch(self) -> "subprocess.Popen[bytes]":
        versions = self.folder / "versions"
        versions.mkdir(exist_ok=True)
        encryption: list[str | Path] = ["--cert", self._tls.certificate, "--key", self._tls.key] if self._tls else []
        return self._spawn(
            [self._program(), "--port", self.address, *encryption, "posix", "--versioning-dir", versions, self.data],
            ROOT_ACCESS_KEY=KEY,
            ROOT_SECRET_KEY=self._secret,
        )


class Minio(S3):
    """MinIO's community edition, on one disk."""

    name = "minio"
    module = MINIO

    def _launch(self) -> "subprocess.Popen[bytes]":
        certificates = self.folder / "certificates"
        if self._tls:
            certificates.mkdir(exist_ok=True)
            (certificates / "public.crt").write_bytes(self._tls.certificate.read_bytes())
            (certificates / "private.key").write_bytes(self._tls.key.read_bytes())
        encryption: list[str | Path] = ["--certs-dir", certificates] if self._tls else []
        return self._spawn(
            [self._program(), "server", self.data, "--address", self.address, "--quiet", *encryption],
            MINIO_ROOT_USER=KEY,
            MINIO_ROOT_PASSWORD=self._secret,
            MINIO_BROWSER="off",
            MINIO_UPDATE="off",
        )

    def _ready(self) -> bool:
        """It listens before it serves."""
        if not super()._ready():
            return False
        trust = ssl.create_default_context(cafile=str(self._tls.ca)) if self._tls else None
        address = f"{'https' if self._tls else 'http'}://{self.address}/minio/health/ready"
        try:
            with urllib.request.urlopen(address, timeout=5, context=trust):
                return True
        except OSError:
            return False
