"""What is committed: it names no host and no machine, no module is too long, and every command exists."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LONGEST = 500  # lines; style.md asks for a package from 400 on

# Written in two halves, so that this file does not find itself.
HOSTS = [
    "pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "crates" + ".io", "golang" + ".org", "maven" + ".org",
    "maven.apache" + ".org", "debian" + ".org", "unpkg" + ".com", "jsdelivr" + ".net", "cdnjs" + ".cloudflare",
]  # fmt: skip
MACHINE = ["/work" + "/", "/root" + "/", "/opt" + "/wheels", "." + "library/", "file" + ":///work", "file" + ":///home"]
HOME = re.compile(r"/(?:home|Users)/(?!user\b|me\b|you\b)[a-z][a-z0-9_-]*/")


def committed() -> list[Path]:
    """Files that are committed, or would be by the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [CHECKOUT / name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


def texts() -> dict[Path, str]:
    """Text files by path; pictures and other binary files are left out."""
    found = {}
    for file in committed():
        content = file.read_bytes()
        if b"\0" not in content:
            found[file] = content.decode("utf-8", errors="replace")
    return found


def test_no_file_names_a_package_index() -> None:
    named = [(f.relative_to(CHECKOUT), host) for f, text in texts().items() for host in HOSTS if host in text]

    assert named == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    named = [
        (file.relative_to(CHECKOUT), path)
        for file, text in texts().items()
        for path in [*(p for p in MACHINE if p in text), *HOME.findall(text)]
    ]

    assert named == []


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = [
        (file.relative_to(CHECKOUT), lines)
        for file, text in texts().items()
        if file.suffix == ".py" and (lines := text.count("\n")) > LONGEST
    ]

    assert long == []


def test_every_folder_with_modules_is_a_package_so_that_the_linters_see_it() -> None:
    roots = [CHECKOUT / name for name in ("mlife", "projections", "handlers")]
    folders = {file.parent for root in roots for file in root.rglob("*.py")}

    assert [str(f.relative_to(CHECKOUT)) for f in folders if not (f / "__init__.py").exists()] == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_make_command_of_a_page_exists() -> None:
    pages = {file: text for file, text in texts().items() if file.suffix == ".md"}
    named = {
        (page.relative_to(CHECKOUT), command)
        for page, text in pages.items()
        for code in re.findall(r"`+[^`]+`+", text)
        for command in re.findall(r"\bmake ([a-z][a-z-]*)", code)
    }

    assert {command for _, command in named} >= {"test"}
    assert {(page, command) for page, command in named if command not in make_targets()} == set()


def test_make_alone_lists_every_target_that_the_contract_names() -> None:
    answer = subprocess.run(["make"], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    listed = set(re.findall(r"^  make ([a-z-]+)", answer.stdout, flags=re.MULTILINE))
    assert {"demo", "test", "up", "cluster", "bench", "bench-cluster", "soak", "schemas", "lint"} <= listed


def pins(name: str) -> dict[str, str]:
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", text, flags=re.MULTILINE))


def test_the_pinned_lists_agree_so_that_all_fit_in_one_environment() -> None:
    core, demo, dev, build = (pins(name) for name in ("core", "demo", "dev", "build"))

    assert core.items() <= demo.items() <= dev.items()
    assert {n: v for n, v in build.items() if n in dev} == {n: dev[n] for n in build if n in dev}


@pytest.mark.parametrize("name", ["core", "demo", "dev", "build", "demo-data"])
def test_every_pin_carries_a_hash(name: str) -> None:
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text()
    requirements = [r for r in re.split(r"\n(?=[a-z])", text) if r[:1].isalpha()]

    assert requirements
    assert [r.split()[0] for r in requirements if "--hash=sha256:" not in r] == []
