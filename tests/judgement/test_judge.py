"""The judge: verdicts, what binds, what is known, and how a testcase ends."""

import dataclasses
from types import SimpleNamespace

import pytest

from harness.errors import HarnessError, Unsupported, UsageError
from harness.judgement.judge import Judge
from harness.judgement.ledger import Ledger
from harness.judgement.verdict import Judgement, Verdict
from harness.segment.notation import parse_segment
from harness.targets.driver import Capability
from tests.documents import DEFAULTS, examples, facts

LINEAR = [1.01, 1.02, 1.02, 1.02, 1.02, 2.02, 4.07, 8.19, 16.13, 32.51]

KNOWN = """
[[known]]
claim = "STD:1"
measure = "wait"
versions = ">=5.10"
reason = "It is a constant of 60 s."
reference = "include/net/tcp.h"
"""


@pytest.fixture
def ledger(tmp_path):
    """Return a ledger that knows of the short wait."""
    (tmp_path / "linux.toml").write_text(KNOWN)
    return Ledger.load(examples(), tmp_path)


def judge(about=None, ledger=None, **rest):
    return Judge(
        examples(), about or facts(), ledger or Ledger(), testcase="test_x.py::test_x", **rest
    )  # fmt: skip


def verdicts(judging):
    return {one.claim: (str(one.verdict), one.binding) for one in judging.judgements}


def test_one_observation_is_judged_against_every_claim():
    """What is about other stacks is judged all the same, and does not bind."""
    judging = judge()
    judging("wait").judge(61.4)
    assert verdicts(judging) == {
        "STD:1": ("deviates", True),
        "STD:2": ("permitted", False),
        "kernel:wait": ("conforms", True),
        "N-002": ("deviates", False),
    }


def test_claims_about_other_versions_are_informative():
    """The text of a newer kernel does not bind an older one."""
    new, old = judge(facts("6.18")), judge(facts("6.1"))
    for judging in (new, old):
        judging("ladder").judge(LINEAR)
    assert verdicts(new)["kernel:default"] == ("conforms", True)
    assert verdicts(new)["kernel:old-default"] == ("deviates", False)
    assert verdicts(old)["kernel:default"] == ("conforms", False)
    assert verdicts(old)["kernel:old-default"] == ("deviates", True)


def test_a_named_document_binds_whatever_the_stack():
    """The user asked for it with --bind."""
    judging = judge(bind=frozenset({"notes"}))
    judging("wait").judge(61.4)
    assert verdicts(judging)["N-002"] == ("deviates", True)


@pytest.mark.parametrize(
    ("truth", "verdict"), [(True, Verdict.CONFORMS), (False, Verdict.PERMITTED)]
)
def test_what_is_only_allowed_is_permitted(truth, verdict):
    """A MAY declined is no deviation, and the testcase passes."""
    judging = judge()
    judging("truth").judge(truth)
    assert [one.verdict for one in judging.judgements] == [verdict]
    assert judging.conclude().outcome == "passed"


MATRIX = [
    # strength, fits -> verdict
    ("MUST", True, "conforms"),
    ("MUST", False, "deviates"),
    ("MUST", None, "inconclusive"),
    ("MUST NOT", True, "conforms"),
    ("MUST NOT", False, "deviates"),
    ("says", True, "conforms"),
    ("says", False, "deviates"),
    ("SHOULD", True, "conforms"),
    ("SHOULD", False, "permitted"),
    ("SHOULD", None, "inconclusive"),
    ("SHOULD NOT", False, "permitted"),
    ("MAY", False, "permitted"),
    ("RECOMMENDED", False, "permitted"),
]


@pytest.mark.parametrize(("strength", "fits", "verdict"), MATRIX)
@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_the_verdict_follows_from_strength_and_fit_and_the_outcome_from_all(
    ledger, strength, fits, verdict, *, binding, known
):
    """Only a binding deviation that the ledger lacks fails, or one in it that is gone."""
    library = examples()
    claim = library.claims["STD:1"]
    document = dataclasses.replace(claim.document, binding=binding)
    claim = dataclasses.replace(claim, strength=type(claim.strength)(strength), document=document)
    library = dataclasses.replace(library, claims={"STD:1": claim})
    judging = Judge(library, facts(), ledger if known else Ledger(), testcase="x")
    judging("wait").judge({True: 241.0, False: 61.4, None: (61.4, None)}[fits])
    (one,) = judging.judgements
    assert one.verdict == verdict
    assert one.binding is (binding and strength in {"MUST", "MUST NOT", "says"})
    assert one.known is (known and verdict == "deviates")
    expected = "passed"
    if (verdict == "deviates" and one.binding and not known) or (fits and known):
        expected = "failed"
    elif verdict == "inconclusive":
        expected = "inconclusive"
    assert judging.conclude().outcome == expected


