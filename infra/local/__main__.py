"""`python -m infra.local prepare|run`: see the package."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from infra.local import Kafka, Minio, Missing, Postgres, VersityGateway, kafka, s3
from infra.local.program import Program
from infra.local.server import Broken


def main() -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    ways = parser.add_subparsers(dest="way", required=True)
    prepare = ways.add_parser("prepare", help="download and build the components, once")
    prepare.add_argument("--minio", action="store_true", help="MinIO too: another three minutes")
    run = ways.add_parser("run", help="start everything in a temporary folder, for a command")
    run.add_argument("--minio", action="store_true", help="MinIO for S3 instead of versitygw")
    run.add_argument("--program", action="store_true", help="also `mlife relay`, workers and `mlife up`")
    run.add_argument("command", nargs="+", help="after --; it finds the servers in MLIFE_STORE, MLIFE_BUS, MLIFE_FILES")
    told = parser.parse_args()
    try:
        if told.way == "prepare":
            return prepare_components(minio=told.minio)
        return run_with(told.command, minio=told.minio, program=told.program)
    except (Missing, Broken) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1


def prepare_components(*, minio: bool) -> int:
    """Whatever is not there yet."""
    modules = [s3.VERSITY, *([s3.MINIO] if minio else [])]
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        for made in [pool.submit(kafka.prepare), *(pool.submit(s3.prepare, module) for module in modules)]:
            made.result()
    took = time.monotonic() - began
    if took > 1:
        sys.stderr.write(f"components prepared in {took:.0f} s\n")
    return 0


def run_with(command: Sequence[str], *, minio: bool, program: bool) -> int:
    """The exit code of *command*, run beside everything that the cluster size needs."""
    with tempfile.TemporaryDirectory(prefix="mlife-cluster-") as folder, ExitStack() as running:
        at = Path(folder)
        at.chmod(0o755)  # PostgreSQL runs as somebody else where we are root
        servers = [Postgres(at / "postgresql"), Kafka(at / "kafka"), (Minio if minio else VersityGateway)(at / "s3")]
        with ThreadPoolExecutor(3) as pool:
            for started in [pool.submit(running.enter_context, server) for server in servers]:
                started.result()
        store, bus, files = (server.url for server in servers)
        told = {"MLIFE_HOME": str(at / "home"), "MLIFE_STORE": store, "MLIFE_BUS": bus, "MLIFE_FILES": files}
        sys.stderr.write(f"PostgreSQL, Kafka and S3 run in {folder}, with their logs\n")
        if program:
            running.enter_context(Program(told, at))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return subprocess.run(list(command), env={**os.environ, **told}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
