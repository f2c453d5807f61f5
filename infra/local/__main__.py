"""Real PostgreSQL, Kafka and S3 servers on free loopback ports, for a command or a look around: infra/README.md."""

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
from infra.local.cache import cache
from infra.local.program import Program
from infra.local.server import Broken

ENDED = (
    "all of it is stopped, and its data removed. To look around in it, from the checkout:\n"
    "  .venv/bin/python -m infra.local run --program --folder build/cluster -- bash\n"
    "and there, for example: .venv/bin/mlife demo && .venv/bin/mlife up"
)


def main() -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    ways = parser.add_subparsers(dest="way", required=True)
    prepare = ways.add_parser("prepare", help="download and build the components, once")
    prepare.add_argument("--minio", action="store_true", help="MinIO too: another three minutes")
    run = ways.add_parser("run", help="start everything in a folder, for a command")
    run.add_argument("--minio", action="store_true", help="MinIO for S3 instead of versitygw")
    run.add_argument("--program", action="store_true", help="also `mlife relay` and workers of each kind but `tasks`")
    run.add_argument("--folder", type=Path, help="keep data and logs there; without it they are removed at the end")
    run.add_argument("command", nargs="+", help="after --; it finds the servers in MLIFE_STORE, MLIFE_BUS, MLIFE_FILES")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if told.way == "prepare":
            return prepare_components(minio=told.minio)
        with ExitStack() as stack:
            at = told.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlife-cluster-")))
            kept = told.folder is not None
            return run_with(told.command, at.absolute(), minio=told.minio, program=told.program, kept=kept)
    except (Missing, Broken) as fault:
        say(str(fault))
    except KeyboardInterrupt:
        say("stopped")
    return 1


def say(what: str) -> None:
    """On standard error: standard output is the command's."""
    sys.stderr.write(f"{what}\n")


def prepare_components(*, minio: bool) -> int:
    """Whatever is not there yet."""
    began = time.monotonic()
    if not (cache() / kafka.CLASSES).exists():
        say(f"downloading Kafka and building an S3 server into {cache()}, once; this takes a minute or two")
    with ThreadPoolExecutor(2) as pool:
        modules = [s3.VERSITY, *([s3.MINIO] if minio else [])]
        for made in [pool.submit(kafka.prepare), *(pool.submit(s3.prepare, module) for module in modules)]:
            made.result()
    took = time.monotonic() - began
    if took > 1:
        say(f"components are ready, after {took:.0f} s")
    return 0


def run_with(command: Sequence[str], at: Path, *, minio: bool, program: bool, kept: bool) -> int:
    """The exit code of *command*, run beside everything that the cluster size needs, with data and logs in *at*."""
    with ExitStack() as running:
        servers = [Postgres(at / "postgresql"), Kafka(at / "kafka"), (Minio if minio else VersityGateway)(at / "s3")]
        with ThreadPoolExecutor(3) as pool:
            for started in [pool.submit(running.enter_context, server) for server in servers]:
                started.result()
        store, bus, files = (server.url for server in servers)
        told = {"MLIFE_HOME": str(at / "home"), "MLIFE_STORE": store, "MLIFE_BUS": bus, "MLIFE_FILES": files}
        processes = running.enter_context(Program(told, at)) if program else None
        say(f"PostgreSQL, Kafka and S3{', relay and workers' if program else ''} run in {at}, with their logs")
        code = subprocess.run(list(command), env={**os.environ, **told}, check=False).returncode
        for role, tail in (processes.ended() if processes else {}).items():
            say(f"`mlife {role}` had ended before; its log ends so:\n{tail}")
            code = code or 1
    say(f"all of it is stopped; data and logs are in {at}" if kept else ENDED)
    return code


if __name__ == "__main__":
    sys.exit(main())
