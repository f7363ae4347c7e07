"""The plugin: runs of pytest within pytest, on a toy of a stack in virtual time."""

import json

import pytest

import tests.small
from harness.documents.library import Library
from harness.judgement.ledger import Ledger
from harness.targets import registry

pytest_plugins = ["pytester"]

# Workers of xdist begin with the path that Python began with.
CONFTEST = f"""
import os
import sys

sys.path.insert(0, {str(tests.small.HERE.parent.parent)!r})
import tests.small

tests.small.install()
pytest_plugins = ["harness.plugin"]


def pytest_runtest_setup(item):
    # What begins is noted, in whatever process.
    with (item.config.rootpath / "begun").open("a") as file:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
        file.write(worker + " " + item.originalname.removeprefix("test_") + "\\n")
"""

CATALOGUE = '''
import pytest
from harness.errors import HarnessError, Inconclusive, Unsupported


@pytest.mark.measures("answer", "truth")
def test_conforming(peer, documented):
    """A closed port refuses."""
    peer.answer("S 0:0(0)", measure="answer")
    documented("truth").judge(True)


@pytest.mark.measures("truth")
def test_deviating(documented):
    """It is so."""
    before = 1
    documented("truth").judge(False)


@pytest.mark.measures("flaw")
def test_known(documented):
    """It is so, but is known not to be."""
    documented("flaw").judge(False)


@pytest.mark.measures("mended")
def test_stale(documented):
    """It is so, but was known not to be."""
    documented("mended").judge(True)


@pytest.mark.measures("truth")
def test_unsupported(documented):
    """It needs what a toy lacks."""
    raise Unsupported("a toy has no batteries")


@pytest.mark.measures("answer")
def test_lacking(client, documented):
    """It needs two stacks on one link."""


@pytest.mark.measures("truth", "answer")
def test_inconclusive(documented, request):
    """It is too noisy."""
    documented("truth").judge(True)
    raise Inconclusive("too noisy\\n\\nsecond line")


@pytest.mark.measures("truth")
def test_ours(documented):
    """We are at fault."""
    raise HarnessError("our own fault")


@pytest.mark.measures("truth", "answer")
def test_forgetful(documented):
    """It declares what it does not judge."""
    documented("truth").judge(True)


@pytest.fixture
def noisy(trial):
    raise Inconclusive("too noisy to begin")


@pytest.mark.measures("truth")
def test_noisy(noisy):
    """It never begins."""


@pytest.mark.measures("silent")
def test_silent(documented):
    """No document speaks of it."""
    documented("silent").judge(True)


def test_plain():
    """It is no testcase, and is left alone."""
'''


WAITS = """
import pytest


@pytest.mark.measures("short")
def test_short(documented):
    documented("short").judge(2.0)


@pytest.mark.measures("short", "long")
def test_long(documented):
    documented("short").judge(2.0)
    documented("long").judge(500.0)


@pytest.mark.measures("middle")
def test_middle(documented):
    documented("middle").judge(60.0)
"""

FAST = ("hypothesispytest", "cacheprovider", "pytest_cov")
"""Plugins that a run within a run does without."""


@pytest.fixture
def small(pytester, monkeypatch):
    """Return what runs pytest on a toy, in a folder with one file of testcases."""
    monkeypatch.setattr(registry, "DRIVERS", registry.DRIVERS)
    monkeypatch.setattr(Library, "load", Library.load)
    monkeypatch.setattr(Ledger, "load", Ledger.load)
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makeconftest(CONFTEST)

    def run(*arguments, target="model-toy", catalogue=CATALOGUE):
        pytester.makepyfile(test_toys=catalogue)
        without = [word for name in FAST for word in ("-p", f"no:{name}")]
        return pytester.runpytest_inprocess(
            *without, "-W", "error", "-ra", f"--target={target}", *arguments
        )

    return run


def verdicts(pytester, folder="reports"):
    """Return verdicts.json, and what it says by testcase and claim."""
    found = json.loads((pytester.path / folder / "verdicts.json").read_text("utf-8"))
    by_name = {}
    for one in found["verdicts"]:
        name = one["testcase"].rpartition("::test_")[2].partition("[")[0]
        by_name[name, one["claim"]] = one
    return found, by_name


