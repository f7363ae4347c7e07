"""The library: what is read, what is refused, and what is found."""

import re
import shutil
import textwrap

import pytest

from harness import documents
from harness.documents.library import Library, tuned
from harness.errors import UsageError
from harness.targets.driver import Facts
from tests.documents import DEFAULTS, EXAMPLES, examples, facts

HEAD = '[document]\nid = "mine"\ntitle = "Mine"\n'
CLAIM = (
    '\n[[claim]]\nid = "MINE:1"\nstrength = "MUST"\ntopic = "t"\nsays = "It is so."\n'
    'judged = [{ measure = "truth", expect = true }]\n'
)


def test_the_example_of_the_format_can_be_read(tmp_path):
    """What the package's docstring shows as a document is one."""
    lines = (documents.__doc__ or "").splitlines()
    start = lines.index("    [document]")
    end = next(n for n in range(start, len(lines)) if lines[n] and not lines[n].startswith("    "))
    text = textwrap.dedent("\n".join(lines[start:end]))
    (tmp_path / "rfc9293.toml").write_text(text)
    library = Library.load(tmp_path)
    (claim,) = [one for one in library.claims.values() if one.document.id == "rfc9293"]
    assert claim.id == "RFC9293:MUST-13"
    assert len(claim.judged) == 4


@pytest.fixture
def mine(tmp_path):
    """Return a function that loads a folder with one document of a given text."""

    def load(text, name="mine"):
        (tmp_path / f"{name}.toml").write_text(text)
        return Library.load(tmp_path, packaged=EXAMPLES)

    return load


def test_a_claim_is_read_with_all_that_it_says():
    """Stacks and versions are the document's unless the claim narrows them."""
    claim = examples().claim("kernel:default")
    assert (claim.document.id, claim.place, claim.strength) == ("kernel", "lines 28", "says")
    assert claim.stacks == {"linux"}
    assert str(claim.versions) == ">=5.10,>=6.5"
    assert claim.judged[0].default_of == ("syn_retries",)
    assert claim.where == (str(EXAMPLES / "texts/kernel.toml"), 18)
    standard = examples().claim("STD:1")
    assert standard.url == "https://example.org/standard#3.6.1"
    assert standard.stacks is None
    assert standard.document.binding
    assert not examples().document("notes").binding