def test_a_judgement_has_all_that_the_report_shows():
    """What the caller knows of the testcase goes in as it is."""
    judging = judge(family="ipv6", attempt=2, pcap="pcap/x.pcap", noise=lambda _: 0.003)
    judging("answer").judge(parse_segment("R. 0:0(0) ack 1 win 0"), within=0.5)
    assert judging.judgements == (
        Judgement(
            testcase="test_x.py::test_x",
            claim="STD:3",
            document="standard",
            measure="answer",
            target="netns",
            verdict=Verdict.CONFORMS,
            reason=None,
            binding=True,
            known=False,
            documented="R. 0:0(0) ack 1",
            observed="R. 0:0(0) ack 1 win 0",
            values="R. 0:0(0) ack 1 win 0",
            family="ipv6",
            attempt=2,
            noise_s=0.003,
            pcap="pcap/x.pcap",
        ),
    )


def test_a_claim_about_a_default_is_unsupported_while_its_knob_is_tuned():
    """How the knob works is judged at every value."""
    judging = judge(facts(syn_retries=3.0))
    judging("ladder").judge([1.01, 1.02, 1.02, 1.02, 1.02, 2.02, 4.07])
    found = {one.claim: one for one in judging.judgements}
    default = found["kernel:default"]
    assert default.verdict is Verdict.UNSUPPORTED
    assert default.reason == "tuned: syn_retries is 3, default 6"
    assert (default.documented, default.observed) == (
        "10 repetitions",
        "1.01, 1.02, 1.02, 1.02, 1.02, 2.02, 4.07 s",
    )
    assert found["kernel:ladder"].verdict is Verdict.CONFORMS
    assert found["kernel:ladder"].documented == "1, 1, 1, 1, 1, 2, 4 s"


def test_a_judgement_has_the_knobs_that_its_measure_depends_on():
    """Those that documents relate to it, and those that the testcase asks for; no others."""
    judging = judge(facts(syn_retries=3.0), tuned=frozenset({"fin_wait", "no_such"}))
    judging("ladder").judge([1.01, 1.02, 1.02, 1.02, 1.02, 2.02, 4.07])
    found = {name for one in judging.judgements for name in one.knobs}
    assert {one.knobs["syn_retries"] for one in judging.judgements} == {3.0}
    assert found == set(judge().library.knobs_about("ladder")) & set(DEFAULTS)
    read = Judgement.from_json(judging.judgements[0].as_json())
    assert read == judging.judgements[0]
    old = judging.judgements[0].as_json()
    del old["knobs"]
    assert Judgement.from_json(old).knobs == {}


def test_effective_knobs_are_read_when_something_is_judged():
    """A testcase may tune a knob after it has begun."""
    knobs = dict(DEFAULTS)
    judging = judge(knobs=lambda: knobs)
    knobs |= {"syn_retries": 2.0, "syn_linear_timeouts": 0.0}
    judging("ladder").judge([1.01, 2.02])
    assert verdicts(judging)["kernel:ladder"] == ("conforms", True)
    assert verdicts(judging)["kernel:default"] == ("unsupported", True)


def test_what_a_stack_has_no_knob_for_is_unsupported():
    """What was observed is told all the same."""
    about = dataclasses.replace(facts(stack="lwip", version="2.1.3"), defaults={}, effective={})
    judging = judge(about)
    judging("ladder").judge([3.0, 3.0])
    found = {one.claim: one for one in judging.judgements}
    one = found["kernel:ladder"]
    assert (one.verdict, one.reason) == ("unsupported", "lwip 2.1.3 has no syn_retries")
    assert (one.observed, one.values) == ("3, 3 s", [3.0, 3.0])
    assert found["kernel:default"].verdict is Verdict.DEVIATES
    assert not any(one.binding for one in found.values())


