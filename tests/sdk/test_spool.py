"""Reports of a device reach the server once, whatever ends the device, the server, or the way between them."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from mlife import sdk
from mlife.sdk.segments import Segments
from tests.ops.serving import up
from tests.processes import hear, start


class Server:
    """A server that answers with *script*, then takes every line but those that say bad; it counts what it takes."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self.script, self.taken, self.asked_at = list(script), [], []

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked_at.append(time.monotonic())
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        lines = request.content.decode().splitlines()
        bad = [{"line": n, "problem": "is bad"} for n, line in enumerate(lines, 1) if "bad" in line]
        known = [line for line in lines if line in self.taken and "bad" not in line]
        self.taken += [line for line in lines if "bad" not in line and line not in self.taken]
        new = len(lines) - len(bad) - len(known)
        return httpx.Response(200, json={"position": 1, "accepted": new, "known": len(known), "refused": bad})


def opened(folder: Path, server: Server, **more: object) -> sdk.Spool:
    return sdk.Spool(folder, "http://mlife.test", transport=server.transport, linger=0.01, **more)


def test_what_is_kept_is_sent_in_batches_and_then_gone_from_the_disk(tmp_path: Path) -> None:
    server = Server()
    with opened(tmp_path, server, batch=3) as spool:
        spool.report_many([{"n": n} for n in range(8)])
        standing = spool.flush()
    assert (standing.accepted, standing.waiting, standing.bytes, standing.trouble) == (8, 0, 0, "")
    assert len(server.asked_at) == 3
    assert list(tmp_path.glob("0*.ndjson")) == []


def test_a_server_that_asks_for_time_is_given_it(tmp_path: Path) -> None:
    wait = {"Retry-After": "0.4"}
    server = Server(httpx.Response(429, headers=wait), httpx.Response(503, headers=wait), httpx.ConnectError("away"))
    with opened(tmp_path, server) as spool:
        spool.report({"n": 1})
        assert spool.flush(20).accepted == 1
    pauses = [after - before for before, after in zip(server.asked_at, server.asked_at[1:], strict=False)]
    assert [p >= 0.39 for p in pauses[:2]] == [True, True]


def test_an_answer_that_does_not_tell_of_every_report_is_no_receipt(tmp_path: Path) -> None:
    portal = httpx.Response(200, json={"welcome": "to the hotel"})
    half = httpx.Response(200, json={"position": 1, "accepted": 1, "known": 0, "refused": []})
    server = Server(portal, half, httpx.Response(200, text="<html>"))
    with opened(tmp_path, server) as spool:
        spool.report_many([{"n": 1}, {"n": 2}])
        assert spool.flush(20).accepted == 2
    assert len(server.taken) == 2


def test_refused_reports_are_kept_with_the_reason(tmp_path: Path) -> None:
    server = Server()
    with opened(tmp_path, server) as spool:
        spool.report_many([{"n": 1}, {"n": "bad"}])
        assert (spool.flush().refused, spool.standing.waiting) == (1, 0)
    kept = [json.loads(line) for line in (tmp_path / "rejects.ndjson").read_text().splitlines()]
    assert [(k["refusal"]["problem"], json.loads(k["report"])) for k in kept] == [("is bad", {"n": "bad"})]


def test_a_batch_that_is_too_long_for_a_proxy_is_sent_in_halves(tmp_path: Path) -> None:
    class Narrow(Server):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if len(request.content) > 40:
                return httpx.Response(413)
            return super().answer(request)

    server = Narrow()
    with opened(tmp_path, server) as spool:
        spool.report_many([*({"n": n} for n in range(9)), {"long": "x" * 50}])
        standing = spool.flush()
    assert (standing.accepted, standing.refused) == (9, 1)


def test_a_spool_belongs_to_one_process(tmp_path: Path) -> None:
    with sdk.Spool(tmp_path), pytest.raises(sdk.SpoolTaken, match="folder of its own"):
        sdk.Spool(tmp_path)
    sdk.Spool(tmp_path).close()


def test_a_full_spool_refuses_what_is_new_and_keeps_what_is_old(tmp_path: Path) -> None:
    with sdk.Spool(tmp_path, largest=1_000) as spool:
        with pytest.raises(sdk.SpoolFull, match="drop_oldest"):
            _fill(spool)
        before = spool.standing
    assert before.bytes <= 1_000
    server = Server()
    with opened(tmp_path, server) as spool:
        assert spool.flush().accepted == before.waiting
    assert server.taken[0] == '{"n": 0}'