def test_claims_about_a_measure_come_from_every_document():
    """One observation is judged against all of them."""
    found = [claim.id for claim, _ in examples().claims_about("wait")]
    assert sorted(found) == ["N-002", "STD:1", "STD:2", "kernel:wait"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + CLAIM + CLAIM, "mine.toml:12: MINE:1: stands in {there}:5 already"),
        (HEAD + CLAIM.replace("MINE:1", "STD:1"), "mine.toml:5: STD:1: stands in"),
        (
            HEAD + CLAIM.replace('"truth"', '"truht"'),
            "mine.toml:5: MINE:1: unknown measure 'truht'; did you mean 'truth'?",
        ),
        (
            HEAD + CLAIM.replace("expect = true", "expect = 3"),
            "mine.toml:5: MINE:1: truth is a fact: a fact is true or false",
        ),
        (
            HEAD
            + CLAIM.replace('"truth", expect = true', '"wait", expect = { computed = "lunix" }'),
            "mine.toml:5: MINE:1: wait is a duration: unknown computed 'lunix'",
        ),
        (
            HEAD + CLAIM.replace("topic =", 'stacks = ["linux"]\nversions = ">=7,<6"\ntopic ='),
            "mine.toml:5: MINE:1: no version can be '>=7,<6'",
        ),
        (
            HEAD + CLAIM.replace("topic =", 'versions = ">=7"\ntopic ='),
            "mine.toml:5: MINE:1: versions need stacks",
        ),
        (
            HEAD
            + 'stacks = ["linux"]\nversions = ">=6.5"\n'
            + CLAIM.replace("topic =", 'versions = "<6.5"\ntopic ='),
            "mine.toml:7: MINE:1: no version of the document's can be '<6.5' (>=6.5)",
        ),
        (
            HEAD + CLAIM.replace('judged = [{ measure = "truth", expect = true }]', ""),
            "mine.toml:5: MINE:1: a claim is judged, or says why it is unobservable",
        ),
        (
            HEAD + CLAIM + 'unobservable = "no"\n',
            "mine.toml:5: MINE:1: what is judged is not unobservable",
        ),
        (
            HEAD + CLAIM + 'sections = "3"\n',
            "mine.toml:5: MINE:1: unknown key 'sections'; did you mean 'section'?",
        ),
        (
            HEAD + CLAIM.replace("expect = true", "expect = true, default = []"),
            "mine.toml:5: MINE:1: unknown key 'default'; did you mean 'default_of'?",
        ),
        (
            HEAD + CLAIM.replace("expect = true", 'expect = true, default_of = ["syn_retry"]'),
            "mine.toml:5: MINE:1: truth: unknown knob 'syn_retry'; did you mean 'syn_retries'?",
        ),
        (
            HEAD + CLAIM.replace("expect = true", 'expect = true, default_of = "syn_retries"'),
            "mine.toml:5: MINE:1: truth: default_of is a list of knobs",
        ),
        (HEAD + CLAIM.replace(", expect = true", ""), "MINE:1: truth: 'expect' is missing"),
        (
            HEAD + CLAIM.replace('"MUST"', '"must"'),
            "mine.toml:5: MINE:1: unknown strength 'must'; did you mean 'MUST'?",
        ),
        (HEAD + CLAIM.replace('id = "MINE:1"\n', ""), "a claim without id: 'id' is missing"),
        (HEAD + CLAIM.replace('"It is so."', '""'), "MINE:1: 'says' is a text"),
        (HEAD + CLAIM.replace("judged = [", "judged = [3, "), "MINE:1: judged is a list of tables"),
        (HEAD + CLAIM.replace('says = "', 'says = = "'), "mine.toml:9:8: Invalid value"),
        (HEAD + '"', "mine.toml:4:"),
        (HEAD + "claim = 3\n", "mine.toml:1: unknown key 'claim'"),
        ("claim = 3\n" + HEAD, "mine.toml:1: 'claim' is written as [[claim]]"),
        (HEAD + 'titel = "x"\n', "mine.toml:1: unknown key 'titel'; did you mean 'title'?"),
        (HEAD + "[claims]\n", "mine.toml:1: unknown key 'claims'; did you mean 'claim'?"),
        (HEAD.replace('"mine"', '"other"'), "document 'other' stands in a file of another name"),
        (HEAD + 'versions = ">=6"\n', "mine.toml:1: versions need stacks"),
        (HEAD + 'stacks = "linux"\n', "mine.toml:1: stacks is 'any' or a list of names"),
        (HEAD + "binding = 1\n", "mine.toml:1: binding is true or false"),
        (CLAIM, "mine.toml:1: a document begins with a table [document]"),
    ],
)
def test_a_mistake_in_a_document_is_refused_with_its_place(mine, tmp_path, text, message):
    """The one line names file, line and claim, and what is close to a name that is unknown."""
    expected = re.escape(message.replace("{there}", str(tmp_path / "mine.toml")))
    with pytest.raises(UsageError, match=expected) as refusal:
        mine(text)
    assert "\n" not in str(refusal.value)


