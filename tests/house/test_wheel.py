"""What a user installs: the wheel's names, its entry points, and one copy of every module."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this checkout by the pinned backend."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    (built,) = target.glob("mlife-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_installs_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {"mlife"}


@pytest.mark.parametrize("folder", ["projections", "handlers"])
def test_the_wheel_holds_every_module_of_the_two_folders_under_mlife(wheel: zipfile.ZipFile, folder: str) -> None:
    written = {f"mlife/{file.relative_to(CHECKOUT).as_posix()}" for file in (CHECKOUT / folder).rglob("*.py")}

    assert {n for n in wheel.namelist() if n.startswith(f"mlife/{folder}/") and n.endswith(".py")} == written


def test_the_wheel_holds_templates_styles_and_the_type_marker(wheel: zipfile.ZipFile) -> None:
    kinds = {".html", ".css", ".js", ".typed", ".svg", ".sql"}
    written = {f.relative_to(CHECKOUT).as_posix() for f in (CHECKOUT / "mlife").rglob("*") if f.suffix in kinds}

    assert {n for n in wheel.namelist() if Path(n).suffix in kinds and not n.endswith("/RECORD")} == written


def test_the_wheel_works_from_a_site_packages_folder(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    script = (
        "import mlife, mlife.projections as p, mlife.handlers as h; from pathlib import Path; "
        "print(*(Path(m.__file__).parent for m in (mlife, p, h)), *mlife.__path__, sep='\\n')"
    )
    where = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    package = tmp_path / "mlife"
    assert [Path(line) for line in where] == [package, package / "projections", package / "handlers", package]


def test_the_wheel_declares_the_licence_by_its_spdx_name(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))

    assert "License-Expression: Apache-2.0\n" in wheel.read(metadata).decode()


def test_every_entry_point_names_a_package_of_the_wheel(wheel: zipfile.ZipFile) -> None:
    (declared,) = (n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt"))
    targets = [
        line.split("=")[1].split(":")[0].strip() for line in wheel.read(declared).decode().splitlines() if "=" in line
    ]
    names = set(wheel.namelist())

    missing = [t for t in targets if not {t.replace(".", "/") + ".py", t.replace(".", "/") + "/__init__.py"} & names]
    assert missing == []


@pytest.mark.parametrize("folder", ["projections", "handlers"])
def test_the_folders_own_name_is_refused_so_that_no_second_copy_loads(folder: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )

    assert answer.returncode == 1
    assert f"import mlife.{folder}, not {folder}" in answer.stderr


def test_importing_mlife_loads_none_of_the_libraries_it_depends_on() -> None:
    script = "import sys; before = set(sys.modules); import mlife; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split()

    heavy = {"fastapi", "httpx", "numpy", "onnxruntime", "pydantic", "rich", "sqlalchemy"}
    assert heavy & {name.split(".")[0] for name in loaded} == set()
