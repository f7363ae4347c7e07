"""ECN: asked for, granted, or not, while a connection is set up."""

import pytest

from harness import State

ECT = 3


def answered(target, peer, syn):
    """Return the SYN-ACK that answers a SYN, and the ECN field of its datagram."""
    target.listen(2017)
    peer.send(syn)
    return peer.observe(), [one.tos & ECT for one in peer.datagrams]


@pytest.mark.measures("ecn_syn_answer", "ecn_syn_answer_ect")
def test_listen_syn_that_asks_for_ecn(target, peer, documented):
    """A SYN that asks for ECN is answered, by default with consent or without."""
    answer, fields = answered(target, peer, "SEW 0:0(0) <mss 1460>")
    documented("ecn_syn_answer").judge(answer)
    documented("ecn_syn_answer_ect").judge(max(fields, default=ECT))


@pytest.mark.tuned(ecn=0)
@pytest.mark.measures("ecn_syn_answer_at_0")
def test_listen_syn_that_asks_for_ecn_where_it_is_off(target, peer, documented):
    """Where ECN is off a SYN that asks for it is answered without."""
    answer, _ = answered(target, peer, "SEW 0:0(0) <mss 1460>")
    documented("ecn_syn_answer_at_0").judge(answer)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("ecn_syn_answer_at_1")
def test_listen_syn_that_asks_for_ecn_where_it_is_on(target, peer, documented):
    """Where ECN is on a SYN that asks for it is answered with ECE alone."""
    answer, _ = answered(target, peer, "SEW 0:0(0) <mss 1460>")
    documented("ecn_syn_answer_at_1").judge(answer)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("syn_with_ece_only_answer", "syn_with_cwr_only_answer")
def test_listen_syn_with_half_of_the_question_gets_no_consent(target, peer):
    """A SYN with only one of ECE and CWR asks for nothing."""
    target.listen(2017)
    peer.another().answer("SE 0:0(0) <mss 1460>", measure="syn_with_ece_only_answer")
    peer.another().answer("SW 0:0(0) <mss 1460>", measure="syn_with_cwr_only_answer")


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("ecn_syn_segment", "ecn_syn_ect", "ecn_synack_forms")
def test_syn_sent_every_form_of_syn_ack_opens(target, peer, documented):
    """Where ECN is on the SYN asks for it, and whatever the SYN-ACK says the connection opens."""
    outcomes, fields = [], []
    for form in ("S.E", "S.", "S.EW", "S.W"):
        caller = peer.another(remote_port=0)
        attempt = target.connect(caller.local)
        caller.expect("SEW 0:0(0)")
        fields += [one.tos & ECT for one in caller.datagrams]
        caller.send(f"{form} 0:0(0) ack 1 <mss 1460>")
        outcomes.append(attempt.wait(0.5).outcome)
    asked = peer.another(remote_port=0)
    target.connect(asked.local)
    documented("ecn_syn_segment").judge(asked.observe(0.5))
    documented("ecn_syn_ect").judge(max(fields, default=ECT))
    documented("ecn_synack_forms").judge(outcomes.count("success"))


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("ecn_data_ect", "no_ecn_data_ect")
def test_established_data_is_marked_only_if_both_sides_agreed(target, peer, documented):
    """Data is sent with ECT if both sides have agreed upon ECN, and without if not."""
    listener = target.listen(2017)
    for measure, syn in (("ecn_data_ect", "SEW"), ("no_ecn_data_ect", "S")):
        caller = peer.another()
        caller.send(f"{syn} 0:0(0) <mss 1460>")
        caller.observe()
        caller.send(". 1:1(0) ack 1")
        listener.accept().socket.send(1000)
        caller.expect(". 1:1001(1000) ack 1")
        documented(measure).judge(caller.datagrams[-1].tos & ECT)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("ecn_syn_after_rst")
def test_syn_sent_rst_that_answers_the_question(target, peer, documented):
    """When a SYN that asks for ECN is reset, one without may follow."""
    target.connect(peer.port(2017))
    peer.expect("SEW 0:0(0)")
    peer.send("R. 0:0(0) ack 1")
    documented("ecn_syn_after_rst").judge(peer.observe(0.3), within=0.3)


@pytest.mark.tuned(ecn=1, ecn_fallback=1, syn_linear_timeouts=0, syn_retries=1)
@pytest.mark.measures("ecn_syn_repeated")
def test_syn_sent_silence_falls_back_from_ecn(target, peer, documented):
    """When nobody answers a SYN that asks for ECN, it is repeated without."""
    target.connect(peer.port(2017))
    peer.expect("SEW 0:0(0)")
    documented("ecn_syn_repeated").judge(peer.observe(30.0), within=30.0)


@pytest.mark.tuned(ecn=1, ecn_fallback=0, syn_linear_timeouts=0, syn_retries=1)
@pytest.mark.measures("ecn_syn_repeated_without_fallback")
def test_syn_sent_silence_does_not_fall_back_where_that_is_off(target, peer, documented):
    """Where there is no falling back, a SYN that asks for ECN is repeated as it is."""
    target.connect(peer.port(2017))
    peer.expect("SEW 0:0(0)")
    documented("ecn_syn_repeated_without_fallback").judge(peer.observe(30.0), within=30.0)


@pytest.mark.measures("accurate_ecn_syn", "accurate_ecn_syn_at_4", "accurate_ecn_syn_at_5")
def test_closed_accurate_ecn_is_asked_for_as_set(target, peer, documented):
    """A SYN asks for Accurate ECN, for ECN, or for neither, as the stack is set."""
    settings = {"accurate_ecn_syn": 3, "accurate_ecn_syn_at_4": 4, "accurate_ecn_syn_at_5": 5}
    for measure, value in settings.items():
        target.tune(ecn=value)
        caller = peer.another(remote_port=0)
        target.connect(caller.local)
        documented(measure).judge(caller.observe(0.5))


@pytest.mark.measures("accurate_ecn_answers")
def test_listen_accurate_ecn_is_granted_as_set(target, peer, documented):
    """A SYN that asks for Accurate ECN is granted it, wherever it is set to be."""
    target.listen(2017)
    answers = []
    for value in (3, 4, 5):
        target.tune(ecn=value)
        caller = peer.another()
        caller.send("SEWe 0:0(0) <mss 1460>")
        answers.append(caller.expect("S.W 0:0(0) ack 1"))
    documented("accurate_ecn_answers").judge(len(answers))


@pytest.mark.measures("ecn_states")
def test_syn_received_answer_to_the_question_leads_on(reach, peer, documented):
    """A connection whose SYN asked for ECN opens as any other."""
    reach(State.LISTEN)
    peer.send("SEW 0:0(0) <mss 1460>")
    peer.observe()
    peer.send(". 1:1(0) ack 1")
    documented("ecn_states").judge([peer.reaches(State.ESTABLISHED)])