def test_two_documents_of_one_folder_cannot_share_an_id(tmp_path):
    """Which of them counts would be an accident of their names."""
    measures = tmp_path / "measures"
    shutil.copytree(EXAMPLES / "measures", measures)
    (measures / "twice.toml").write_text('[wait]\nkind = "duration"\nobserves = "Again."\n')
    (tmp_path / "texts").mkdir()
    with pytest.raises(UsageError, match=r"wait: stands in examples\.toml already"):
        Library.load(packaged=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[wait]\nkind = "time"\nobserves = "x"\n', "'time' is no kind"),
        ('[wait]\nkind = "duration"\n', "'observes' is missing"),
        ('[wait]\nkind = "duration"\nobserve = "x"\n', "did you mean 'observes'?"),
        ("wait = 3\n", "a measure is a table"),
    ],
)
def test_a_mistake_in_a_measure_is_refused(tmp_path, text, message):
    """Measures are what testcases and documents meet in."""
    (tmp_path / "measures").mkdir()
    (tmp_path / "measures" / "m.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"m\.toml: wait: .*{re.escape(message)}"):
        Library.load(packaged=tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    """The user may have misspelt it."""
    with pytest.raises(UsageError, match="there is no such folder of documents"):
        Library.load(tmp_path / "nowhere", packaged=EXAMPLES)


def test_a_document_of_another_folder_replaces_the_packaged_one(tmp_path):
    """A user's copy counts as a whole: claims that it lacks are gone."""
    text = (EXAMPLES / "texts/notes.toml").read_text().replace("expect = 120", "expect = 90")
    (tmp_path / "notes.toml").write_text(
        text[: text.index("[[claim]]")] + text[text.rindex("[[") :]
    )
    library = Library.load(tmp_path, packaged=EXAMPLES)
    claim = library.claim("N-002")
    assert claim.judged[0].expectation.text == "90 s"
    assert claim.where[0] == str(tmp_path / "notes.toml")
    assert "N-001" not in library.claims
    assert set(library.documents) == set(examples().documents)


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (
            lambda library: library.measure("ladders"),
            "there is no measure 'ladders'; did you mean 'l",
        ),
        (lambda library: library.claims_about("wiat"), "no measure 'wiat'; did you mean 'wait'?"),
        (lambda library: library.claim("STD:9"), "there is no claim 'STD:9'; did you mean 'STD:"),
        (lambda library: library.document("note"), "no document 'note'; did you mean 'notes'?"),
        (lambda library: library.document("xyz"), "there is no document 'xyz'"),
        (lambda library: library.check_measure("wiat", "test_x.py:3"), "test_x.py:3: there is no"),
    ],
)
def test_an_unknown_name_is_refused_with_a_close_one(look, message):
    """Markers and command lines are typed by people."""
    with pytest.raises(UsageError, match=re.escape(message)):
        look(examples())


@pytest.mark.parametrize(
    ("measure", "about", "seconds"),
    [
        ("ladder", facts(), 131),
        ("ladder", facts(syn_linear_timeouts=0.0, syn_retries=3.0), 15),
        ("ladder", facts("6.1"), 131),
        ("call", facts(), 131),
        ("wait", facts(), 60),
        ("wait", facts(stack="other"), 240),
        ("wait", facts("5.4"), 240),
        ("ladder", facts(stack="windows"), 21),
        ("ladder", facts(stack="other"), None),
        ("answer", facts(), None),
        ("call", Facts("other", "linux", "6.1"), None),
    ],
)
def test_how_long_a_measure_takes_is_what_the_stacks_own_documents_say(measure, about, seconds):
    """Knobs in force count; where a stack has no text of its own that binds, others are asked."""
    assert examples().nominal(measure, about) == seconds


def test_knobs_of_a_testcase_count_for_how_long_it_takes():
    """What a testcase tunes is not in the facts."""
    knobs = DEFAULTS | {"syn_retries": 1.0}
    assert examples().nominal("call", facts(), knobs=knobs) == 3


def test_what_is_said_of_a_default_counts_only_at_the_default(mine):
    """A shrunk timer does not take its default's time."""
    judged = '{ measure = "wait", expect = 900, default_of = ["syn_retries"] }'
    library = mine(
        HEAD
        + 'stacks = ["linux"]\n'
        + CLAIM.replace('{ measure = "truth", expect = true }', judged)
    )
    assert library.nominal("wait", facts()) == 900
    assert library.nominal("wait", facts(syn_retries=3.0)) == 60


def test_a_tuned_knob_is_named_with_its_value_and_its_default():
    """A knob that the stack does not have is not tuned."""
    defaults = {"syn_retries": 6.0, "rto_min": 0.2}
    assert tuned(["syn_retries"], {"syn_retries": 6.0}, defaults) is None
    assert tuned(["other", "rto_min"], {"rto_min": 0.2}, defaults) is None
    said = tuned(["rto_min", "syn_retries"], {"syn_retries": 3.0, "rto_min": 0.2}, defaults)
    assert said == "tuned: syn_retries is 3, default 6"
