"""ICMP: what its errors do to a connection that is being opened, or was."""

import pytest

from harness import FAR, Problem, State

SYN_ACK = "S. 0:0(0) ack 1 <mss 1460>"
BEYOND = 1_000_000


def connect_despite(target, peer, problem, **quoted):
    """Let a SYN meet a problem and then a SYN-ACK; return how connect() ends."""
    caller = peer.another(remote_port=0)
    attempt = target.connect(caller.local)
    caller.expect("S 0:0(0)")
    caller.send_icmp(problem, **quoted)
    caller.fence()
    caller.send(SYN_ACK)
    return attempt.wait(0.5).outcome


@pytest.mark.measures(
    "icmp_net_unreachable_connect",
    "icmp_host_unreachable_connect",
    "icmp_time_exceeded_connect",
    "icmp_reassembly_time_exceeded_connect",
    "icmp_parameter_problem_connect",
)
def test_syn_sent_soft_error_does_not_end_the_attempt(target, peer, documented):
    """A soft error does not end an attempt: the SYN-ACK after it still opens the connection."""
    problems = {
        "icmp_net_unreachable_connect": Problem.NET_UNREACHABLE,
        "icmp_host_unreachable_connect": Problem.HOST_UNREACHABLE,
        "icmp_time_exceeded_connect": Problem.TIME_EXCEEDED,
        "icmp_reassembly_time_exceeded_connect": Problem.REASSEMBLY_TIME_EXCEEDED,
        "icmp_parameter_problem_connect": Problem.PARAMETER,
    }
    for measure, problem in problems.items():
        documented(measure).judge(connect_despite(target, peer, problem))


@pytest.mark.families("ipv4")
@pytest.mark.measures("icmp_source_route_failed_connect", "icmp_source_quench_connect")
def test_syn_sent_soft_error_of_ipv4_does_not_end_the_attempt(target, peer, documented):
    """Neither a failed source route nor Source Quench ends an attempt."""
    problems = {
        "icmp_source_route_failed_connect": Problem.SOURCE_ROUTE_FAILED,
        "icmp_source_quench_connect": Problem.SOURCE_QUENCH,
    }
    for measure, problem in problems.items():
        documented(measure).judge(connect_despite(target, peer, problem))


@pytest.mark.measures(
    "icmp_protocol_unreachable_connect",
    "icmp_port_unreachable_connect",
    "icmp_prohibited_connect",
)
def test_syn_sent_hard_error_ends_the_attempt(target, peer, documented):
    """A hard error ends an attempt, and connect() tells so."""
    problems = {
        "icmp_protocol_unreachable_connect": Problem.PROTOCOL_UNREACHABLE,
        "icmp_port_unreachable_connect": Problem.PORT_UNREACHABLE,
        "icmp_prohibited_connect": Problem.PROHIBITED,
    }
    for measure, problem in problems.items():
        documented(measure).judge(connect_despite(target, peer, problem))


@pytest.mark.measures("icmp_too_big_connect", "icmp_wrong_number_connect")
def test_syn_sent_error_that_quotes_another_number_is_ignored(target, peer, documented):
    """An error counts only if it quotes a number that is under way; "too big" ends nothing."""
    too_big = connect_despite(target, peer, Problem.TOO_BIG, mtu=1300)
    documented("icmp_too_big_connect").judge(too_big)
    other = connect_despite(target, peer, Problem.PORT_UNREACHABLE, seq=BEYOND)
    documented("icmp_wrong_number_connect").judge(other)


@pytest.mark.measures("icmp_other_connection", "icmp_own_connection")
def test_syn_sent_error_is_the_matter_of_its_own_connection(target, peer, documented):
    """An error touches the connection that caused it, and no other."""
    one, other = peer.another(remote_port=0), peer.another(remote_port=0)
    attempts = [target.connect(caller.local) for caller in (one, other)]
    one.expect("S 0:0(0)")
    other.expect("S 0:0(0)")
    one.send_icmp(Problem.PORT_UNREACHABLE)
    one.fence()
    one.send(SYN_ACK)
    other.send(SYN_ACK)
    documented("icmp_own_connection").judge(attempts[0].wait(0.5).outcome)
    documented("icmp_other_connection").judge(attempts[1].wait(0.5).outcome)


@pytest.mark.measures("icmp_then_silence_connect", "icmp_then_silence_syns")
@pytest.mark.tuned(syn_retries=1, syn_linear_timeouts=0)
def test_syn_sent_unreachable_is_what_connect_reports_in_the_end(target, peer, documented):
    """An attempt that ICMP calls hopeless goes on; when it is given up, connect() tells why."""
    attempt = target.connect(peer.port(2017))
    peer.expect("S 0:0(0)")
    peer.send_icmp(Problem.HOST_UNREACHABLE)
    ladder = peer.collect("S 0:0(0)", until=attempt.finished)
    documented("icmp_then_silence_connect").judge(attempt.outcome, after=attempt.elapsed)
    documented("icmp_then_silence_syns").judge(len(ladder.segments))


