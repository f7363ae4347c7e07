"""The peer: it sends, expects, waits and looks, on a link where nothing is left to chance."""

import contextlib
import dataclasses

import pytest
from scapy.layers.inet import TCP

from harness.endpoint import Endpoint
from harness.errors import Inconclusive, Unsupported, UsageError
from harness.peer.bench import Bench
from harness.peer.peer import Ladder
from harness.segment import codec
from harness.segment.notation import parse_segment, write
from harness.segment.problem import Problem
from harness.segment.segment import Flags, Segment, Timestamps
from harness.states import State
from tests.peer.scene import DELAY, established, scene, timeline
from tests.wire.hosts import FAMILIES, STATION, TARGET

GONE = State.CLOSED


class Call:
    """A socket call that ends at an instant."""

    def __init__(self, clock, ends):
        self.finished = lambda: clock.now() >= ends


class Table:
    """A state table that shows, look by look, what it was told; the last for ever."""

    def __init__(self, *states):
        self.states = list(states)
        self.asked = []

    def __call__(self, port, remote):
        self.asked.append((port, remote))
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_is_opened_with_relative_numbers(family):
    """Whatever the initial numbers, 0 is the SYN of each side, for the peer and in the timeline."""
    made = established(family=family)
    made.peer.send("P. 1:11(10) ack 1")
    made.far.say(". 1:1(0) ack 11 <nop,nop,sack 3:5>")
    answer = made.peer.expect(". 1:1(0) ack 11 <nop,nop,sack 3:5>")
    assert write(answer, brief=True).startswith(". 1:1(0) ack 11")
    assert made.far.heard == ["P. 1:11(10) ack 1"]
    assert timeline(made) == [
        "< S 0:0(0) <mss 1460>",
        "> S. 0:0(0) ack 1 <mss 1460>",
        "< . 1:1(0) ack 1",
        "< P. 1:11(10) ack 1",
        "> . 1:1(0) ack 11 <nop,nop,sack 3:5>",
    ]


def test_a_segment_and_a_scapy_layer_are_sent_as_the_notation_is():
    """Numbers are relative however a segment is written down."""
    made = established()
    made.peer.send(parse_segment(". 1:1(0) ack 1"))
    made.peer.send(TCP(seq=1, ack=1, flags="A"))
    made.peer.wait(1.0)
    (notation, layer) = made.far.heard
    assert notation == ". 1:1(0) ack 1"
    assert layer.startswith(notation)


def test_the_envelope_is_the_testcases_to_write():
    """Fields of the IP header may be overridden; what comes back to another source is seen."""
    made = established()
    made.peer.send(". 1:1(0) ack 1", ttl=3, source="198.51.100.77")
    made.peer.wait(1.0)
    datagram = made.far.datagrams[-1]
    assert (datagram.ttl, datagram.source) == (3, "198.51.100.77")
    made.far.say("R 1:1(0)", destination="198.51.100.77")
    made.peer.expect("R 1:1(0)")


def test_what_is_left_out_is_checked_against_the_books():
    """A segment that fits in all that is written, and not the books, does not fit."""
    made = established()
    made.far.say("P. 1:4(3) ack 1")
    made.peer.expect("P.")
    made.far.say(". 1:1(0) ack 1")
    with pytest.raises(Inconclusive, match=r"^seq 1, not 4\n"):
        made.peer.expect(".")


def test_a_wrong_segment_is_told_on_two_aligned_lines():
    """The first line stands alone; then expected and nearest, and what differs, in a table."""
    made = established()
    made.far.say("F. 1:1(0) ack 0", after=0.24)
    with pytest.raises(Inconclusive) as caught:
        made.peer.expect(". 1:1(0) ack 1 win 5", within=0.5)
    first, _, *rest = str(caught.value).splitlines()
    assert first == "flags F., not ."
    assert rest == [
        "  expected  > . 1:1(0) ack 1 win 5   within 0.5 s",
        "  nearest   > F. 1:1(0) ack 0 win 65535   at +0.250 s",
        "",
        "  field    expected     observed",
        "  flags    .            F.",
        "  ack      1            0",
        "  win      5            65535",
    ]


def test_silence_instead_of_a_segment_is_told():
    """Nothing came: the clock went to the end of the time, and the text says so."""
    made = established()
    before = made.clock.now()
    with pytest.raises(Inconclusive) as caught:
        made.peer.expect("F. 1:1(0) ack 1", within=0.5)
    assert made.clock.now() == pytest.approx(before + 0.5)
    assert str(caught.value).splitlines() == [
        "nothing came",
        "",
        "  expected  > F. 1:1(0) ack 1   within 0.5 s",
        "  nearest   > nothing",
    ]


