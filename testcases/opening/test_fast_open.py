"""Fast Open: cookies asked for, granted and used, and data in a SYN."""

import pytest

from harness import State

ON = {"TCP_FASTOPEN": 5}
ELSEWHERE = {"ipv4": "198.51.100.9", "ipv6": "2001:db8::9"}
COOKIE = "0x0102030405060708"
GRANT = f"S. 0:0(0) ack 1 <mss 1460,nop,nop,kind-34 {COOKIE}>"


def cookies(segment):
    """Return what Fast Open options a segment has, octets each."""
    return [one.data for one in segment.options if getattr(one, "kind", 0) == 34]


def granted(peer, **envelope):
    """Ask for a cookie; return it as it is written."""
    peer.send("S 0:0(0) <mss 1460,nop,nop,kind-34>", **envelope)
    answer = peer.expect("S. 0:0(0) ack 1 <kind-34 *,...>")
    peer.send("R 1:1(0)", **envelope)
    return f"0x{cookies(answer)[0].hex()}"


@pytest.mark.measures("fast_open_by_default", "fast_open_data_by_default")
def test_listen_cookie_options_are_ignored_while_fast_open_is_off(target, peer, documented):
    """While Fast Open is off, as by default, a listener grants no cookie and takes no data."""
    target.listen(2017)
    asking = peer.another()
    asking.send("S 0:0(0) <mss 1460,nop,nop,kind-34>")
    answer = asking.expect("S. 0:0(0) ack 1")
    documented("fast_open_by_default").judge(answer.option_names(padding=False))
    eager = f"S 0:10(10) <mss 1460,nop,nop,kind-34 {COOKIE}>"
    peer.another().answer(eager, measure="fast_open_data_by_default")


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures(
    "fast_open_grant",
    "fast_open_cookie_length",
    "fast_open_valid_cookie",
    "fast_open_accept",
    "fast_open_wrong_cookie",
    "fast_open_cookie_from_elsewhere",
)
def test_listen_fast_open_takes_data_of_a_syn_with_a_valid_cookie(target, peer, documented):
    """With a valid cookie the data of a SYN is taken at once; with another it waits."""
    listener = target.listen(2017, options=ON)
    asking = peer.another()
    asking.send("S 0:0(0) <mss 1460,nop,nop,kind-34>")
    answer = asking.expect("S. 0:0(0) ack 1")
    documented("fast_open_grant").judge(answer.option_names(padding=False))
    documented("fast_open_cookie_length").judge(sum(map(len, cookies(answer))))
    asking.send("R 1:1(0)")
    cookie = granted(peer.another())
    away = granted(peer.another(), source=ELSEWHERE[target.family])

    data = "S 0:10(10) <mss 1460,nop,nop,kind-34 {}>"
    peer.another().answer(data.format(away), measure="fast_open_cookie_from_elsewhere")
    peer.another().answer(data.format(COOKIE), measure="fast_open_wrong_cookie")
    peer.another().answer(data.format(cookie), measure="fast_open_valid_cookie")
    documented("fast_open_accept").judge(listener.accept().wait(1.0).outcome)


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures("fast_open_odd_option", "fast_open_late_option")
def test_listen_fast_open_option_out_of_order_is_ignored(target, peer, documented):
    """A cookie option of a wrong length, or without SYN, is as good as none."""
    target.listen(2017, options=ON)
    odd = "S 0:10(10) <mss 1460,nop,nop,nop,kind-34 0x010203>"
    peer.another().answer(odd, measure="fast_open_odd_option")
    peer.send("S 0:0(0) <mss 1460>")
    peer.expect("S. 0:0(0) ack 1")
    peer.send(f". 1:1(0) ack 1 <nop,nop,kind-34 {COOKIE}>")
    documented("fast_open_late_option").judge([peer.reaches(State.ESTABLISHED)])


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures("fast_open_repeated_syn_ack")
def test_syn_received_fast_open_syn_ack_is_repeated_without_the_option(target, peer, documented):
    """A SYN-ACK that grants a cookie is sent again without."""
    target.listen(2017, options=ON)
    peer.send("S 0:0(0) <mss 1460,nop,nop,kind-34>")
    peer.expect("S. 0:0(0) ack 1 <kind-34 *,...>")
    again = peer.expect("S. 0:0(0) ack 1", within=30.0)
    documented("fast_open_repeated_syn_ack").judge(again.option_names(padding=False))


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures("fast_open_over_the_limit")
def test_syn_received_fast_open_stops_at_its_limit(target, peer, documented):
    """When so many connections wait for their third ACK, the next SYN's data is not taken."""
    target.listen(2017, options={"TCP_FASTOPEN": 1})
    cookie = granted(peer.another())
    answers = []
    for _ in range(3):
        caller = peer.another()
        caller.send(f"S 0:10(10) <mss 1460,nop,nop,kind-34 {cookie}>")
        answers.append(caller.observe())
    documented("fast_open_over_the_limit").judge(answers[-1])


@pytest.mark.measures("fast_open_request", "fast_open_request_options")
def test_closed_connect_asks_for_a_cookie_first(target, peer, documented):
    """A client that wants Fast Open asks for a cookie, and sends no data in that SYN."""
    attempt = target.connect(peer.port(2017), TCP_FASTOPEN_CONNECT=1)
    syn = peer.expect("S 0:0(0)", measure="fast_open_request")
    documented("fast_open_request_options").judge(syn.option_names(padding=False))
    attempt.socket.close()


