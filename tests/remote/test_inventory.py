"""One line of inventories: of many who would go on, one does, and nobody goes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from stratigraph.errors import ConfigError, IntegrityError
from stratigraph.records.files import sealed_json
from stratigraph.remote import inventory as module
from stratigraph.remote.inventory import Inventory, create_next, read_newest, read_object
from stratigraph.remote.store import Store, open_store

LEDGER = "ledgers/one"


@pytest.fixture
def store(store_url) -> Store:
    return open_store(store_url)


def test_they_are_numbered_and_a_few_stay(store):
    newest = read_newest(store, LEDGER)
    assert newest == Inventory()
    for number in range(1, 6):
        newest = create_next(store, LEDGER, newest, {**newest.entries, f"place {number}": "v"})
        assert read_newest(store, LEDGER) == newest
        assert newest.number == number
    assert list(newest.entries) == [f"place {n}" for n in range(1, 6)]
    assert store.names(LEDGER) == ["000000003.json", "000000004.json", "000000005.json"]
    assert newest.by.startswith("pid ")


def test_whoever_did_not_read_the_newest_is_refused(store):
    first = create_next(store, LEDGER, Inventory(), {"a": "1-x"})
    second = create_next(store, LEDGER, first, {"a": "2-y"})
    with pytest.raises(FileExistsError):
        create_next(store, LEDGER, first, {"a": "2-z"})
    # Its number may have been removed for its age: then it can be created, and is seen by nobody.
    for turn in range(2 * module.KEPT):
        second = create_next(store, LEDGER, second, {"a": f"2-{turn}"})
    with pytest.raises(FileExistsError):
        create_next(store, LEDGER, first, {"a": "2-z"})
    assert read_newest(store, LEDGER) == second
    assert len(store.names(LEDGER)) == module.KEPT


def test_an_answer_that_was_lost_on_its_way_is_no_rival(store, monkeypatch):
    class Forgetful:
        url, names, pieces = store.url, store.names, store.pieces

        def create(self, name, content):
            store.create(name, content)
            store.create(name, content)  # as a client does that had no answer

        def remove(self, names):
            store.remove(names)

    made = create_next(Forgetful(), LEDGER, Inventory(), {"a": "1-x"})
    assert read_newest(store, LEDGER) == made


def test_of_many_at_once_one_goes_on(store):
    def go_on(_):
        try:
            return create_next(store, LEDGER, Inventory(), {})
        except FileExistsError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(go_on, range(16)) if one is not None]
    assert len(made) == 1


def test_damage_and_newer_formats_are_told(store):
    create_next(store, LEDGER, Inventory(), {})
    name = f"{LEDGER}/000000001.json"
    store.put(name, read_object(store, name).replace(b"1", b"2", 1))
    with pytest.raises(IntegrityError, match=rf"{name}: damaged"):
        read_newest(store, LEDGER)
    store.put(name, sealed_json({"format": 3}))
    with pytest.raises(ConfigError, match=rf"{name}: written in format 3, this version reads up"):
        read_newest(store, LEDGER)
