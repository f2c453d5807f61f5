"""Workers and intake name themselves and encrypt, as the URL says; a wrong secret is told in one sentence."""

import re
from pathlib import Path

import pytest

from infra.local import Certificates, Kafka
from tests.workers.cluster import Cluster, take, until
from tests.workers.customers import plain, refusals, sends

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

REFUSED = re.compile("does not let MLife in|ends the connection while MLife logs in")
"""Over TLS the client library often sees only the end of the connection, and not the reason."""


@pytest.mark.parametrize("sasl", ["PLAIN", "SCRAM-SHA-512"])
def test_workers_and_intake_work_through_tls_and_sasl(tmp_path: Path, postgres_url: str, sasl: str) -> None:
    certificates = Certificates(tmp_path / "certificates")
    with Kafka(tmp_path / "kafka", tls=certificates, sasl=sasl) as broker:  # type: ignore[arg-type]
        cluster = Cluster(tmp_path, postgres_url, broker.url)
        secret = re.findall(r":([^:@]+)@", broker.url)[0]
        stranger = Cluster(tmp_path, postgres_url, broker.url.replace(secret, "guessed"))
        try:
            with cluster.home() as home:
                processes = [cluster.start("relay"), cluster.worker("projections"), cluster.worker("handlers")]
                processes.append(cluster.start("worker", "intake"))
                take(home, range(10))
                sends(broker.url, [plain(10), b"nonsense"])
                until("all are taken", lambda: home.ports.store.head() >= 11)
                home.runner.settle()
                until("the other is refused", lambda: len(refusals(broker.url)) == 1)

            for words in (["worker", "projections"], ["worker", "intake"]):
                process = stranger.start(*words)
                until("it is told", lambda p=process: REFUSED.search(p.said()), 60)
                assert "guessed" not in process.said()
            assert [p.said() for p in processes if secret in p.said() or "Traceback" in p.said()] == []
        finally:
            cluster.close()
            stranger.close()