def test_expect_is_strict_and_skip_is_written_down():
    """The next segment must fit, unless it is named as indifferent; its octets are booked."""
    made = established()
    for _ in range(2):
        made.far.say("P. 1:11(10) ack 1")
        made.far.say("F. 11:11(0) ack 1")
    made.peer.expect("F.", skip=["P. 1:11(10) ack 1"])
    with pytest.raises(Inconclusive, match=r"^flags \., not F\."):
        made.peer.expect("F.", skip=["R"])


def test_a_segment_comes_too_late():
    """What arrives after the time is not what was expected, and still is there for the next."""
    made = established()
    made.far.say("F. 1:1(0) ack 1", after=2.0)
    with pytest.raises(Inconclusive, match="nothing came"):
        made.peer.expect("F. 1:1(0) ack 1", within=1.0)
    assert made.peer.expect("F. 1:1(0) ack 1", within=2.0).fin


@contextlib.contextmanager
def held_up(made, seconds):
    """Let every wait return so many seconds late, as on a machine that does something else."""
    wait = made.clock.wait

    def late(deadline):
        until = deadline + seconds
        while made.clock.now() < until:
            wait(until)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(made.clock, "wait", late)
        yield


def test_what_came_in_time_counts_however_late_it_is_looked_at():
    """The stamp says when a segment came; one of later is left for who asks later."""
    made = established()
    for seq, after in ((1, 0.05), (2, 0.15), (3, 0.6)):
        made.far.say(f"P. {seq}:{seq + 1}(1) ack 1", after=after)
    with held_up(made, 0.3):
        assert [one.seq for one in made.peer.collect("P. *:*(*)", until=0.1).segments] == [1]
        assert made.peer.expect("P. *:*(*)", within=0.0).seq == 2
        assert made.peer.observe(0.1) is None
    assert made.peer.observe(0.0).seq == 3


@pytest.mark.parametrize(
    ("said", "observed"),
    [(". 1:1(0) ack 1", ". 1:1(0) ack 1"), ("R 1:1(0)", "R 1:1(0)"), (None, None)],
)
def test_a_measured_step_hands_over_what_came(said, observed):
    """The observation goes to be judged, whether it fits, does not, or is silence."""
    made = established()
    if said:
        made.far.say(said)
    try:
        made.peer.expect(". 1:1(0) ack 1", within=0.75, measure="answer")
        stopped = False
    except Inconclusive:
        stopped = True
    assert made.observed == [("answer", observed, 0.75)]
    assert stopped == (said != observed or said != ". 1:1(0) ack 1")


def test_silence_for_a_time():
    """Silence is waited for to its end, and what breaks it is told and handed over."""
    made = established()
    before = made.clock.now()
    made.peer.expect_silence(3.0, measure="quiet")
    assert made.clock.now() == pytest.approx(before + 3.0)
    made.far.say("R 1:1(0)", after=1.0)
    with pytest.raises(Inconclusive, match=r"^silence was expected, R 1:1\(0\)"):
        made.peer.expect_silence(3.0, measure="quiet")
    assert made.observed == [("quiet", None, 3.0), ("quiet", "R 1:1(0)", 3.0)]


def test_silence_behind_a_fence_takes_no_longer_than_an_echo():
    """Without a time the target is asked for an echo: what it had to say has come before that."""
    made = established()
    before = made.clock.now()
    made.peer.send(". 1:1(0) ack 1")
    made.peer.expect_silence()
    assert made.clock.now() - before == pytest.approx(2 * DELAY)
    made.far.say(". 1:1(0) ack 1")
    made.peer.expect_silence(skip=[". 1:1(0) ack 1"])
    made.far.answers["P."] = ("R 1:1(0)",)
    made.peer.send("P. 1:2(1) ack 1")
    with pytest.raises(Inconclusive, match="silence was expected"):
        made.peer.expect_silence(measure="quiet")
    assert made.observed == [("quiet", "R 1:1(0)", 1.0)]