def test_an_unknown_deviation_on_a_noisy_machine_is_doubted(ledger):
    """What binds and is not known is inconclusive then; what is known, or conforms, is believed."""
    noisy, quiet = judge(noise=lambda _: 0.2), judge(noise=lambda _: 0.05)
    sliced = judge(noise=lambda _: 0.05, lost=lambda: 0.2)
    known = judge(ledger=ledger, noise=lambda _: 0.2)
    for judging in (noisy, sliced, quiet, known):
        judging("wait").judge(61.4)
    assert verdicts(noisy)["STD:1"] == ("inconclusive", True)
    assert verdicts(sliced)["STD:1"] == ("inconclusive", True)
    assert verdicts(noisy)["kernel:wait"] == ("conforms", True)
    assert verdicts(noisy)["N-002"] == ("deviates", False)
    assert verdicts(quiet)["STD:1"] == ("deviates", True)
    assert verdicts(known)["STD:1"] == ("deviates", True)


def test_a_known_deviation_that_does_not_come_is_not_believed_where_much_was_late(ledger):
    """Nobody is told to strike an entry out for what a busy machine showed."""
    noisy, quiet = (judge(ledger=ledger, noise=lambda _, late=late: late) for late in (0.2, 0.05))
    for judging in (noisy, quiet):
        judging("wait").judge(240.1)
    assert verdicts(noisy)["STD:1"] == ("inconclusive", True)
    assert noisy.conclude().outcome != "failed"
    assert verdicts(quiet)["STD:1"] == ("conforms", True)
    assert "remove the entry" in quiet.conclude().text


def test_noise_above_the_budget_is_inconclusive():
    """The noise is that of the moment."""
    judging = judge(noise=lambda _: 7.0)
    judging("wait").judge(61.4)
    assert {str(one.verdict) for one in judging.judgements} == {"inconclusive"}
    assert all("7000 ms late" in one.reason for one in judging.judgements)
    conclusion = judging.conclude()
    assert conclusion.outcome == "inconclusive"
    assert conclusion.text.startswith("noise: this machine delivered up to 7000 ms late")


def test_a_ladder_is_doubted_for_what_was_late_around_its_stamps_only():
    """Between two stamps nobody has to be in time; what else was late does not count."""
    asked = []

    def noise(stamps):
        asked.append(tuple(stamps))
        return 0.001 if stamps else 7.0

    judging = judge(noise=noise)
    judging("ladder").judge(SimpleNamespace(stamps=(5.0, 6.0, 8.0), intervals=LINEAR))
    assert set(asked) == {(5.0, 6.0, 8.0)}
    assert "inconclusive" not in {str(one.verdict) for one in judging.judgements}
    assert {one.noise_s for one in judging.judgements} == {0.001}


def test_a_known_deviation_passes_with_the_ledgers_reason(ledger):
    """Known is not conforming: it is told, and does not fail."""
    judging = judge(ledger=ledger)
    judging("wait").judge(61.4)
    found = {one.claim: one for one in judging.judgements}
    assert (found["STD:1"].verdict, found["STD:1"].known) == (Verdict.DEVIATES, True)
    assert found["STD:1"].reason == "It is a constant of 60 s."
    assert not found["N-002"].known
    assert judging.conclude().outcome == "passed"


def test_an_entry_that_no_longer_deviates_fails_the_testcase(ledger):
    """A departure that vanishes must leave the ledger."""
    judging = judge(ledger=ledger)
    judging("wait").judge((241.0, 241.02))
    conclusion = judging.conclude()
    assert conclusion.outcome == "failed"
    (line,) = conclusion.stale
    assert line.endswith(
        "linux.toml:2: STD:1, wait: no longer deviates on netns (6.18.44); remove the entry"
    )


@pytest.mark.parametrize("about", [facts("5.4"), facts(stack="other"), facts("6.18", stack="lwip")])
def test_an_entry_about_another_stack_or_version_is_never_stale(ledger, about):
    """It was not judged."""
    judging = judge(about, ledger)
    judging("wait").judge(241.0)
    assert judging.conclude().stale == ()