def test_a_spool_that_may_drop_loses_the_oldest_and_counts_them(tmp_path: Path) -> None:
    with sdk.Spool(tmp_path, largest=1_000, drop_oldest=True) as spool:
        for n in range(1_000):
            spool.report({"n": n})
        standing = spool.standing
    assert standing.bytes <= 1_000
    assert standing.waiting + standing.dropped == 1_000
    server = Server()
    with opened(tmp_path, server) as spool:
        assert spool.standing.dropped == standing.dropped
        spool.flush()
    assert server.taken == [json.dumps({"n": n}) for n in range(standing.dropped, 1_000)]


def test_what_can_not_be_kept_is_said_at_once(tmp_path: Path) -> None:
    with sdk.Spool(tmp_path) as spool:
        for wrong in ({"n": float("nan")}, {"x": "y" * 1_000_000}):
            with pytest.raises(sdk.SdkError):
                spool.report_many([{"n": 1}, wrong])
        assert spool.standing.waiting == 0
    with pytest.raises(sdk.SdkError, match="closed"):
        spool.report({"n": 1})


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_that_a_crash_cut_is_cut_off_and_the_others_stay(tmp_path: Path, cut: int) -> None:
    segments = Segments(tmp_path, largest=1_000, drop_oldest=False)
    segments.append([b'{"n": 1}', b'{"n": 2}'])
    segments.close()
    path = next(tmp_path.glob("0*.ndjson"))
    path.write_bytes(path.read_bytes()[:-cut])
    again = Segments(tmp_path, largest=1_000, drop_oldest=False)
    assert again.waiting == (1 if cut < 10 else 0)
    again.append([b'{"n": 3}'])
    pieces = []
    while (piece := again.oldest(10, 1_000)) is not None:
        pieces += piece.lines
        again.answered(piece, [])
    assert pieces == [b'{"n": 1}'] * (cut < 10) + [b'{"n": 3}']
    again.close()


def test_closing_leaves_on_disk_what_is_not_sent(tmp_path: Path) -> None:
    with opened(tmp_path, Server(*[httpx.ConnectError("away")] * 9)) as spool:
        spool.report({"n": 1})
        with pytest.raises(sdk.SdkError, match="1 reports are not sent yet"):
            spool.flush(0.3)
    server = Server()
    with opened(tmp_path, server) as spool:
        assert spool.flush().accepted == 1


def test_several_threads_may_report(tmp_path: Path) -> None:
    server = Server()
    with opened(tmp_path, server) as spool:
        threads = [
            threading.Thread(target=lambda t=t: [spool.report({"t": t, "n": n}) for n in range(20)]) for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert spool.flush().accepted == 80
    assert len(set(server.taken)) == 80


def _fill(spool: sdk.Spool) -> None:
    for n in range(1_000):
        spool.report({"n": n})


@pytest.mark.slow
def test_whatever_is_killed_every_kept_report_arrives_once(tmp_path: Path) -> None:
    """The device is killed at random moments, the server too, and it lets nobody bring more than a little at once."""
    chance = random.Random(5)
    (tmp_path / "mlife.toml").write_text("[intake]\nrate = 300\nburst = 200\n")
    spool, port, kept = tmp_path / "spool", 0, 0
    for _ in range(2):
        with up(tmp_path, *(("--port", port) if port else ())) as server:
            port = server.port
            for _ in range(2):
                kept = _device(spool, f"http://127.0.0.1:{port}", kept, chance)
            server.process.kill()
        kept = _device(spool, f"http://127.0.0.1:{port}", kept, chance)  # nobody listens
    with up(tmp_path, "--port", port), sdk.Spool(spool, f"http://127.0.0.1:{port}", batch=50) as rest:
        rest.flush(90)
    assert kept > 20
    assert _reported(tmp_path / "home") >= {f"r{n}" for n in range(kept + 1)}
    assert not (spool / "rejects.ndjson").exists()


def _device(spool: Path, url: str, kept: int, chance: random.Random) -> int:
    """Let a device report from *kept* on, and kill it at a random moment; the last report that it said is kept."""
    device = start("sdk.spooling", spool, url, kept)
    kept = int(hear(device))
    ends = time.monotonic() + chance.uniform(0.2, 0.8)
    while time.monotonic() < ends and (said := hear(device)):
        kept = int(said)
    device.kill()
    out, _ = device.communicate(timeout=20)
    for said in out.splitlines():
        kept = int(said) if said.isdigit() else kept
    return kept


def _reported(folder: Path) -> set[str]:
    """The ids of all reports in the log; none is there twice."""
    from mlife.runtime import open_home, settings

    with open_home(settings(folder)) as home:
        found = [r.json["report_id"] for r in home.ports.store.read(0, 1_000_000, types=["mlife.badcase.reported.v1"])]
    assert len(found) == len(set(found))
    return set(found)