def test_without_echoes_silence_takes_half_a_second_more():
    """A target that answers no echo is given time; what it says then is seen."""
    made = established()
    made.far.echo = False
    before = made.clock.now()
    assert made.peer.observe() is None
    assert made.clock.now() - before == pytest.approx(1.5)
    with pytest.raises(Inconclusive, match="does not answer echo requests"):
        made.peer.fence()
    made.far.say("R 1:1(0)", after=1.25)
    assert made.peer.observe().rst


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fence_stands_behind_everything_that_was_sent(family):
    """Each fence is an echo of its own, and an old reply does not open a new one."""
    made = established(family=family)
    made.peer.fence()
    made.far.echo = False
    with pytest.raises(Inconclusive):
        made.peer.fence()
    assert len(made.bench.echoes) == 1


@pytest.mark.parametrize(("says", "within"), [(True, None), (False, None), (False, 0.5)])
def test_an_answer_is_judged_silence_included(says, within):
    """What comes back at once is handed over and returned."""
    made = established()
    made.far.answers = {"S": (". 1:1(0) ack 1",)} if says else {}
    found = made.peer.answer("S 0:0(0)", measure="challenge", within=within)
    seen = ". 1:1(0) ack 1" if says else None
    assert (found and write(found, brief=True)) == seen
    assert made.observed == [("challenge", seen, within or 1.0)]


@pytest.mark.parametrize(("says", "seen"), [(True, "R 1:1(0)"), (False, None)])
def test_what_crossed_the_question_is_no_answer(says, seen):
    """A repetition that the target sent before is left aside; the answer behind it is judged."""
    made = established()
    made.far.say("F. 1:1(0) ack 1")
    made.peer.wait(1.0)
    made.far.answers = {"P.": ("R 1:1(0)",)} if says else {}
    made.peer.answer("P. 1:2(1) ack 1", measure="refusal")
    assert made.observed == [("refusal", seen, 1.0)]


def idle(bench, seconds):
    """Be kept from running for a while."""
    bench.wait(lambda: False, bench.station.clock.now() + seconds)


def look_late(made, monkeypatch):
    """Have the target say something between a fence's answer and whoever waits for it."""
    prompt = Bench.fence

    def looked_at_late(bench):
        replied = prompt(bench)
        made.far.say("R 1:1(0)", after=0.5)
        idle(bench, 1.0)
        return replied

    monkeypatch.setattr(Bench, "fence", looked_at_late)


def test_what_comes_after_a_fence_is_no_answer(monkeypatch):
    """A timer of the target that runs out while nobody looks is not the question's doing."""
    made = established()
    made.far.answers = {}
    look_late(made, monkeypatch)
    made.peer.answer("S 0:0(0)", measure="challenge")
    assert made.observed == [("challenge", None, 1.0)]


def test_all_immediate_answers_are_there_and_nothing_later(monkeypatch):
    """An answer has come by the fence, or is none."""
    made = established()
    made.far.answers = {"P.": (". 1:1(0) ack 2", "F. 1:1(0) ack 2")}
    made.peer.send("P. 1:2(1) ack 1")
    look_late(made, monkeypatch)
    answers = made.peer.answers(skip=["."])
    assert [write(one, brief=True) for one in answers] == ["F. 1:1(0) ack 2"]
    made.far.echo = False
    monkeypatch.undo()
    with pytest.raises(Inconclusive, match="does not answer echo requests"):
        made.peer.answers()


def test_a_repetition_before_a_late_fence_is_no_verdict(monkeypatch):
    """Where the fence was built late, a timer may have run out before."""
    made = established()
    made.far.answers = {}
    made.far.say("S. 0:0(0) ack 1")
    made.peer.expect("S. 0:0(0) ack 1")
    prompt = Bench.fence

    def built_late(bench):
        idle(bench, 0.5)
        return prompt(bench)

    monkeypatch.setattr(Bench, "fence", built_late)
    made.far.say("S. 0:0(0) ack 1", after=0.3)
    with pytest.raises(Inconclusive, match=r"^S\. 0:0\(0\) .* came again 0\.3\d\d s later"):
        made.peer.answer("S 0:0(0)", measure="challenge")
    assert made.observed == []


def test_segments_are_collected_until_a_call_ends():
    """A ladder holds all that came by then, with the stamps of the wire."""
    made = established()
    for at in (1.0, 3.0, 7.0):
        made.far.say("F. 1:1(0) ack 1", after=at)
    start = made.clock.now()
    call = Call(made.clock, start + 9.0)
    made.clock.at(start + 9.0, lambda: None)
    ladder = made.peer.collect("F. 1:1(0) ack 1", until=call.finished)
    assert made.clock.now() == pytest.approx(start + 9.0)
    assert ladder.stamps == pytest.approx([start + DELAY + at for at in (1.0, 3.0, 7.0)])
    assert ladder.intervals == pytest.approx([2.0, 4.0])
    assert all(segment.fin for segment in ladder.segments)