def test_an_entry_is_stale_only_if_it_was_judged_and_only_conforms(ledger):
    """One deviation in a testcase is enough; what was not judged says nothing."""
    both = judge(ledger=ledger)
    both("wait").judge(241.0)
    both("wait").judge(61.4)
    assert both.conclude().stale == ()
    unclear = judge(ledger=ledger)
    unclear("wait").judge((100.0, None))
    assert unclear.conclude().stale == ()
    other = judge(ledger=ledger)
    other("truth").judge(True)
    assert other.conclude().stale == ()


def test_an_entry_about_a_default_is_not_stale_at_another_value(tmp_path):
    """With the knob elsewhere the deviation may well be gone, and still be known."""
    (tmp_path / "linux.toml").write_text(KNOWN + 'default_of = ["syn_retries"]\n')
    ledger = Ledger.load(examples(), tmp_path)
    tuned = judge(facts(syn_retries=3.0), ledger)
    tuned("wait").judge(241.0)
    assert tuned.conclude().stale == ()
    default = judge(ledger=ledger)
    default("wait").judge(241.0)
    assert len(default.conclude().stale) == 1


def test_what_the_user_set_otherwise_is_judged_where_it_is_computed_from():
    """An expectation that knows the knob moves with it; any other is about another value."""
    judging = judge(facts(syn_retries=3.0), overruled={"syn_retries": 1.0})
    judging("ladder").judge([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0])
    judging("truth").judge(True)
    found = {one.claim: one for one in judging.judgements}
    assert found["kernel:ladder"].verdict is Verdict.CONFORMS
    assert found["STD:4"].verdict is Verdict.UNSUPPORTED
    assert found["STD:4"].reason == "syn_retries is 3, the testcase needs 1"


def test_a_testcase_can_say_that_a_measure_is_unsupported_or_inconclusive():
    """Every claim about it gets the reason, and what it documents."""
    judging = judge()
    judging.unsupported("ladder", "needs virtual time")
    judging.inconclusive("wait", "the capture lost 3 frames")
    found = {one.claim: one for one in judging.judgements}
    assert found["kernel:ladder"].verdict is Verdict.UNSUPPORTED
    assert found["kernel:ladder"].reason == "needs virtual time"
    assert found["kernel:ladder"].documented == "1, 1, 1, 1, 1, 2, 4, 8, 16, 32 s"
    assert found["STD:1"].verdict is Verdict.INCONCLUSIVE
    assert found["STD:1"].observed == ""
    assert judging.conclude().outcome == "inconclusive"


def test_a_testcase_whose_claims_are_all_unsupported_is_unsupported():
    """Each reason is given once."""
    judging = judge()
    judging.unsupported("ladder", "needs virtual time")
    judging.unsupported("answer", "no firewall")
    conclusion = judging.conclude()
    assert (conclusion.outcome, conclusion.text) == (
        "unsupported",
        "needs virtual time; no firewall",
    )
    assert len(conclusion.judgements) == 5


def test_what_is_unsupported_in_part_passes():
    """Something was judged, and conforms."""
    judging = judge()
    judging.unsupported("ladder", "needs virtual time")
    judging("truth").judge(True)
    assert judging.conclude().outcome == "passed"


def test_an_informative_claim_that_is_inconclusive_does_not_matter():
    """What binds was judged."""
    library = examples()
    library = dataclasses.replace(
        library, claims={name: library.claims[name] for name in ("N-002", "kernel:wait")}
    )
    judging = Judge(library, facts(), Ledger(), testcase="x")
    judging("wait").judge((60.5, 61.9))
    assert verdicts(judging) == {"N-002": ("deviates", False), "kernel:wait": ("conforms", True)}
    judging = Judge(library, facts(), Ledger(), testcase="x")
    judging("wait").judge((60.0, 63.0))
    assert judging.conclude().outcome == "inconclusive"
    library = dataclasses.replace(library, claims={"N-002": library.claims["N-002"]})
    judging = Judge(library, facts(), Ledger(), testcase="x")
    judging("wait").judge((118.0, 130.0))
    assert verdicts(judging) == {"N-002": ("inconclusive", False)}
    assert judging.conclude().outcome == "inconclusive"


