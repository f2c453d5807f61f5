"""The import rules are really enforced: a forbidden import of each kind is planted, and the linter must name it."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

# (rule, importer, imported): each pair is wrong for that rule's reason.
FORBIDDEN = [
    ("a", "mlife.projections.badcases", "mlife.handlers.badcases"),
    ("a", "mlife.handlers.badcases", "mlife.projections.badcases"),
    ("a", "mlife.badcases.commands", "mlife.projections.badcases"),
    ("a", "mlife.core.ports", "mlife.handlers.badcases"),
    ("a", "mlife.projections.badcases", "mlife.badcases.pages"),
    ("b", "mlife.badcases.commands", "mlife.data.commands"),
    ("b", "mlife.core.events", "mlife.badcases.events"),
    ("b", "mlife.core.events", "mlife.ui.looks"),
    ("b", "mlife.ui.looks", "mlife.badcases.views"),
    ("b", "mlife.training.commands", "mlife.server"),
    ("b", "mlife.sdk", "mlife.core.errors"),
    ("c", "mlife.core.events", "sqlite3"),
    ("c", "mlife.serving.commands", "onnxruntime"),
    ("c", "mlife.runtime", "eventsourcing"),
    ("c", "mlife.handlers.badcases", "mlflow"),
    ("c", "mlife.data.commands", "sqlalchemy"),
    ("c", "mlife.handlers.badcases", "sqlalchemy"),
    ("c", "mlife.badcases.commands", "fastapi"),
    ("c", "mlife.projections.badcases", "jinja2"),
    ("d", "mlife.badcases.commands", "mlife.badcases.views"),
    ("d", "mlife.data.events", "mlife.data.commands"),
    ("d", "mlife.audit.views", "mlife.audit.pages"),
    ("e", "mlife.server", "mlife.adapters.events_sqlite"),
    ("e", "mlife.handlers.badcases", "mlife.adapters.events_sqlite"),
    ("e", "mlife.badcases.pages", "mlife.runtime"),
    ("e", "mlife.handlers.badcases", "mlife.runtime"),
]


@pytest.fixture(scope="module")
def layout() -> ModuleType:
    """The tool that lays the packages out as the wheel does."""
    spec = importlib.util.spec_from_file_location("in_wheel_layout", CHECKOUT / "tools" / "in_wheel_layout.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(layout: ModuleType, tmp_path: Path) -> Path:
    """A copy of the packages as the linter sees them."""
    layout.lay_out(tmp_path)
    return tmp_path


def file_of(house: Path, module: str) -> Path:
    """Where *module* is written; an empty one is made if nobody has written it yet."""
    place = house.joinpath(*module.split("."))
    if (place / "__init__.py").exists():
        return place / "__init__.py"
    for package in reversed(place.relative_to(house).parents[:-1]):
        (house / package).mkdir(exist_ok=True)
        (house / package / "__init__.py").touch()
    place.with_suffix(".py").touch()
    return place.with_suffix(".py")


def plant(house: Path, importer: str, imported: str) -> None:
    """Append the import to the importer, below all that it really imports."""
    if imported.startswith("mlife."):
        file_of(house, imported)
    with file_of(house, importer).open("a") as file:
        file.write(f"\nimport {imported}\n")


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-logo", "--no-cache"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "400", "PATH": ""},
    )


@pytest.mark.parametrize(("rule", "importer", "imported"), FORBIDDEN, ids=str)
def test_a_forbidden_import_fails_the_linter_and_is_named(house: Path, rule: str, importer: str, imported: str) -> None:
    plant(house, importer, imported)

    answer = lint(house)

    broken = re.findall(r"^(.+?): .* BROKEN", answer.stdout, flags=re.MULTILINE)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert any(rule in rules.split(", ") for rules in broken), answer.stdout
    assert f"{importer} -> {imported}" in " ".join(answer.stdout.split()), answer.stdout


def test_a_cycle_between_modules_of_one_room_fails_the_linter(house: Path) -> None:
    plant(house, "mlife.core.round", "mlife.core.about")
    plant(house, "mlife.core.about", "mlife.core.round")

    answer = lint(house)

    assert answer.returncode == 1
    assert "f: no cycles BROKEN" in answer.stdout


def test_a_room_that_no_rule_places_fails_the_linter(house: Path) -> None:
    file_of(house, "mlife.attic.events")

    answer = lint(house)

    assert answer.returncode == 1
    assert "attic" in answer.stdout


def test_an_allowed_import_of_each_layer_passes_the_linter(house: Path) -> None:
    before = lint(house).stdout

    plant(house, "mlife.handlers.badcases", "mlife.data.commands")
    plant(house, "mlife.projections.badcases", "sqlalchemy")
    plant(house, "mlife.badcases.pages", "fastapi")
    plant(house, "mlife.adapters.events_sqlite", "sqlite3")
    plant(house, "mlife.runtime", "mlife.adapters.events_sqlite")

    assert lint(house).stdout.count("BROKEN") == before.count("BROKEN")


def test_the_linter_sees_every_module_of_the_three_folders(layout: ModuleType, house: Path) -> None:
    script = "import grimp, sys; print(*sorted(grimp.build_graph('mlife', cache_dir=None).modules), sep='\\n')"
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=house, capture_output=True, text=True, check=True
    ).stdout.split()

    written = set()
    for root, prefix in (("mlife", ""), *((name, "mlife.") for name in layout.JOINED)):
        for file in (CHECKOUT / root).rglob("*.py"):
            dotted = ".".join(file.relative_to(CHECKOUT).with_suffix("").parts)
            written.add(prefix + dotted.removesuffix(".__init__"))
    assert set(seen) == written