def test_a_condition_that_nothing_announces_is_looked_at_again_and_again():
    """With `poll` the condition is found true although no event wakes the peer."""
    made = established()
    start = made.clock.now()
    ladder = made.peer.collect("F.", until=lambda: made.clock.now() > start + 2.0, poll=0.5)
    assert (ladder.stamps, ladder.intervals) == ((), [])
    assert made.clock.now() == pytest.approx(start + 2.5)


def test_segments_are_collected_for_a_time():
    """So many seconds, whatever comes; what is skipped is in no ladder."""
    made = established()
    for at in (0.5, 1.5, 2.5):
        made.far.say("F. 1:1(0) ack 1", after=at)
        made.far.say(". 1:1(0) ack 1", after=at)
    start = made.clock.now()
    ladder = made.peer.collect("F. 1:1(0) ack 1", until=2, skip=["."])
    assert (len(ladder.stamps), made.clock.now()) == (2, pytest.approx(start + 2.0))


def test_another_segment_ends_collecting():
    """What does not fit makes the ladder inconclusive; only what is written is told to differ."""
    made = established()
    made.far.say("P. 1:11(10) ack 1")
    made.peer.expect("P.")
    made.far.say("R. 1:1(0) ack 1", after=1.5)
    with pytest.raises(Inconclusive) as caught:
        made.peer.collect("F.", until=60.0)
    lines = str(caught.value).splitlines()
    assert lines[0] == "flags R., not F."
    assert lines[-2:] == ["  field    expected     observed", "  flags    F.           R."]


def test_patience_ends_collecting():
    """A condition that never holds is waited for no longer than the run's patience."""
    made = established(limit=5.0)
    start = made.clock.now()
    with pytest.raises(Inconclusive, match="still going on after 5 s of patience"):
        made.peer.collect("F.", until=lambda: False)
    assert made.clock.now() == pytest.approx(start + 5.0)


def test_history_knows_what_was_looked_at_and_what_was_not():
    """All segments of the target are there, by pattern, with when they came."""
    made = established()
    start = made.clock.now()
    made.far.say(". 1:1(0) ack 1", after=1.0)
    made.far.say("F. 1:1(0) ack 1", after=2.0)
    made.peer.expect(". 1:1(0) ack 1", within=5.0)
    made.peer.wait(5.0)
    stamps = made.peer.history(".").stamps + made.peer.history("F.").stamps
    assert stamps == pytest.approx([start + 1.0 + DELAY, start + 2.0 + DELAY])
    assert len(made.peer.history("S. 0:0(0) ack 1").segments) == 1
    assert made.peer.history("R").segments == ()
    assert len(made.peer.datagrams) == 3
    assert made.peer.passed_segments() == 5


def test_what_was_not_looked_at_can_be_forgotten():
    """What is discarded is booked, and no longer the next segment."""
    made = established()
    made.far.say("P. 1:11(10) ack 1")
    made.peer.wait(1.0)
    made.peer.discard()
    assert made.peer.connection.expected_seq == 11
    assert made.peer.observe(0.0) is None


def test_a_syn_is_answered_while_a_call_connects():
    """The peer plays a listening host; a SYN that comes twice is answered twice."""
    made = scene(remote_port=0)
    made.far.say("S 0:0(0) <mss 1460>", port=5000)
    made.far.say("S 0:0(0) <mss 1460>", port=5000)
    made.peer.let_connect(Call(made.clock, 0.5), within=2.0)
    assert made.far.heard == ["S. 0:0(0) ack 1 <mss 1460>"] * 2
    assert made.peer.remote == Endpoint(TARGET["ipv4"], 5000)


def test_only_a_syn_is_answered_while_a_call_connects():
    """Anything else is left aside; and no call is waited for longer than was said."""
    made = scene()
    made.far.say("R 0:0(0)")
    made.peer.let_connect(Call(made.clock, 99.0), within=2.0)
    assert made.far.heard == []
    assert made.clock.now() <= 4.0


