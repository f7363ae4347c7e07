"""Cookies: connections that are opened from nothing but the number of a SYN-ACK."""

import itertools

import pytest

from harness import State

SYN = "S 0:0(0) <mss 600>"
OVER = 12
BACKLOG = 2
NEAR = 2**16


@pytest.mark.tuned(syn_cookies=1)
@pytest.mark.measures("cookies_without_overflow", "cookies_without_overflow_rows")
def test_listen_without_overflow_no_cookies_are_sent(target, peer, documented):
    """A listener whose queue has room remembers every SYN."""
    target.listen(2017)
    peer.send(SYN)
    peer.expect("S. 0:0(0) ack 1")
    documented("cookies_without_overflow").judge(target.counter("TcpExtSyncookiesSent"))
    rows = target.rows(State.SYN_RECEIVED, local_port=2017)
    documented("cookies_without_overflow_rows").judge(len(rows))


@pytest.mark.tuned(syn_cookies=1)
@pytest.mark.measures("overflow_answered", "overflow_cookies", "overflow_connect", "overflow_rows")
def test_listen_overflow_is_met_with_cookies(target, peer, documented):
    """When more SYNs come than a queue holds all are answered, and who is real gets through."""
    listener = target.listen(2017, backlog=BACKLOG)
    callers = [peer.another() for _ in range(OVER)]
    for caller in callers:
        caller.send(SYN)
    peer.fence()
    answers = [caller.observe(0.0) for caller in callers]
    documented("overflow_answered").judge(sum(answer is not None for answer in answers))
    documented("overflow_cookies").judge(target.counter("TcpExtSyncookiesSent"))
    documented("overflow_rows").judge(len(target.rows(State.SYN_RECEIVED, local_port=2017)))
    callers[-1].send(". 1:1(0) ack 1")
    documented("overflow_connect").judge(listener.accept().wait(1.0).outcome)


@pytest.mark.tuned(syn_cookies=2)
@pytest.mark.measures(
    "cookie_synack",
    "cookie_rows",
    "cookie_count",
    "cookie_accept",
    "cookie_states",
    "cookie_mss",
    "cookie_forged_ack",
)
def test_listen_cookie_that_comes_back_opens_the_connection(target, peer, documented):
    """Of a SYN nothing is kept; the ACK of a cookie opens the connection, a forged one is reset."""
    listener = target.listen(2017)
    peer.answer(SYN, measure="cookie_synack")
    documented("cookie_rows").judge(len(target.rows(State.SYN_RECEIVED, local_port=2017)))
    documented("cookie_count").judge(target.counter("TcpExtSyncookiesSent"))
    peer.send(". 1:1(0) ack 1")
    accepted = listener.accept().wait(1.0)
    documented("cookie_accept").judge(accepted.outcome)
    documented("cookie_states").judge([peer.state()])
    accepted.socket.send(3000)
    sizes = [len(one.payload) for one in peer.collect(".", until=0.15).segments]
    documented("cookie_mss").judge(max(sizes, default=0))
    forger = peer.another()
    forger.send(SYN)
    forger.expect("S. 0:0(0) ack 1")
    forger.answer(". 1:1(0) ack 77", measure="cookie_forged_ack")


@pytest.mark.tuned(syn_cookies=2)
@pytest.mark.measures("cookie_lost_third_ack")
def test_listen_cookie_is_not_sent_again(target, peer, documented):
    """Nobody remembers a cookie, so that none is sent again."""
    target.listen(2017)
    peer.send(SYN)
    peer.expect("S. 0:0(0) ack 1")
    documented("cookie_lost_third_ack").judge(peer.observe(1.5), within=1.5)


@pytest.mark.tuned(syn_cookies=2)
@pytest.mark.measures("cookie_options_for_all", "cookie_options_without_timestamps")
def test_listen_cookie_has_room_for_few_options(target, peer, documented):
    """A cookie leaves no room for what the SYN offered, unless timestamps hold it."""
    target.listen(2017)
    offers = {
        "cookie_options_for_all": "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>",
        "cookie_options_without_timestamps": "<mss 1460,sackOK,nop,wscale 7>",
    }
    for measure, options in offers.items():
        caller = peer.another()
        caller.send(f"S 0:0(0) {options}")
        answer = caller.expect("S. 0:0(0) ack 1")
        documented(measure).judge(answer.option_names(padding=False))


@pytest.mark.tuned(syn_cookies=2)
@pytest.mark.measures("cookie_numbers_unrelated")
def test_listen_cookies_look_like_random_numbers(target, peer, documented):
    """Cookies show no pattern over connections (a false alarm in more than 10^6 runs).

    Three of 120 pairs of steps would have to be within 2^16, which each is once in 32,768.
    """
    target.listen(2017)
    callers = [peer.another().begins_at(1_000_000) for _ in range(17)]
    for caller in callers:
        caller.send(SYN)
        caller.expect("S. 0:0(0) ack 1")
    numbers = [caller.connection.irs for caller in callers]
    steps = [(later - earlier) % 2**32 for earlier, later in itertools.pairwise(numbers)]
    apart = [(a - b) % 2**32 for a, b in itertools.combinations(steps, 2)]
    alike = sum(distance < NEAR or distance > 2**32 - NEAR for distance in apart)
    documented("cookie_numbers_unrelated").judge(alike < 3)


@pytest.mark.measures("firewall_cookie", "firewall_cookie_rows")
def test_listen_cookies_of_a_firewall_keep_syns_from_the_server(target, peer, documented):
    """A firewall before the server may answer SYNs with cookies; the server sees none of them."""
    proxied = "-p tcp --dport 2017 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --mss 1460"
    target.firewall("-A PREROUTING -t raw -p tcp --dport 2017 --syn -j CT --notrack")
    target.firewall(f"-A INPUT {proxied}")
    target.listen(2017)
    peer.answer(SYN, measure="firewall_cookie")
    documented("firewall_cookie_rows").judge(len(target.rows(State.SYN_RECEIVED)))
