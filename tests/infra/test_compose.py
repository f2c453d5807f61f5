"""`infra/compose.yaml` and the image: no engine runs them here, so that they are read as closely as can be."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlife.runtime.configuration import KNOWN, settings
from tests.infra.commands import understood
from tests.processes import ROOT

INFRA = ROOT / "infra"
TEXT = (INFRA / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mlife:")}
EXAMPLE = (INFRA / ".env.example").read_text(encoding="utf-8")
SECRETS = ("POSTGRES_PASSWORD", "S3_SECRET", "MLIFE_TOKEN")


FILLED = {"POSTGRES_PASSWORD": "a1", "S3_SECRET": "b2", "S3_LINKS": "127.0.0.1:9000", "MLIFE_TOKEN": "c3"}


def filled(text: str, **told: str) -> str:
    """*text* as compose would fill its variables in; one that it would refuse to start without raises KeyError."""
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda m: told[m[1]] if m[2] == "?" else told.get(m[1], m[3] or ""), text
    )


def test_every_process_of_the_cluster_size_has_a_service() -> None:
    commands = {" ".join(service["command"]).split(" --")[0] for service in OURS.values()}

    assert commands == {
        "doctor", "up", "relay", "worker projections", "worker handlers", "worker intake", "worker tasks",
    }  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_a_services_command_is_one_of_the_command_line(name: str) -> None:
    assert understood(OURS[name]["command"])


def test_what_is_no_command_is_not_understood() -> None:
    assert not understood(["worker", "projectors"])
    assert not understood(["relay", "left-over"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_settings_that_the_program_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = OURS[name]["environment"]
    assert {variable.removeprefix("MLIFE_").lower() for variable in told} == set(KNOWN)
    for variable, value in told.items():
        monkeypatch.setenv(variable, filled(value, **FILLED))
    monkeypatch.delenv("MLIFE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)  # where no mlife.toml is

    chosen = settings()

    assert not chosen.is_alone
    assert chosen.token == "c3"
    for url, host in ((chosen.store, "postgres"), (chosen.bus, "kafka"), (chosen.files, "files")):
        assert re.search(rf"[@/]{host}:\d+", url)
        assert host in SERVICES


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_healthy_ones_and_may_little(name: str) -> None:
    service = OURS[name]

    assert {of for of, how in service["depends_on"].items() if how["condition"] == "service_healthy"} == {
        of for of in SERVICES if of not in OURS
    }
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == [f"home:{service['environment']['MLIFE_HOME']}"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS or name == "up"])
def test_whatever_others_wait_for_says_that_it_is_healthy(name: str) -> None:
    words = SERVICES[name]["healthcheck"]["test"]

    assert words[0] == "CMD"
    assert len(words) > 2


def test_every_service_is_started_again() -> None:
    restarts = {name: service["restart"] for name, service in SERVICES.items()}

    assert restarts.pop("setup") == "on-failure"
    assert set(restarts.values()) == {"unless-stopped"}


def test_every_volume_is_declared_and_used() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())}

    assert used == set(COMPOSE["volumes"])


def test_every_image_of_others_has_a_version() -> None:
    for name, service in SERVICES.items():
        image, _, version = service["image"].partition(":")
        assert version not in {"", "latest"}, f"{name}: {image}"


def test_no_secret_stands_in_a_file_and_none_is_optional() -> None:
    for name in SECRETS:
        asked = re.findall(rf"\$\{{{name}(\W[^}}]*)?\}}", TEXT)
        assert asked
        assert all(how.startswith(":?") for how in asked)
        assert re.search(rf"^{name}=$", EXAMPLE, flags=re.MULTILINE)
    assert ".env" in (INFRA / ".gitignore").read_text().split()


def test_every_variable_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    explained = re.findall(r"^# .*\n(?:[A-Z0-9_]+=.*\n)*?([A-Z0-9_]+)=|^([A-Z0-9_]+)=", EXAMPLE, flags=re.MULTILINE)

    assert {a or b for a, b in explained} == used


def test_only_pages_and_files_are_reached_from_outside_and_from_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"up", "files"}
    for ports in published.values():
        assert all(filled(port).startswith("127.0.0.1:") for port in ports)


def test_it_says_plainly_that_nobody_could_run_it() -> None:
    assert "NOT RUN BY US" in "".join(TEXT.partition("name:")[0])
    assert "NOT RUN BY US" in (INFRA / "Dockerfile").read_text(encoding="utf-8").partition("FROM")[0]


def test_the_image_is_made_from_what_is_there_and_starts_a_command() -> None:
    steps = (INFRA / "Dockerfile").read_text(encoding="utf-8")
    copied = [words.split() for words in re.findall(r"^COPY (?!--from)(.+)$", steps, flags=re.MULTILINE)]
    let_in = {line[1:] for line in (INFRA / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}

    for *sources, _ in copied:
        for source in sources:
            assert (ROOT / source).exists()
            assert source.split("/")[0] in let_in
    assert (ROOT / COMPOSE["x-mlife"]["build"]["dockerfile"]).exists()
    entry, command = (re.findall(rf"^{word} \[(.+)\]$", steps, flags=re.MULTILINE) for word in ("ENTRYPOINT", "CMD"))
    assert entry == ['"mlife"']
    assert understood(re.findall(r'"([^"]+)"', command[0]))