def test_a_call_that_fails_at_once_is_not_waited_for():
    """Without a SYN the call's end is enough."""
    made = scene()
    made.peer.let_connect(Call(made.clock, 0.0))
    assert (made.far.heard, made.clock.now()) == ([], 0.0)


def test_a_state_is_left_when_two_looks_miss_it():
    """One look that misses the row is not believed; the bounds are the looks around the end."""
    there = State.TIME_WAIT
    table = Table(there, GONE, there, there, GONE, GONE)
    made = established(state_of=table)
    start = made.clock.now()
    low, high = made.peer.target_leaves(there, since=start)
    assert (low, high) == pytest.approx((0.06, 0.08))
    assert set(table.asked) == {(2017, made.peer.local)}
    assert timeline(made)[-1] == "the target has left TIME-WAIT"


def test_a_state_lasts_from_the_last_segment():
    """Without another beginning the time counts from what passed last, either way."""
    made = established(state_of=Table(*[State.TIME_WAIT] * 50, GONE))
    made.far.answers = {".": (". 1:1(0) ack 1",)}
    made.peer.send(". 1:1(0) ack 1")
    made.peer.wait(1.0)
    made.peer.discard()
    # The answer came 2 * DELAY after what was sent; the last look that saw the state was the 50th.
    assert made.peer.target_leaves(State.TIME_WAIT) == pytest.approx((1.96, 1.98))


def test_a_state_that_was_gone_at_once():
    """The bounds are what could be seen: it may never have lasted."""
    made = established(state_of=Table(GONE))
    low, high = made.peer.target_leaves(State.TIME_WAIT, since=made.clock.now())
    assert (low, high) == (0.0, 0.0)


def test_patience_ends_with_the_state_still_there():
    """How long it lasted has no upper bound."""
    made = established(state_of=Table(State.FIN_WAIT_2), limit=2.0)
    low, high = made.peer.target_leaves(State.FIN_WAIT_2)
    assert low == pytest.approx(2.0, abs=0.03)
    assert high is None


def test_the_state_is_looked_up_and_told():
    """The table is asked for the connection, by the target's port and the peer's end."""
    table = Table(State.ESTABLISHED)
    made = established(state_of=table)
    assert made.peer.state() is State.ESTABLISHED
    assert table.asked == [(2017, Endpoint(STATION["ipv4"], 40017))]
    assert timeline(made)[-1] == "the target is in ESTABLISHED"


def test_a_state_is_awaited():
    """The wait ends with the state, or with the time; what is returned is what then is seen."""
    seen = State.CLOSE_WAIT
    made = established(state_of=Table(*[State.ESTABLISHED] * 4, seen))
    start = made.clock.now()
    assert made.peer.reaches(seen) is seen
    assert made.clock.now() - start == pytest.approx(0.02)
    assert made.peer.reaches(State.CLOSED, within=0.5) is seen
    assert made.clock.now() - start == pytest.approx(0.52)


@pytest.mark.parametrize("ask", ["state", "reaches", "target_leaves"])
def test_without_a_state_table_it_is_unsupported(ask):
    """What the target lacks is no fault of the harness."""
    made = established()
    arguments = () if ask == "state" else (State.CLOSED,)
    with pytest.raises(Unsupported, match="no state table"):
        getattr(made.peer, ask)(*arguments)


def test_waiting_for_a_condition():
    """It is told whether it came to hold, within the time or the run's patience."""
    made = established(limit=3.0)
    start = made.clock.now()
    assert made.peer.wait_until(lambda: made.clock.now() > start + 1.0)
    assert not made.peer.wait_until(lambda: False, within=0.25)
    assert not made.peer.wait_until(lambda: False)
    assert made.clock.now() == pytest.approx(start + 4.25, abs=0.03)


@pytest.mark.parametrize("start", [0.0, 100.0])
def test_the_round_trip_is_that_of_the_targets_syn(start):
    """It is measured as the target measures it, from its SYN to the peer's acknowledgement."""
    made = scene(start=start)
    made.far.answers["S 0:0(0)"] = ("S. 0:0(0) ack 1",)
    made.peer.send("S 0:0(0)")
    made.peer.expect("S.")
    assert made.peer.round_trip is None
    made.peer.wait(0.25)
    made.peer.send(". 1:1(0) ack 1")
    made.peer.wait(0.1)
    made.peer.send(". 1:1(0) ack 1")
    made.peer.wait(0.1)
    assert made.peer.round_trip == pytest.approx(0.25)


