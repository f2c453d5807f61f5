"""Secrets reach no log, no event and no page, however loud the log is and whatever fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from infra.local import Kafka, Postgres
from infra.local.s3 import S3
from mlife.adapters.kafka_connection import connection
from mlife.adapters.s3 import address_of
from mlife.core.errors import MLifeError
from mlife.runtime import open_home, settings
from tests.components import started
from tests.ops.conftest import ROOT, config, environment, report
from tests.ops.serving import PATIENCE, Serving, until

WRONG = "s3cr3t"
"""Stands in the middle of every secret that is wrong, between characters that URLs write otherwise."""

COMMANDS = (
    "doctor --fix",
    "up --port 0",
    "relay",
    "worker projections",
    "worker intake",
    "worker tasks --once",
    "badcase list",
    "file put README.md",
    "migrate --to target.toml",
    "migrate --undo",
)
LASTING = 4.0
"""Seconds after its first word after which a command that waits for a server is ended."""


def loud(folder: Path, words: str, **variables: str) -> str:
    """Everything that `mlife *words*` says at the loudest, until its end or until it has waited long enough."""
    log = folder / f"{words.replace(' ', '-')}.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.ops.loud", *words.split()], cwd=folder,
            env=environment(PYTHONPATH=str(ROOT), **variables), stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until(lambda: child.poll() is not None or log.stat().st_size, 90)
            with suppress(subprocess.TimeoutExpired):
                child.wait(LASTING)
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(20)
        finally:
            child.kill()
            child.wait()
    said = log.read_text()
    assert said, words
    return said


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that asks who comes."""
    broker = started(lambda: Kafka(tmp_path_factory.mktemp("guarded") / "kafka", sasl="PLAIN"))
    yield broker
    broker.kill()


def wrong(part: str) -> str:
    """A secret of *part* as it stands in a URL."""
    return quote(f"p@/{WRONG}-{part}#?%&", safe="")


def with_secret(url: str, secret: str) -> str:
    """*url* with another secret."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", lambda m: f"{m[1]}{secret}@", url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands run."""
    (tmp_path / "README.md").write_text("read me")
    config(tmp_path, home=str(tmp_path / "t"), store=f"postgresql://u:{wrong('target')}@127.0.0.1:1/x").rename(
        tmp_path / "target.toml"
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("how", ["refused", "refused by Kafka and S3 alone", "away", "mistaken"])
def test_servers_that_refuse_a_wrong_secret_or_are_away_do_not_make_it_known(
    how: str, folder: Path, postgres_url: str, guarded: Kafka, s3_url: str
) -> None:
    chosen = {
        "MLIFE_STORE": with_secret(postgres_url, wrong("store")),
        "MLIFE_BUS": with_secret(guarded.url, wrong("bus")),
        "MLIFE_FILES": with_secret(s3_url, wrong("files")),
        "MLIFE_TOKEN": f"token-{WRONG}",
    }
    if how == "refused by Kafka and S3 alone":
        chosen["MLIFE_STORE"] = postgres_url
    elif how == "away":
        chosen = {name: re.sub(r"@127\.0\.0\.1:\d+", "@127.0.0.1:1", url) for name, url in chosen.items()}
    elif how == "mistaken":
        chosen |= {"MLIFE_STORE": f"postgresql://u:%zz{WRONG}@127.0.0.1:1/x", "MLIFE_BUS": f"kafka://u:{WRONG}@h?x=1",
                   "MLIFE_FILES": f"s3+http://k:{WRONG}@h"}  # fmt: skip
    real = urlsplit(postgres_url).password
    assert real

    with ThreadPoolExecutor(4) as pool:
        told = pool.map(lambda words: loud(folder, words, **chosen), COMMANDS)
        said = dict(zip(COMMANDS, told, strict=True))

    assert [words for words, text in said.items() if WRONG in text or real in text] == []


@pytest.mark.slow
def test_a_server_and_its_log_and_pages_keep_right_secrets_to_themselves_also_while_parts_are_away(
    folder: Path, postgres_server: Postgres, s3_server: S3, tmp_path: Path
) -> None:
    chosen = {"MLIFE_STORE": postgres_server.url, "MLIFE_FILES": s3_server.url, "MLIFE_TOKEN": f"token-{WRONG}"}
    secrets = [WRONG, *(urlsplit(url).password or "none" for url in (postgres_server.url, s3_server.url))]
    log = folder / "up.log"
    told: list[str] = []
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ops.loud", "up", "--port", "0"],
            cwd=folder, env=environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1", **chosen),
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            found = until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text()))
            server = Serving(process, int(found[1]), log)

            def look() -> None:
                who = {"authorization": f"Bearer token-{WRONG}"}
                for path in (
                    "/",
                    "/badcases",
                    "/system",
                    "/metrics",
                    "/readyz",
                    "/api/v1/events",
                    "/files",
                    "/nothing",
                ):
                    for accept in ("text/html", "application/json"):
                        answer = server.ask(path, accept=accept, **who)
                        told.append(f"{answer.headers}{answer.text}")
                told.append(server.ask("/api/v1/reports", json.dumps(report(1)), **who).text)
                told.append(server.ask("/badcases", accept="text/html").text)  # without the token

            look()
            s3_server.kill()
            look()
            postgres_server.kill()
            look()
            postgres_server.start()
            until(lambda: server.ask("/readyz").status == 200, PATIENCE)
            look()
        finally:
            process.terminate()
            process.wait(30)
    with open_home(settings(folder / "home", config=folder / "none.toml", store=postgres_server.url)) as home:
        events = repr([r.draft for r in home.ports.store.read(0, 1_000)])
    for secret in secrets:
        assert secret not in log.read_text()
        assert secret not in events
        assert all(secret not in answer for answer in told)


def test_an_error_that_repeats_a_connection_says_no_secret(folder: Path) -> None:
    secrets = (*(f"pa{sign}{WRONG}" for sign in "@/?#:%&="), f"{WRONG}", f"%zz{WRONG}", f"@{WRONG}@", f"7/{WRONG}")
    urls = [f"postgresql://u:{secret}@127.0.0.1:1/x" for secret in secrets]
    urls += [f"{urls[-4]}?sslmode=nonsense", f"postgresql://u:{WRONG}@[::1/x", f"postgresql://h:1/x?password={WRONG}"]
    for store in urls:
        with pytest.raises(MLifeError) as told, open_home(settings(folder / "home", config=folder / "no", store=store)):
            pass
        assert WRONG not in str(told.value)
        assert WRONG not in repr(settings(folder / "home", config=folder / "no", store=store))
    for secret in secrets:
        for read, url in ((connection, f"kafka://u:{secret}@h:9"), (address_of, f"s3+http://k:{secret}@h/b/../c")):
            try:
                shown = repr(read(url))
            except MLifeError as told:
                shown = str(told)
            assert WRONG not in shown