def test_a_measure_that_no_document_speaks_of_is_unsupported():
    """There is nothing that it could conform to."""
    judging = judge()
    judging("number").judge(3)
    conclusion = judging.conclude()
    assert conclusion.outcome == "unsupported"
    assert conclusion.text == "no document says anything of number"


def test_a_measure_that_does_not_exist_or_is_not_declared_is_refused():
    """The testcase is at fault, never the target."""
    with pytest.raises(UsageError, match="did you mean 'wait'"):
        judge()("wiat")
    with pytest.raises(HarnessError, match="judges wait and does not declare it"):
        judge(measures=("truth",))("wait")


def test_a_declared_measure_that_was_never_judged_is_our_fault():
    """A testcase that judges nothing could not fail."""
    judging = judge(measures=("wait", "truth"))
    judging("truth").judge(True)
    with pytest.raises(HarnessError, match="declares wait and does not judge it"):
        judging.conclude()


def test_what_was_not_judged_before_a_step_failed_is_inconclusive():
    """What was judged before stands."""
    judging = judge(measures=("truth", "wait"))
    judging("truth").judge(True)
    judging.give_up(Verdict.INCONCLUSIVE, "an earlier step failed: no SYN came")
    found = {one.claim: str(one.verdict) for one in judging.judgements}
    assert found.pop("STD:4") == "conforms"
    assert set(found.values()) == {"inconclusive"}
    assert judging.conclude().text == "an earlier step failed: no SYN came"


def test_nothing_stands_when_the_capture_cannot_be_trusted(ledger):
    """Lost frames make everything that was judged inconclusive."""
    judging = judge(ledger=ledger)
    judging("wait").judge(241.0)
    judging.distrust("the capture lost 3 frames")
    assert {str(one.verdict) for one in judging.judgements} == {"inconclusive"}
    assert judging.conclude().stale == ()


def test_a_capability_that_the_target_lacks_ends_a_testcase():
    """The reason names it."""
    about = dataclasses.replace(facts(), capabilities=frozenset({Capability.FIREWALL}))
    judging = judge(about)
    judging.need(Capability.FIREWALL)
    with pytest.raises(Unsupported, match="netns lacks two of its kind on one link"):
        judging.need(Capability.PAIR)


DURATION_FAILURE = """\
STD:1 on netns: at least 240 s is documented, 61.4 s was observed

  A standard, section 3.6.1, MUST (measure wait)
  "The wait lasts for at least four minutes."
  https://example.org/standard#3.6.1

    expected  at least 240 s
    observed  61.4 s"""

SEGMENT_FAILURE = """\
STD:3 on netns: R. 0:0(0) ack 1 is documented, R. 0:0(0) ack 2 win 0 was observed

  A standard, MUST (measure answer)
  "A closed port answers with a reset."
  https://example.org/standard

    expected  > R. 0:0(0) ack 1
    observed  > R. 0:0(0) ack 2 win 0

    field  expected  observed
    ack    1         2"""


def test_a_failure_tells_claim_document_and_difference():
    """The first line stands alone; the others follow below it."""
    judging = judge()
    judging("wait").judge(61.4)
    assert judging.conclude().text == DURATION_FAILURE
    judging("answer").judge(parse_segment("R. 0:0(0) ack 2 win 0"), within=0.5)
    assert judging.conclude().text == f"{DURATION_FAILURE}\n\nalso: {SEGMENT_FAILURE}"


def test_a_stale_entry_is_told_below_a_deviation(ledger):
    """Both are to be mended."""
    judging = judge(ledger=ledger, bind=frozenset({"notes"}))
    judging("wait").judge(241.0)
    text = judging.conclude().text.splitlines()
    assert text[0] == "kernel:wait on netns: 60 s is documented, 241 s was observed"
    assert text[-1].endswith("remove the entry")


def test_a_model_that_has_no_such_knob_does_not_break_what_is_said_of_it():
    """A model has less than the real stack: so much is unsupported."""
    about = dataclasses.replace(facts(), model=True, defaults={}, effective={})
    judging = judge(about)
    judging("ladder").judge([3.0, 3.0])
    found = {one.claim: one for one in judging.judgements}
    assert found["kernel:default"].verdict is Verdict.UNSUPPORTED
    assert "netns has no knob" in found["kernel:default"].reason