def test_a_round_trip_that_begins_with_the_clock():
    """A SYN at the instant 0 is as good as any other."""
    made = scene(delay=0.0, remote_port=0)
    made.far.say("S 0:0(0)")
    made.peer.expect("S 0:0(0)")
    made.peer.wait(0.5)
    made.peer.send("S. 0:0(0) ack 1")
    made.peer.wait(0.5)
    assert made.peer.round_trip == pytest.approx(0.5)


def test_another_peer_is_another_connection():
    """Each peer sees its own segments only, by both ports."""
    made = established()
    other = made.peer.another()
    third = made.peer.another(local_port=40017, remote_port=80)
    assert other.local.port not in (40017, 80)
    assert (other.remote.port, third.remote.port) == (2017, 80)
    made.far.say("R 1:1(0)", to=other)
    made.far.say("R 2:2(0)", to=third, port=80)
    made.far.say("R 3:3(0)")
    made.peer.wait(1.0)
    assert [peer.passed_segments() for peer in (other, third)] == [1, 1]
    assert made.peer.expect("R 3:3(0)").rst
    assert made.peer.another().local.port != other.local.port


def test_a_port_is_taken_and_the_targets_is_learnt():
    """A target that connects may do so from any port; then it is known."""
    made = scene()
    assert made.peer.port(80) == Endpoint(STATION["ipv4"], 80)
    assert made.peer.remote.port == 0
    made.far.say("S 0:0(0)", port=33333)
    made.peer.expect("S 0:0(0)")
    assert made.peer.remote.port == 33333
    assert made.peer.towards(5).remote.port == 5


def test_the_initial_number_can_be_chosen():
    """A testcase may want the numbers to wrap where it says."""
    made = scene()
    assert made.peer.begins_at((1 << 32) + 5) is made.peer
    made.peer.send("S 0:0(0)")
    made.peer.wait(1.0)
    assert made.far.datagrams[-1].segment.seq == 5
    assert made.peer.connection.expected_ack == 1


def test_a_reopened_connection_is_told_in_its_own_numbers():
    """After a new SYN the target's SYN is 0 again, in the timeline and in the history too."""
    made = established()
    made.peer.send("S 1000:1000(0)")
    made.far.iss = 5_000_000
    made.far.say("S. 0:0(0) ack 1001")
    found = made.peer.expect("S. 0:0(0) ack 1001")
    assert found.syn
    assert timeline(made)[-1] == "> S. 0:0(0) ack 1001"
    assert len(made.peer.history("S. 0:0(0) ack 1001").stamps) == 1


def test_what_is_no_connections_is_noted_as_stray():
    """A segment to a port that nobody plays stands in the timeline, with its numbers as sent."""
    made = established()
    lost = dataclasses.replace(parse_segment("R 0:0(0)"), destination_port=9, seq=7)
    made.far.put(dataclasses.replace(lost, source_port=2017))
    made.peer.wait(1.0)
    assert timeline(made)[-1] == f"stray {TARGET['ipv4']}:2017 > 9 R 7:7(0)"
    assert made.peer.observe(0.0) is None


@pytest.mark.parametrize(("family", "numbers"), [("ipv4", (3, 3)), ("ipv6", (1, 4))])
def test_an_icmp_error_quotes_what_the_target_sent(family, numbers):
    """The error is about the last segment, with its real numbers, and is noted."""
    made = established(family=family)
    made.peer.send_icmp(Problem.PORT_UNREACHABLE)
    made.peer.wait(1.0)
    message = made.far.datagrams[-1].icmp
    assert (message.type, message.code) == numbers
    ports_and_seq = message.quoted[-8:]
    assert ports_and_seq[:4] == bytes.fromhex("07e19c51")
    assert int.from_bytes(ports_and_seq[4:]) == made.far.iss
    assert timeline(made)[-1] == f"< ICMP type {numbers[0]} code {numbers[1]}"


def test_an_icmp_error_may_quote_a_wrong_number():
    """`seq` is relative; the MTU is what "too big" says, and more may be quoted."""
    made = established()
    made.peer.send_icmp(Problem.TOO_BIG, seq=-1000, mtu=600, octets=12)
    made.peer.wait(1.0)
    message = made.far.datagrams[-1].icmp
    assert int.from_bytes(message.quoted[24:28]) == made.far.iss - 1000
    assert (message.rest & 0xFFFF, len(message.quoted)) == (600, 32)


