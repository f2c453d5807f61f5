"""What every shelf of derived bytes must do; an adapter joins by its name and its fixture."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mlife.adapters.postgres import Postgres
from mlife.adapters.shelf_postgres import PostgresShelf
from mlife.adapters.shelf_sqlite import SqliteShelf
from mlife.core.errors import HomeUnusable
from mlife.core.ports import Shelf


@pytest.fixture
def sqlite_opener(tmp_path: Path) -> Iterator[Callable[[], SqliteShelf]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqliteShelf(tmp_path / "shelf.db")))


@pytest.fixture
def postgres_opener(postgres_url: str) -> Iterator[Callable[[], PostgresShelf]]:
    with ExitStack() as opened:
        yield lambda: PostgresShelf(opened.enter_context(closing(Postgres(postgres_url))))


@pytest.fixture(params=["sqlite", "postgres"])
def another(request: pytest.FixtureRequest) -> Callable[[], Shelf]:
    """Opens the same shelf once more, as another process does."""
    return request.getfixturevalue(f"{request.param}_opener")


@pytest.fixture
def shelf(another: Callable[[], Shelf]) -> Shelf:
    """An empty shelf."""
    return another()


def test_what_is_put_is_there_for_others_and_the_last_of_a_key_stays(
    shelf: Shelf, another: Callable[[], Shelf]
) -> None:
    shelf.put("shape@1/2", {"b": b"\0\1", "a": b""})
    shelf.put("shape@1/2", {"b": b"\2"})
    shelf.put("shape@2/2", {})
    other = another()
    assert other.get("shape@1/2", ["a", "b", "c"]) == {"a": b"", "b": b"\2"}
    assert other.has("shape@1/2", ["a", "c"]) == {"a"}
    assert other.get("shape@2/2", ["a"]) == {}


def test_many_keys_are_asked_for_at_once(shelf: Shelf) -> None:
    many = {f"{n:064x}": n.to_bytes(2, "big") for n in range(3_000)}
    shelf.put("many", many)
    assert shelf.get("many", [*many, "none"]) == many
    assert shelf.has("many", list(many)) == many.keys()
    assert shelf.get("many", []) == {}


def test_a_kind_is_forgotten_and_the_others_stay(shelf: Shelf) -> None:
    for kind in ("a", "b", "a!"):
        shelf.put(kind, {"1": b"x", "2": b"y"})
    assert shelf.kinds() == ["a", "a!", "b"]
    assert shelf.drop("a") == 2
    assert shelf.drop("a") == 0
    assert shelf.kinds() == ["a!", "b"]


def test_a_file_that_is_no_shelf_is_told_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "shelf.db").write_bytes(b"no database" * 100)
    with closing(SqliteShelf(tmp_path / "shelf.db")) as shelf, pytest.raises(HomeUnusable, match=r"shelf\.db") as told:
        shelf.kinds()
    assert "compared anew" in str(told.value.remedy)
