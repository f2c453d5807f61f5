"""PostgreSQL goes away under load and comes back: refusals say so, nothing told is lost, all recovers by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.local import Postgres
from mlife.runtime import open_home, settings
from tests.ops.serving import Listener, Load, Serving, beside, until, up


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_outlives_its_database(postgres_server: Postgres, tmp_path: Path, how: str) -> None:
    away: Callable[[], None] = postgres_server.stop if how == "stopped" else postgres_server.kill
    with up(tmp_path, MLIFE_STORE=postgres_server.url) as server:
        with Listener(server) as listener, Load(server) as load:
            until(lambda: len(load.acknowledged) > 50)
            for _ in range(2):
                away()
                until(lambda: load.refusals)
                is_told_while_away(server, urlsplit(postgres_server.url).password or "")
                postgres_server.start()
                before = len(load.acknowledged)
                until(lambda before=before: len(load.acknowledged) > before + 50)
                until(lambda: server.ask("/readyz").status == 200)
                assert {a.status for a in load.refusals} == {503}
                load.refusals.clear()
            assert load.broken == []
        last = max(load.acknowledged.values())
        until(lambda: server.ask("/api/v1/badcases").json["position"] >= last)
        assert server.process.poll() is None  # it was never started again
        assert listener.connections == 1  # its stream stood still, and went on
        assert listener.positions == sorted(set(listener.positions))
    nothing_is_lost_or_double(postgres_server.url, tmp_path, load, listener)


def is_told_while_away(server: Serving, secret: str) -> None:
    refused = until(lambda: (a := server.post(1)).status == 503 and a)
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json["title"] == "Not available now"
    assert "PostgreSQL" in refused.json["detail"] or "postgresql://" in refused.json["detail"]
    page = until(lambda: (a := server.page("/badcases")).status == 503 and a)
    assert "Not available now" in page.text
    assert page.headers["retry-after"]
    home = server.page("/")
    assert home.status == 503
    assert server.ask("/healthz").status == 200
    assert server.ask("/readyz").status == 503
    figures = until(lambda: (a := server.ask("/metrics")).status == 200 and 'reachable{part="log"} 0' in a.text and a)
    assert 'mlife_http_requests_total{method="POST",route="/api/v1/reports",status="503"}' in figures.text
    for answer in (refused, page, home, figures):
        assert secret not in answer.text
        assert secret not in str(answer.headers)
    assert secret not in server.said


def nothing_is_lost_or_double(url: str, folder: Path, load: Load, listener: Listener) -> None:
    with open_home(settings(folder / "home", config=folder / "no.toml", store=url)) as home:
        found = {r.json["report_id"]: r.position for r in home.ports.store.read(0, 1_000_000) if "report_id" in r.json}
        head = home.ports.store.head()
    assert {f"r{n}": at for n, at in load.acknowledged.items()}.items() <= found.items()
    assert listener.positions == list(range(1, len(listener.positions) + 1))
    assert len(listener.positions) <= head


@pytest.mark.slow
def test_a_whole_cluster_outlives_its_database(postgres_server: Postgres, kafka_url: str, tmp_path: Path) -> None:
    chosen = {"MLIFE_STORE": postgres_server.url, "MLIFE_BUS": kafka_url}
    secret = urlsplit(postgres_server.url).password or ""
    with ExitStack() as running:
        server = running.enter_context(up(tmp_path, **chosen))
        others = [
            running.enter_context(beside(tmp_path, words, **chosen))
            for words in ("relay", "worker projections", "worker handlers")
        ]
        with Load(server) as load:
            until(lambda: len(load.acknowledged) > 50)
            until(lambda: shown(server) > 0)
            for away in (postgres_server.kill, postgres_server.stop):
                away()
                until(lambda: load.refusals)
                is_told_while_away(server, secret)
                postgres_server.start()
                before = len(load.acknowledged)
                until(lambda before=before: len(load.acknowledged) > before + 50)
                load.refusals.clear()
        last = max(load.acknowledged.values())
        until(lambda: shown(server) >= last)
        until(lambda: server.ask("/readyz").status == 200)
        until(lambda: 'lag_events{kind="relay",name=""} 0' in server.ask("/metrics").text)
        until(lambda: not any(lag for lag in handlers_lags(server)))
        for process, log in (*others, (server.process, server.log)):
            assert process.poll() is None, log.read_text()[-2_000:]
            assert secret not in log.read_text()


def shown(server: Serving) -> int:
    """Position of the query tables."""
    answer = server.ask("/api/v1/badcases")
    return int(answer.json["position"]) if answer.status == 200 else 0


def handlers_lags(server: Serving) -> list[int]:
    text = server.ask("/metrics").text
    return [int(n) for n in re.findall(r'mlife_follower_lag_events\{kind="handler",name="[^"]+"\} (\d+)', text)] or [1]