def order(pytester):
    """Return the testcases in the order in which they began, and the first of each worker."""
    lines = (pytester.path / "begun").read_text("utf-8").splitlines()
    begun = [tuple(line.split()) for line in lines]
    return [name for _, name in begun], dict(reversed(begun))


def has(result, *lines):
    """Require that each line is part of one of the run's lines."""
    text = result.stdout.str()
    missing = [line for line in lines if line not in text]
    assert not missing, f"{missing}\n\n{text}"


SUMMARY = {"passed": 3, "failed": 2, "errors": 2, "skipped": 5}


def test_every_outcome_in_one_run(small, pytester):
    """Each testcase ends as its verdicts say, what it says stands alone, and all is written."""
    result = small()
    result.assert_outcomes(**SUMMARY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    has(
        result,
        '>       documented("truth").judge(False)',
        "E   harness.Deviation: STD:truth on model-toy: yes is documented, no was observed",
        "E       expected  yes",
        "test_toys.py:16: Deviation",
        "FAILED test_toys.py::test_deviating[model-toy-ipv4] - harness.Deviation: STD:truth on",
        "toy.toml:8: STD:flaw, mended: no longer deviates on model-toy (1.0); remove the entry",
        "SKIPPED [1] test_toys.py:31: unsupported: a toy has no batteries",
        "unsupported: model-toy lacks two of its kind on one link",
        "inconclusive: too noisy",
        "inconclusive: too noisy to begin",
        "unsupported: no document says anything of silent",
        "ERROR at call of test_ours[model-toy-ipv4]",
        "E   harness.HarnessError: our own fault",
        "ERROR test_toys.py::test_ours[model-toy-ipv4] - harness.HarnessError: our own fault",
        "declares answer and does not judge it",
        "2 again",
    )
    result.stdout.no_fnmatch_line("*Traceback*")

    found, by_name = verdicts(pytester)
    assert found["schema"] == 1
    assert found["targets"] == [
        {
            "name": "model-toy",
            "stack": "toy",
            "version": "1.0",
            "sysctls": {"net.toy": "1"},
            "tick": 0.0,
            "wheel": False,
        }
    ]
    assert {key: (one["verdict"], one["binding"]) for key, one in by_name.items()} == VERDICTS
    assert by_name["known", "STD:flaw"]["known"]
    assert by_name["known", "STD:flaw"]["reason"] == "It was built that way."
    assert {key[0] for key, one in by_name.items() if one["attempt"] == 2} == AGAIN
    assert not (pytester.path / "reports" / "verdicts.journal.jsonl").exists()
    captured = by_name["conforming", "STD:answer"]["pcap"]
    assert (pytester.path / "reports" / captured).stat().st_size > 24
    # What never touched the link has no capture, and says so.
    assert by_name["deviating", "STD:truth"]["pcap"] is None
    assert len(list((pytester.path / "reports" / "pcap").iterdir())) == 1


AGAIN = {"inconclusive", "noisy"}

VERDICTS = {
    ("conforming", "STD:answer"): ("conforms", True),
    ("conforming", "STD:truth"): ("conforms", True),
    ("conforming", "N-1"): ("deviates", False),
    ("deviating", "STD:truth"): ("deviates", True),
    ("deviating", "N-1"): ("conforms", False),
    ("known", "STD:flaw"): ("deviates", True),
    ("stale", "STD:flaw"): ("conforms", True),
    ("unsupported", "STD:truth"): ("unsupported", True),
    ("unsupported", "N-1"): ("unsupported", False),
    ("lacking", "STD:answer"): ("unsupported", True),
    ("inconclusive", "STD:truth"): ("conforms", True),
    ("inconclusive", "N-1"): ("deviates", False),
    ("inconclusive", "STD:answer"): ("inconclusive", True),
    ("ours", "STD:truth"): ("inconclusive", True),
    ("ours", "N-1"): ("inconclusive", False),
    ("forgetful", "STD:truth"): ("conforms", True),
    ("forgetful", "N-1"): ("deviates", False),
    ("noisy", "STD:truth"): ("inconclusive", True),
    ("noisy", "N-1"): ("inconclusive", False),
}


def test_a_parallel_run_comes_to_the_same(small, pytester):
    """Two workers: the same verdicts; the longest come first, second attempts after all others."""
    result = small("-n", "2", catalogue=CATALOGUE + WAITS)
    result.assert_outcomes(**SUMMARY | {"passed": SUMMARY["passed"] + 3})
    has(result, "2 again", "2 workers ready after", "unsupported: a toy has no batteries")
    found, by_name = verdicts(pytester)
    waits = {key for key in by_name if key[1] == "STD:waits"}
    assert len(waits) == 3
    both = {key: (one["verdict"], one["binding"]) for key, one in by_name.items()}
    assert both == VERDICTS | dict.fromkeys(waits, ("conforms", True))
    assert {key[0] for key, one in by_name.items() if one["attempt"] == 2} == AGAIN
    # One of the three is judged twice.
    assert len(found["verdicts"]) == len(VERDICTS) + 4
    assert [target["name"] for target in found["targets"]] == ["model-toy"]
    begun, first = order(pytester)
    assert len(begun) == 12 + 3 + len(AGAIN)
    assert set(begun[-2:]) == AGAIN
    assert set(first.values()) == {"long", "middle"}


def test_second_attempts_come_last_one_after_another(small, pytester):
    """What was inconclusive is tried once more when all others have ended."""
    result = small("-v", "-k", "inconclusive or noisy or plain or known")
    begun, _ = order(pytester)
    assert begun == ["known", "inconclusive", "noisy", "plain", "inconclusive", "noisy"]
    lines = [line for line in result.outlines if line.startswith("test_toys.py::")]
    assert ["AGAIN" in line for line in lines] == [False, True, True, False, False, False]
    assert ["SKIPPED" in line for line in lines] == [False] * 4 + [True] * 2
    assert result.ret == pytest.ExitCode.OK


def test_nothing_is_tried_a_second_time_if_once_is_enough(small, pytester):
    """With --once the first attempt is the last."""
    result = small("--once", "-k", "inconclusive or noisy")
    assert order(pytester)[0] == ["inconclusive", "noisy"]
    result.assert_outcomes(skipped=2)
    small("--once", "--strict", "-k", "inconclusive").assert_outcomes(failed=1)


def test_a_second_attempt_may_succeed(small, pytester):
    """Its verdicts replace those of the first, and the testcase passes."""
    catalogue = """
    import pytest
    from harness.errors import Inconclusive

    TRIED = []

    @pytest.mark.measures("truth")
    def test_late(documented):
        TRIED.append(1)
        if len(TRIED) == 1:
            raise Inconclusive("too noisy")
        documented("truth").judge(True)
    """
    result = small(catalogue=catalogue)
    result.assert_outcomes(passed=1)
    _, by_name = verdicts(pytester)
    one = by_name["late", "STD:truth"]
    assert (one["verdict"], one["attempt"], len(by_name)) == ("conforms", 2, 2)


NOISE = """
import pytest
from harness.errors import Inconclusive


@pytest.mark.measures("truth")
def test_always(documented):
    raise Inconclusive("noise: late")


@pytest.mark.measures("truth")
def test_twice(documented, request):
    times = request.config.__dict__.setdefault("times", [])
    times.append(1)
    if len(times) < 3:
        raise Inconclusive("noise: late")
    documented("truth").judge(True)


@pytest.mark.measures("truth")
def test_otherwise(documented):
    raise Inconclusive("lost")
"""


def test_what_noise_spoils_twice_is_tried_a_third_time(small, pytester):
    """Only that, and no more often; as with all that is tried again, the last attempt counts."""
    result = small("-v", catalogue=NOISE)
    result.assert_outcomes(passed=1, skipped=2)
    has(result, "5 again")
    begun, _ = order(pytester)
    assert begun == [*["always", "twice", "otherwise"] * 2, "always", "twice"]
    _, by_name = verdicts(pytester)
    assert {key[0]: (one["verdict"], one["attempt"]) for key, one in by_name.items()} == {
        "always": ("inconclusive", 3),
        "twice": ("conforms", 3),
        "otherwise": ("inconclusive", 2),
    }


def test_what_stays_inconclusive_fails_if_the_user_is_strict(small):
    """With --strict the second attempt fails; the first still is only made again."""
    result = small("--strict", "-k", "inconclusive")
    result.assert_outcomes(failed=1)
    has(result, "E   harness.Deviation: inconclusive: too noisy", "1 again", "E   second line")


def test_the_longest_testcases_come_first(small, pytester):
    """They are sorted by what the documents say of their measures."""
    small(catalogue=WAITS).assert_outcomes(passed=3)
    assert order(pytester)[0] == ["long", "middle", "short"]


def test_patience_is_for_real_time(small, pytester):
    """What takes longer is unsupported, with the reason, on a stack in real time."""
    result = small(target="model-slow", catalogue=WAITS)
    result.assert_outcomes(passed=2, skipped=1)
    has(result, "500 s are documented, beyond --patience 300: needs virtual time")
    _, by_name = verdicts(pytester)
    assert by_name["long", "STD:waits"]["verdict"] == "unsupported"
    small("--patience=600", target="model-slow", catalogue=WAITS).assert_outcomes(passed=3)
    small("--patience=1", catalogue=WAITS).assert_outcomes(passed=3)


def test_a_testcase_runs_once_for_each_target(small, pytester):
    """--target may be given again; each has its own verdicts."""
    result = small("--target=model-slow", "-k", "conforming")
    result.assert_outcomes(passed=2)
    found, _ = verdicts(pytester)
    assert [target["name"] for target in found["targets"]] == ["model-toy", "model-slow"]
    assert {one["target"] for one in found["verdicts"]} == {"model-toy", "model-slow"}


def test_a_document_binds_that_the_user_names(small):
    """With --bind an informative claim fails the testcase that it deviates in."""
    result = small("--bind=notes", "-k", "conforming")
    result.assert_outcomes(failed=1)
    has(result, "E   harness.Deviation: N-1 on model-toy: no is documented, yes was observed")


def test_the_users_documents_and_reports_are_taken(small, pytester):
    """A document of the same name takes ours' place; results go where they were asked for."""
    ours = (tests.small.HERE / "texts" / "standard.toml").read_text("utf-8")
    folder = pytester.mkdir("documents")
    (folder / "standard.toml").write_text(
        ours.replace('"truth", expect = true', '"truth", expect = false'), "utf-8"
    )
    result = small("--documents=documents", "--reports=else/where", "-k", "conforming")
    result.assert_outcomes(failed=1)
    _, by_name = verdicts(pytester, "else/where")
    assert by_name["conforming", "STD:truth"]["verdict"] == "deviates"


def test_a_family_that_the_target_lacks_is_unsupported(small, pytester):
    """A testcase for another family than the target's says so, with its reason."""
    catalogue = """
    import pytest

    @pytest.mark.families("ipv6")
    @pytest.mark.measures("truth")
    def test_only_six(documented):
        documented("truth").judge(True)
    """
    result = small(catalogue=catalogue)
    result.assert_outcomes(skipped=1)
    has(result, "unsupported: model-toy has no ipv6")
    _, by_name = verdicts(pytester)
    one = by_name["only_six", "STD:truth"]
    assert (one["verdict"], one["family"]) == ("unsupported", "ipv6")


def test_a_fault_of_ours_is_traced_if_the_user_wants(small):
    """With --full-trace pytest's own picture is shown, to find the fault by."""
    result = small("-k", "ours", "--full-trace")
    result.assert_outcomes(errors=1)
    has(result, 'raise HarnessError("our own fault")')


BAD = "import pytest\n\n\n@pytest.mark.measures('trooth')\ndef test_x(documented):\n    pass\n"

MISTAKES = {
    "target": (["--target=model-toi"], "no target is called 'model-toi'"),
    "missing": (["--target=model-missing"], "target model-missing cannot run here: install a toy"),
    "sysctl": (["--sysctl=net.x=1"], "model-toy has no sysctl net.x: leave it out"),
    "pair": (["--sysctl=net.toy"], "--sysctl net.toy: write it as KEY=VALUE"),
    "value": (["--sysctl=net.toy="], "--sysctl net.toy=: write it as KEY=VALUE"),
    "bind": (["--bind=standrad"], "standrad"),
    "documents": (["--documents=nowhere"], "nowhere: there is no such folder of documents"),
    "toml": (["--documents=broken"], "bad.toml:2:"),
    "reports": (["--reports=a-file"], "a-file"),
    "patience": (["--patience=-1"], "--patience -1: give a positive number of seconds"),
    "sabotage": (["--sabotage=nonsense"], "nonsense"),
    "sabotage-from": (["--sabotage-from=nowhere.toml"], "nowhere.toml: it has no table"),
    "sabotaged": (["--sabotage-from=red.toml"], "there is no testcase test_toys.py::test_gone"),
}


def refused(result, said):
    """Require pytest's exit status for a usage error, and one line that says what is wrong."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1, lines
    assert said in lines[0]
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_users_mistake_is_one_line(small, pytester, mistake):
    """The exit status is pytest's for usage, and nothing is run."""
    (pytester.mkdir("broken") / "bad.toml").write_text("[document]\nid = =\n", "utf-8")
    (pytester.path / "a-file").write_text("", "utf-8")
    own = (
        '[sabotage]\n"test_toys.py::test_known" = "drop S"\n"test_toys.py::test_gone" = "drop S"\n'
    )
    (pytester.path / "red.toml").write_text(own, "utf-8")
    arguments, said = MISTAKES[mistake]
    refused(small(*arguments), said)


def test_an_unknown_measure_is_refused_where_it_stands(small):
    """File and line are named, and a measure that is close."""
    result = small(catalogue=BAD)
    refused(result, "test_toys.py:4: there is no measure 'trooth'")
    assert "truth" in result.errlines[0]


def test_what_is_no_testcase_needs_no_target(small, pytester):
    """The harness's own tests start no target and write no reports."""
    pytester.makepyfile(**{"tests/test_own": "def test_own():\n    pass\n"})
    result = small("tests", target="nonsense")
    result.assert_outcomes(passed=1)
    assert not (pytester.path / "reports").exists()


FICKLE = '''
import itertools

import pytest

turns = itertools.count()


@pytest.mark.measures("truth")
def test_fickle(peer, documented):
    """It is so every other time."""
    documented("truth").judge(next(turns) % 2 == 0)


@pytest.mark.measures("answer")
def test_steady(peer):
    """A closed port refuses."""
    peer.answer("S 0:0(0)", measure="answer")
'''


def test_repetitions_tell_which_testcases_change_their_verdicts(small, pytester):
    """Every repetition is in the file; what changed is told with both timelines."""
    pytester.makepyfile(test_fickle=FICKLE)
    result = small("--repeat", "4", "test_fickle.py")
    has(
        result,
        "2 of 4 repetitions differ from the first",
        "STD:truth truth: conforms, then deviates",
        "repetition 1",
        "repetition 2",
    )
    kept = json.loads((pytester.path / "reports/verdicts.json").read_text("utf-8"))["verdicts"]
    attempts = [one["attempt"] for one in kept if one["claim"] == "STD:truth"]
    assert attempts == [1, 2, 3, 4]
    result.stdout.no_fnmatch_line("*test_steady*repetitions differ*")


def test_repetitions_that_agree_are_no_flakes(small, pytester):
    """The run passes."""
    pytester.makepyfile(test_fickle=FICKLE)
    result = small("--repeat", "3", "test_fickle.py", "-k", "steady")
    has(result, "no testcase changed a verdict in 3 repetitions", "3 passed")
    assert result.ret == 0
