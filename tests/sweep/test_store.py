"""Stores: each cell once, held by one, whole whatever happens."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.errors import HarnessError, UsageError
from harness.sweep.cell import Cell, Result
from harness.sweep.store import Store
from tests.sweep.test_spec import case


def pair(key, outcome="passed"):
    judgements = ({"claim": "A", "observed": "3 s", "values": 3.0},)
    result = Result(key, outcome, "", judgements, 0.01, "here:1")
    return Cell(key, case(), (("net.ipv4.a", "1"),)), result


def test_a_result_is_stored_once_and_read_back(tmp_path):
    """The first one counts; what is asked for and not there is left out."""
    with Store(tmp_path / "deep" / "s.sqlite") as store:
        assert store.add([pair("a"), pair("b")]) == 2
        assert store.add([pair("b", "failed"), pair("c")]) == 1
        assert len(store) == 3
        assert store.known(["a", "z", "c", "a"]) == {"a", "c"}
        assert list(store.results(["b"])) == [pair("b")[1]]
    with Store(tmp_path / "deep" / "s.sqlite") as store:
        assert len(list(store.results([*"abc"]))) == 3


def test_what_was_too_noisy_can_be_run_again(tmp_path):
    """Only that, and only of the cells that are asked for."""
    with Store(tmp_path / "s.sqlite") as store:
        store.add([pair("a"), pair("b", "inconclusive"), pair("c", "inconclusive")])
        assert store.forget("ab") == 1
        assert store.known("abc") == {"a", "c"}
        assert store.add([pair("b")]) == 1


def test_many_keys_may_be_asked_for_at_once(tmp_path):
    """More than a statement of SQL may name."""
    with Store(tmp_path / "s.sqlite") as store:
        store.add(pair(str(n)) for n in range(2_000))
        assert len(store.known(map(str, range(3_000)))) == 2_000


def test_a_second_sweep_is_refused_while_a_first_writes(tmp_path):
    """The lock goes with its holder."""
    path = tmp_path / "s.sqlite"
    with Store(path), pytest.raises(UsageError, match="another sweep"):
        Store(path)
    Store(path).close()


def test_what_is_no_store_is_refused(tmp_path):
    """Nothing is written over."""
    path = tmp_path / "s.sqlite"
    path.write_text("this is a text of somebody else, and long enough to be looked at " * 20)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="no store of a sweep"):
        Store(path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_a_mistake(tmp_path):
    """The user may name another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--store"):
        Store(tmp_path / "file" / "s.sqlite")


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path):
    """What did not fit is not there in part, and the rest can be read."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add([pair("a")])
        pages = store._database.execute("pragma page_count").fetchone()[0]
        store._database.execute(f"pragma max_page_count = {pages + 2}")
        with pytest.raises(HarnessError, match=r"full.*make room"):
            store.add(pair(f"b{n}") for n in range(1_000))
        assert store.known(["a", "b0", "b999"]) == {"a"}
    with Store(path) as store:
        assert store.add([pair("b0")]) == 1


WRITER = """
import sys
from pathlib import Path
from harness.sweep.store import Store
from tests.sweep.test_store import pair
store = Store(Path(sys.argv[1]))
for number in range(1_000_000):
    store.add([pair(f"{number}-{each}") for each in range(10)])
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_a_whole_store(tmp_path):
    """Batches are there as wholes, all that were said to be stored."""
    path = tmp_path / "s.sqlite"
    words = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) as writer:
        said = [writer.stdout.readline() for _ in range(5)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.readlines()
    for _ in range(50):
        try:
            store = Store(path)
            break
        except UsageError:
            time.sleep(0.05)
    with store:
        assert len(store) % 10 == 0
        assert len(store) >= 10 * len(said)
        assert store._database.execute("pragma integrity_check").fetchone() == ("ok",)
