"""Attack protection: half-open connections that are given up sooner once they are many."""

import pytest

from harness import State

SYN = "S 0:0(0) <mss 1460>"
BACKLOG = 1024


def lifetime(target, peer, number):
    """Open so many connections by half; return how long the first of them lasts, in seconds."""
    target.listen(2017, backlog=BACKLOG)
    for _ in range(number - 1):
        peer.another().send(SYN)
    peer.send(SYN)
    peer.expect("S. 0:0(0) ack 1")
    return peer.target_leaves(State.SYN_RECEIVED, since=peer.history("S.").began)


@pytest.mark.measures("protection_value", "protection_limit_value", "protection_retried_value")
def test_closed_attack_protection_by_default(target, documented):
    """Protection is off at first, and has its limits."""
    documented("protection_value").judge(int(target.knob("syn_attack_protection")))
    documented("protection_limit_value").judge(int(target.knob("max_syn_backlog")))
    documented("protection_retried_value").judge(int(target.knob("max_half_open_retried")))


@pytest.mark.tuned(syn_attack_protection=0)
@pytest.mark.measures("unprotected_lifetime")
def test_syn_received_without_protection_lasts_however_many_there_are(target, peer, documented):
    """Without protection many half-open connections last as long as one."""
    number = int(target.knob("max_syn_backlog"))
    documented("unprotected_lifetime").judge(lifetime(target, peer, number))


@pytest.mark.tuned(syn_attack_protection=1)
@pytest.mark.measures("protected_lifetime")
def test_syn_received_with_protection_ends_sooner_where_there_are_many(target, peer, documented):
    """As many half-open connections as there may be are given up sooner."""
    number = int(target.knob("max_syn_backlog"))
    documented("protected_lifetime").judge(lifetime(target, peer, number))


@pytest.mark.tuned(syn_attack_protection=1)
@pytest.mark.measures("protected_few_lifetime")
def test_syn_received_with_protection_lasts_where_there_are_few(target, peer, documented):
    """A few half-open connections last as long as ever."""
    number = int(target.knob("max_half_open_retried"))
    documented("protected_few_lifetime").judge(lifetime(target, peer, number))


@pytest.mark.tuned(syn_attack_protection=1)
@pytest.mark.measures("protected_retried_lifetime")
def test_syn_received_with_protection_ends_sooner_where_many_were_answered_twice(
    target, peer, documented
):
    """Fewer half-open connections are enough where their SYN-ACKs had to be repeated."""
    number = int(target.knob("max_half_open_retried")) + 1
    documented("protected_retried_lifetime").judge(lifetime(target, peer, number))


@pytest.mark.tuned(syn_attack_protection=1, synack_retries=1)
@pytest.mark.measures("unrepeated_lifetime")
def test_syn_received_with_one_repetition_is_not_protected(target, peer, documented):
    """Where a SYN-ACK is repeated once only, protection changes nothing."""
    number = int(target.knob("max_syn_backlog"))
    documented("unrepeated_lifetime").judge(lifetime(target, peer, number))