@pytest.mark.measures("connect_after_icmp")
def test_syn_sent_socket_can_connect_again_after_an_error(target, peer, documented):
    """What becomes of a second connect() on a socket whose first attempt ICMP has ended."""
    attempt = target.connect(peer.port(2017))
    peer.expect("S 0:0(0)")
    peer.send_icmp(Problem.PORT_UNREACHABLE)
    attempt.wait(0.5)
    other = peer.another(remote_port=0)
    again = attempt.socket.connect(other.local)
    other.let_connect(again)
    documented("connect_after_icmp").judge(again.outcome)


@pytest.mark.measures(
    "icmp_soft_error_established", "icmp_hard_error_established", "icmp_wrong_number_established"
)
def test_established_icmp_errors(reach, documented):
    """A soft error leaves a connection alone, and so does an error about another number."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    soft = (Problem.NET_UNREACHABLE, Problem.HOST_UNREACHABLE, Problem.TIME_EXCEEDED)
    for problem in (*soft, Problem.REASSEMBLY_TIME_EXCEEDED, Problem.PARAMETER):
        peer.send_icmp(problem)
    peer.fence()
    documented("icmp_soft_error_established").judge([peer.state()])
    peer.send_icmp(Problem.PORT_UNREACHABLE, seq=BEYOND)
    peer.fence()
    documented("icmp_wrong_number_established").judge([peer.state()])
    peer.send_icmp(Problem.PORT_UNREACHABLE)
    peer.send_icmp(Problem.PROTOCOL_UNREACHABLE)
    peer.fence()
    documented("icmp_hard_error_established").judge([peer.state()])


def opened(listener, caller):
    """Open a connection; return the target's socket."""
    caller.send("S 0:0(0) <mss 1460>")
    caller.expect("S. 0:0(0) ack 1")
    caller.send(". 1:1(0) ack 1")
    return listener.accept().socket


@pytest.mark.measures("icmp_error_told", "icmp_error_not_told")
def test_established_application_learns_of_soft_errors_if_it_wants(target, peer, documented):
    """Whoever asks for it is told of ICMP errors at once; whoever does not is not."""
    listener = target.listen(2017)
    for measure, wish in (("icmp_error_told", 1), ("icmp_error_not_told", 0)):
        caller = peer.another()
        socket = opened(listener, caller)
        socket.set("IP_RECVERR", wish)
        reading = socket.receive()
        socket.send(10)
        caller.expect(". 1:11(10) ack 1")
        caller.send_icmp(Problem.HOST_UNREACHABLE)
        caller.fence()
        documented(measure).judge(reading.wait(0.2).outcome)


@pytest.mark.tuned(data_retries=2)
@pytest.mark.measures("data_timeout_after_icmp")
def test_established_error_is_what_the_application_hears_in_the_end(reach, documented):
    """When data is given up after an ICMP error, that error is the reason the application gets."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    peer.send_icmp(Problem.HOST_UNREACHABLE)
    peer.wait_until(reading.finished)
    documented("data_timeout_after_icmp").judge(reading.outcome)


@pytest.mark.measures("too_big_answer", "too_big_segment_size")
def test_established_too_big_makes_segments_smaller(reach, documented):
    """What was too big is sent again in segments that fit the MTU which ICMP tells."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(1400)
    peer.expect(". 1:1401(1400) ack 1")
    peer.send_icmp(Problem.TOO_BIG, mtu=1300)
    documented("too_big_answer").judge(peer.observe(0.05), within=0.05)
    peer.wait(1.0)
    sizes = [len(one.payload) for one in peer.history(".").segments[-2:]]
    documented("too_big_segment_size").judge(max(sizes))


@pytest.mark.families("ipv4")
@pytest.mark.measures("source_quench_flight")
def test_established_source_quench_changes_nothing(reach, documented):
    """After Source Quench as much is sent at once as without it."""
    flights = []
    for problems in ((), (Problem.SOURCE_QUENCH,)):
        caller = reach(State.ESTABLISHED, peer=reach.another(), round_trip=FAR)
        # Later than that, a time-out would have it sent again, and make the window small.
        with caller.at_once(2 * FAR):
            caller.socket.send(10)
            caller.expect(". 1:11(10) ack 1")
            for problem in problems:
                caller.send_icmp(problem)
            caller.send(". 1:1(0) ack 11")
            caller.fence()
        caller.socket.send(60_000)
        flights.append(len(caller.collect(".", until=0.15).segments))
    documented("source_quench_flight").judge(flights[1] >= flights[0])
