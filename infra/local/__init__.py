"""
Real PostgreSQL, Kafka and S3 servers on free loopback ports of this machine, for tests, benchmarks and a look around.

Not for production: passwords are written into files of the server's folder, and durability may be off.

`python -m infra.local prepare` downloads and builds them once; `python -m infra.local run -- COMMAND` starts all of
them for a command. In Python each is a context manager: `with Postgres(folder) as server: server.url`.
"""

from infra.local.certificates import Certificates
from infra.local.kafka import Kafka, KafkaTrio
from infra.local.postgres import Postgres
from infra.local.s3 import Minio, VersityGateway
from infra.local.server import Broken, Missing, Server

__all__ = ["Broken", "Certificates", "Kafka", "KafkaTrio", "Minio", "Missing", "Postgres", "Server", "VersityGateway"]