@pytest.mark.measures(
    "fast_open_connect", "fast_open_syn", "fast_open_syn_cookie", "fast_open_data_again"
)
def test_closed_connect_uses_the_cookie_that_was_granted(target, peer, documented):
    """A cookie once granted is used, with data; what the SYN-ACK leaves out is sent again."""
    caller, data = with_cookie(target, peer)
    documented("fast_open_connect").judge(caller.outcome)
    caller.socket.send(10)
    syn = data.expect("S 0:10(10)", within=0.5, measure="fast_open_syn")
    documented("fast_open_syn_cookie").judge(cookies(syn) == [bytes.fromhex(COOKIE[2:])])
    data.send("S. 0:0(0) ack 1 <mss 1460>")
    documented("fast_open_data_again").judge(data.observe(0.3), within=0.3)


@pytest.mark.measures("fast_open_syn_repeated", "fast_open_syn_repeated_options")
def test_syn_sent_fast_open_syn_is_repeated_without_option_and_data(target, peer, documented):
    """A SYN with data that nobody answers is sent again without data and option."""
    caller, data = with_cookie(target, peer)
    caller.socket.send(10)
    data.expect("S 0:10(10) <kind-34 *,...>")
    again = data.expect("S 0:0(0)", within=30.0, measure="fast_open_syn_repeated")
    documented("fast_open_syn_repeated_options").judge(again.option_names(padding=False))


@pytest.mark.measures("fast_open_request_repeated_options")
def test_syn_sent_request_for_a_cookie_is_repeated_without_the_option(target, peer, documented):
    """A SYN that asks for a cookie and is not answered is sent again without asking."""
    target.connect(peer.port(2017), TCP_FASTOPEN_CONNECT=1)
    peer.expect("S 0:0(0) <kind-34,...>")
    again = peer.expect("S 0:0(0)", within=30.0)
    documented("fast_open_request_repeated_options").judge(again.option_names(padding=False))


def with_cookie(target, peer):
    """Let the target get a cookie; return its next connect() and the peer that it goes to."""
    first = peer.another(remote_port=0)
    attempt = target.connect(first.local, TCP_FASTOPEN_CONNECT=1)
    first.expect("S 0:0(0) <kind-34,...>")
    first.send(GRANT)
    attempt.wait(1.0)
    other = peer.another(remote_port=0)
    return target.connect(other.local, TCP_FASTOPEN_CONNECT=1).wait(0.5), other


@pytest.mark.measures("fast_open_syn_octets")
def test_closed_fast_open_data_of_a_syn_fits_the_mss_that_is_remembered(target, peer, documented):
    """A SYN carries as much data as the MSS allows that is remembered with the cookie."""
    caller, data = with_cookie(target, peer)
    caller.socket.send(5000)
    syn = data.expect("S 0:*(*) <kind-34 *,...>", within=0.5)
    documented("fast_open_syn_octets").judge(len(syn.payload))


@pytest.mark.measures("fast_open_after_silence", "fast_open_after_silence_options")
def test_closed_fast_open_is_left_alone_after_silence(target, peer, documented):
    """When a SYN with data was never answered, the next attempt does without Fast Open."""
    caller, data = with_cookie(target, peer)
    caller.socket.send(10)
    data.expect("S 0:10(10) <kind-34 *,...>")
    data.expect("S 0:0(0)", within=30.0)
    data.send("S. 0:0(0) ack 1 <mss 1460>")
    data.expect(". 1:11(10) ack 1")
    again = target.connect(data.local, TCP_FASTOPEN_CONNECT=1).wait(0.3).socket
    other = peer.another(local_port=data.local.port, remote_port=0)
    again.send(10)
    syn = other.expect("S 0:*(*)", within=0.5, measure="fast_open_after_silence")
    documented("fast_open_after_silence_options").judge(syn.option_names(padding=False))


@pytest.mark.tuned(fast_open_pause=60, syn_retries=1, syn_linear_timeouts=0)
@pytest.mark.measures("fast_open_after_black_hole")
def test_closed_fast_open_pauses_after_a_black_hole(target, peer, documented):
    """When an attempt with Fast Open has ended in silence, the next ones do without for a time."""
    documented("fast_open_after_black_hole").judge(options_after_black_hole(target, peer))


@pytest.mark.tuned(fast_open_pause=0, syn_retries=1, syn_linear_timeouts=0)
@pytest.mark.measures("fast_open_after_black_hole_unnoticed")
def test_closed_fast_open_goes_on_where_black_holes_do_not_count(target, peer, documented):
    """Where black holes do not count Fast Open goes on."""
    found = options_after_black_hole(target, peer)
    documented("fast_open_after_black_hole_unnoticed").judge(found)


def options_after_black_hole(target, peer):
    """Let an attempt with Fast Open end in silence; return the options of the next SYN."""
    caller, data = with_cookie(target, peer)
    caller.socket.send(10)
    data.expect("S 0:10(10) <kind-34 *,...>")
    reading = caller.socket.receive()
    data.wait_until(reading.finished)
    other = peer.another(remote_port=0)
    target.connect(other.local, TCP_FASTOPEN_CONNECT=1).wait(0.3).socket.send(10)
    return other.expect("S").option_names(padding=False)
