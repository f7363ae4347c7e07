"""The order: one long and one short testcase with each worker, and turns for second attempts."""

import multiprocessing
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, lockf
from types import SimpleNamespace

import pytest

from harness.order import YIELDS, LongestFirst, Turns, yields


class Node:
    """A worker that notes what it is handed; what it has is run from the front."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.handed = []
        self.shutting_down = False

    def send_runtest_some(self, indices):
        assert not self.shutting_down
        self.handed.append(indices)

    def shutdown(self):
        self.shutting_down = True


def log(*_):
    """Say nothing."""


log.loadsched = log


def config(nodes, reports):
    def tell(report):
        reports.append(report)

    told = SimpleNamespace(pytest_collectreport=tell)
    options = {"maxschedchunk": None, "tx": ["popen"] * nodes}
    get = options.__getitem__
    return SimpleNamespace(getoption=get, getvalue=get, hook=told, option=None)


class Floor:
    """A scheduler with so many nodes, each of which has collected so many testcases."""

    def __init__(self, nodes, testcases, *, odd=False, standing_back=()):
        self.reports = []
        self.names = [f"t{number}" for number in range(testcases)]
        self.order = LongestFirst(config(nodes, self.reports), log)
        self.nodes = [self.node(f"gw{number}") for number in range(nodes)]
        for number in standing_back:
            self.nodes[number].workerinput = {YIELDS: True}
        if odd:
            self.order.node2collection[self.nodes[-1]] = ["other"]
        self.order.schedule()

    def node(self, name):
        node = Node(name)
        self.order.add_node(node)
        self.order.add_node_collection(node, self.names)
        return node

    def handed(self):
        return [[index for some in node.handed for index in some] for node in self.nodes]

    def ends(self, node):
        """Let a worker end what it runs."""
        self.order.mark_test_complete(node, self.order.node2pending[node][0], 1.0)


def test_each_worker_begins_with_a_long_one_and_a_short_one_behind():
    """The longest start side by side; what queues behind them is the shortest there is."""
    floor = Floor(2, 8)
    assert floor.handed() == [[0, 7], [1, 6]]
    assert all(len(some) == 1 for node in floor.nodes for some in node.handed)


def test_a_long_one_never_waits_for_a_long_one():
    """Behind a short one queues the longest that is left, behind a long one the shortest."""
    floor = Floor(2, 10)
    first, second = floor.nodes
    floor.ends(first)
    assert floor.handed() == [[0, 9, 2], [1, 8]]
    floor.ends(first)
    assert floor.handed() == [[0, 9, 2, 7], [1, 8]]
    floor.ends(second)
    assert floor.handed() == [[0, 9, 2, 7], [1, 8, 3]]


@pytest.mark.parametrize(("nodes", "testcases"), [(1, 1), (1, 7), (2, 3), (3, 2), (4, 4), (3, 20)])
def test_every_testcase_is_run_once_and_every_worker_is_let_go(nodes, testcases):
    """Whatever the numbers, nothing is left, nothing is run twice, nobody waits for more."""
    floor = Floor(nodes, testcases)
    while floor.order.has_pending:
        busy = [node for node in floor.nodes if floor.order.node2pending[node]]
        floor.ends(busy[-1])
    assert sorted(index for handed in floor.handed() for index in handed) == list(range(testcases))
    assert all(node.shutting_down for node in floor.nodes)
    assert floor.order.tests_finished


def test_fewer_testcases_than_workers():
    """Each has one of its own, and who has none is let go at once."""
    floor = Floor(3, 2)
    assert floor.handed() == [[0], [1], []]
    assert [node.shutting_down for node in floor.nodes] == [True] * 3


def test_without_testcases_all_are_let_go():
    """An empty collection is no reason to wait."""
    floor = Floor(2, 0)
    assert floor.handed() == [[], []]
    assert all(node.shutting_down for node in floor.nodes)


def test_what_a_crashed_worker_leaves_is_handed_out_by_its_length():
    """A long one that queued is among the longest again, not taken for a short one."""
    floor = Floor(2, 8)
    first, second = floor.nodes
    floor.ends(first)
    assert floor.handed() == [[0, 7, 2], [1, 6]]
    assert floor.order.remove_node(first) == "t7"
    floor.ends(second)
    assert floor.handed()[1] == [1, 6, 2]
    floor.ends(second)
    assert floor.handed()[1] == [1, 6, 2, 5]


def test_a_worker_that_replaces_another_begins_with_the_longest():
    """It is handed what is left as any worker was in the beginning."""
    floor = Floor(2, 8)
    floor.order.remove_node(floor.nodes[0])
    assert floor.order.pending == [2, 3, 4, 5, 7]
    floor.nodes.append(floor.node("gw2"))
    floor.order.schedule()
    assert floor.handed()[2] == [2, 7]


def test_what_a_crash_leaves_when_all_others_are_shutting_down():
    """Nobody who was let go is handed anything; the replacement takes it."""
    floor = Floor(2, 4)
    first, second = floor.nodes
    assert second.shutting_down
    assert floor.order.remove_node(first) == "t0"
    assert floor.handed()[1] == [1, 2]
    floor.nodes.append(floor.node("gw2"))
    floor.order.schedule()
    assert floor.handed()[2] == [3]
    assert floor.nodes[2].shutting_down


def test_different_collections_are_reported():
    """Workers that see different testcases run none of them."""
    floor = Floor(2, 3, odd=True)
    assert floor.handed() == [[], []]
    assert [report.outcome for report in floor.reports] == ["failed"]


def probe(path, said):
    names = []
    with path.open("a+") as file:
        for place in range(2):
            for operation, name in ((LOCK_EX, "free"), (LOCK_SH, "shared")):
                try:
                    lockf(file, operation | LOCK_NB, 1, place)
                except OSError:
                    continue
                names.append(name)
                break
            else:
                names.append("taken")
    said.put(names)


def apart_from_us(what, *given):
    """Start something in another process; return that and what it will say."""
    fork = multiprocessing.get_context("fork")
    said = fork.SimpleQueue()
    other = fork.Process(target=what, args=(*given, said))
    other.start()
    return other, said


def held(path):
    """Tell what another process could have now of each of two places."""
    other, said = apart_from_us(probe, path)
    names = said.get()
    other.join(10)
    return names


def test_first_attempts_share_all_places_and_a_second_has_one(tmp_path):
    """The places are shared by workers in their first round; in the second each takes one."""
    turns = Turns(tmp_path / "turns", 2)
    with turns.together():
        assert held(tmp_path / "turns") == ["shared", "shared"]
    assert held(tmp_path / "turns") == ["free", "free"]
    with turns.again():
        assert held(tmp_path / "turns") == ["taken", "free"]
    assert held(tmp_path / "turns") == ["free", "free"]


def test_a_failure_gives_the_turn_back(tmp_path):
    """However a round ends, others may go on."""
    turns = Turns(tmp_path / "turns", 2)
    for turn in (turns.together, turns.again):
        with pytest.raises(RuntimeError), turn():
            raise RuntimeError
        assert held(tmp_path / "turns") == ["free", "free"]


def test_a_long_wait_lets_second_attempts_go_on(tmp_path):
    """Whoever only waits holds nobody up, and is with the others again afterwards."""
    turns = Turns(tmp_path / "turns", 2)
    for turn in (turns.together, turns.again):
        with turn():
            with turns.apart():
                assert held(tmp_path / "turns") == ["free", "free"]
            assert held(tmp_path / "turns") == ["shared", "shared"]


def second_attempt(path, said):
    with Turns(path, 2).again():
        said.put(held(path))


def test_second_attempts_are_side_by_side_as_far_as_there_are_places(tmp_path):
    """A second one takes the other place; where all are taken, it waits."""
    with Turns(tmp_path / "turns", 2).again():
        other, said = apart_from_us(second_attempt, tmp_path / "turns")
        assert said.get() == ["taken", "taken"]
        other.join(10)


def test_a_third_attempt_has_all_places(tmp_path):
    """Nobody else makes an attempt meanwhile."""
    with Turns(tmp_path / "turns", 2).alone():
        assert held(tmp_path / "turns") == ["taken", "taken"]


def test_a_second_attempt_waits_for_all_first_ones(tmp_path):
    """Another process is held up until nobody is in the first round any more."""
    with Turns(tmp_path / "turns", 2).together():
        other, said = apart_from_us(second_attempt, tmp_path / "turns")
        other.join(0.2)
        assert other.is_alive()
        assert said.empty()
    assert "taken" in said.get()
    other.join(10)
    assert other.exitcode == 0


def test_the_last_third_of_the_workers_stands_back():
    """Two workers are too few for one of them to."""
    assert [yields(number, 7) for number in range(7)] == [False] * 5 + [True] * 2
    assert not any(yields(number, 2) for number in range(2))


def test_a_worker_that_stands_back_is_given_the_shortest():
    """It takes from the short end, first and later."""
    floor = Floor(2, 12, standing_back=(1,))
    assert floor.handed() == [[0, 10], [11, 9]]
    floor.ends(floor.nodes[1])
    assert floor.handed()[1] == [11, 9, 8]


def test_a_worker_that_stands_back_no_longer_does_so_when_few_are_left():
    """Else long ones would be all that is left to queue behind long ones."""
    floor = Floor(2, 8, standing_back=(1,))
    assert floor.handed() == [[0, 6], [7, 5]]
    floor.ends(floor.nodes[1])
    assert floor.handed()[1] == [7, 5, 1]
    floor.ends(floor.nodes[1])
    assert floor.handed()[1] == [7, 5, 1, 4]
