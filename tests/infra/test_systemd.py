"""The systemd units: systemd's own checker reads them where it is installed, and their commands exist."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import Certificates
from mlife.adapters.kafka_connection import connection
from mlife.adapters.s3 import address_of
from mlife.runtime import settings
from tests.infra.commands import understood
from tests.processes import ROOT

UNITS = ROOT / "infra" / "systemd"
ROLES = ("projections", "handlers", "intake", "tasks")
SERVICES = {
    "mlife-up.service": "mlife-up.service",
    "mlife-relay.service": "mlife-relay.service",
    **{f"mlife-worker@{role}.service": "mlife-worker@.service" for role in ROLES},
}
MOST_EXPOSURE = 2.0  # of 10, in systemd's own count; what is left is the network that they need
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(UNITS / name, encoding="utf-8")
    return read


def command(service: str) -> list[str]:
    """The words after `mlife` that *service* starts."""
    program, *words = unit(SERVICES[service])["Service"]["ExecStart"].split()
    assert Path(program).name == "mlife"
    role = re.search(r"@(\w+)\.", service)
    return [word.replace("%i", role[1]) if role else word for word in words]


@pytest.mark.parametrize("service", SERVICES)
def test_a_units_command_is_one_of_the_command_line(service: str) -> None:
    assert understood(command(service))


@pytest.mark.parametrize("file", sorted(set(SERVICES.values())))
def test_a_service_comes_and_goes_with_the_target_and_never_gives_up(file: str) -> None:
    read = unit(file)

    assert read["Unit"]["PartOf"] == read["Install"]["WantedBy"] == "mlife.target"
    assert read["Unit"]["StartLimitIntervalSec"] == "0"


def test_secrets_are_shown_to_the_service_alone() -> None:
    text = (UNITS / "mlife-.service.d" / "common.conf").read_text(encoding="utf-8")

    assert "LoadCredential=mlife.toml:/etc/mlife/mlife.toml" in text
    assert "Environment=MLIFE_CONFIG=%d/mlife.toml" in text
    assert not re.search(r"MLIFE_(STORE|BUS|FILES|TOKEN)", text)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in a folder, with the program where it is here."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    for file in tmp_path.glob("*.service"):
        file.write_text(file.read_text().replace("/opt/mlife/bin/mlife", str(Path(sys.executable).parent / "mlife")))
    return tmp_path


def analyze(folder: Path, *words: str) -> str:
    """What systemd-analyze says of units in *folder*, besides systemd's own."""
    done = subprocess.run(
        ["systemd-analyze", *words],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("name", ["mlife.target", *SERVICES])
def test_systemd_understands_every_line(name: str, installed: Path) -> None:
    assert str(installed) not in analyze(installed, "verify", "--man=no", str(installed / name))


@needs_systemd
@pytest.mark.parametrize("file", sorted(set(SERVICES.values())))
def test_a_service_may_do_little_but_its_work(file: str, installed: Path) -> None:
    said = analyze(installed, "security", "--offline=yes", "--no-pager", str(installed / file))

    assert float(re.findall(r"exposure level for \S+: ([\d.]+)", said)[0]) <= MOST_EXPOSURE


@needs_systemd
def test_a_line_that_systemd_does_not_know_is_found(installed: Path) -> None:
    file = installed / "mlife-relay.service"
    file.write_text(file.read_text().replace("[Service]", "[Service]\nRestartWhenever=yes"))

    assert "RestartWhenever" in analyze(installed, "verify", "--man=no", str(file))


def test_the_example_of_the_settings_is_one_that_the_program_takes(tmp_path: Path) -> None:
    ca, example = Certificates(tmp_path).ca, (UNITS / "settings.example.toml").read_text(encoding="utf-8")
    config = tmp_path / "mlife.toml"
    config.write_text(example.replace("/etc/mlife/ca.pem", str(ca)))

    chosen = settings(tmp_path, config=config)

    assert not chosen.is_alone
    assert chosen.token
    assert "SECRET" not in chosen.shown("store") + chosen.shown("bus") + chosen.shown("files")
    assert connection(chosen.bus).replication == 3
    assert address_of(chosen.files).bucket == "mlife"