def test_an_icmp_error_about_nothing():
    """Where the target has sent nothing there is nothing to complain about."""
    with pytest.raises(Inconclusive, match="sent nothing"):
        scene().peer.send_icmp(Problem.PORT_UNREACHABLE)


def test_an_icmp_error_of_the_targets_is_noted():
    """It stands in the timeline and on the bench, with when it came."""
    made = established()
    made.peer.wait(1.0)
    made.far.put(codec.IcmpMessage(3, 13))
    before = made.clock.now()
    made.peer.wait(1.0)
    ((stamp, datagram),) = made.bench.icmp
    assert stamp == pytest.approx(before + DELAY)
    assert (datagram.icmp.type, datagram.icmp.code) == (3, 13)
    assert timeline(made)[-1] == "> ICMP type 3 code 13"


def test_what_carries_no_segment_is_no_ones():
    """A datagram without TCP changes nothing in a connection."""
    made = established()
    (datagram,) = made.peer.datagrams
    made.peer.passed(1.0, False, dataclasses.replace(datagram, content=codec.IcmpMessage(8, 0)))
    assert made.peer.passed_segments() == 3


def test_options_of_what_is_expected_may_be_left_out():
    """Options that are not written are not checked, and come back as they were."""
    made = established()
    made.far.say(Segment(seq=1, ack=1, flags=Flags.ACK, options=(Timestamps(7, 9),)))
    assert Timestamps(7, 9) in made.peer.expect(". 1:1(0) ack 1").options
    with pytest.raises(UsageError, match="nonsense"):
        made.peer.expect("nonsense")


def test_data_is_absorbed_until_no_more_comes():
    """Each segment of a burst is acknowledged, and what comes again makes nothing larger."""
    made = established()
    for text in (". 1:11(10) ack 1", "P. 11:31(20) ack 1", ". 1:11(10) ack 1"):
        made.far.say(text)
    assert made.peer.absorb("P. 1:1(0) ack {}") == 30
    made.peer.wait(1.0)
    assert made.far.heard == ["P. 1:1(0) ack 11", *["P. 1:1(0) ack 31"] * 2]
    assert made.peer.absorb() == 0


def test_data_without_an_end_is_not_absorbed():
    """A stack that sends for ever ends the testcase, not the run."""
    made = established(limit=2.0)
    made.far.answers = {".": (". 1:11(10) ack 1",)}
    made.far.say(". 1:11(10) ack 1")
    with pytest.raises(Inconclusive, match="still going on after 2 s of patience"):
        made.peer.absorb()


def test_segments_are_sent_together(monkeypatch):
    """All are made first, each as it follows the one before, and the sending alone is timed."""
    made = established()
    made.peer.send_together(["P. 1:11(10) ack 1", "P. 11:21(10) ack 1"], within=0.1)
    made.peer.send("P. 21:31(10) ack 1")
    made.peer.wait(1.0)
    assert made.far.heard == ["P. 1:11(10) ack 1", "P. 11:21(10) ack 1", "P. 21:31(10) ack 1"]
    monkeypatch.setattr(made.peer.bench.station, "send_together", lambda _: 0.2)
    with pytest.raises(Inconclusive, match=r"^what was to be sent at once took 0\.200 s$"):
        made.peer.send_together([". 31:31(0) ack 1"], within=0.1)


@pytest.mark.parametrize(("seconds", "fits"), [(0.2, True), (0.3, False)])
def test_what_happens_at_once_takes_no_time_to_speak_of(seconds, fits):
    """A machine that was held up meanwhile has not done what was to be done at once."""
    peer = established().peer
    expected = contextlib.nullcontext() if fits else pytest.raises(Inconclusive, match="at once")
    with expected, peer.at_once():
        peer.wait(seconds)


def test_a_ladder_without_segments_has_no_beginning():
    """What did not come cannot be timed: that is no error of the harness."""
    empty = Ladder((), ())
    with pytest.raises(Inconclusive, match="no segment came of those that are timed"):
        _ = empty.began
    with pytest.raises(Inconclusive, match="no segment came of those that are looked at"):
        _ = empty.newest


def test_a_ladder_begins_with_its_first_and_ends_with_its_last():
    """Stamps and segments are in the order in which they came."""
    first, last = parse_segment("S 0:0(0)"), parse_segment("R 1:1(0)")
    ladder = Ladder((1.0, 3.0), (first, last))
    assert (ladder.began, ladder.newest) == (1.0, last)
