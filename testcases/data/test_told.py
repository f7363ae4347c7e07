"""Told: what an application can ask about its data, and what it is told of trouble."""

import pytest

from harness import State

SIZE = 1400


@pytest.mark.measures("told_unread", "told_unsent", "told_outstanding")
def test_established_application_can_ask_what_waits(reach, documented):
    """SIOCINQ counts what was not read, SIOCOUTQ what was not sent."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1")
    peer.fence()
    documented("told_unread").judge(peer.socket.ask("SIOCINQ"))
    peer.socket.send(7)
    peer.expect("P. 1:8(7) ack 11", skip=[". 1:1(0) ack 11"])
    documented("told_outstanding").judge(peer.socket.ask("SIOCOUTQ"))
    peer.send(". 11:11(0) ack 8 win 0")
    peer.fence()
    peer.socket.send(5).wait(1.0)
    documented("told_unsent").judge(peer.socket.ask("SIOCOUTQ"))


@pytest.mark.measures("urgent_mark_before", "urgent_mark_reached", "urgent_mark_passed")
def test_established_application_can_ask_for_the_urgent_mark(reach, documented):
    """SIOCATMARK tells whether what is read next is where urgent data ends."""
    peer = reach(State.ESTABLISHED)
    peer.send('UP. 1:6(5) ack 1 urg 5 "abcde"')
    peer.send('P. 6:11(5) ack 1 "fghij"')
    peer.fence()
    documented("urgent_mark_before").judge(peer.socket.ask("SIOCATMARK") == 1)
    peer.socket.receive().wait(1.0)
    documented("urgent_mark_reached").judge(peer.socket.ask("SIOCATMARK") == 1)
    peer.socket.receive().wait(1.0)
    documented("urgent_mark_passed").judge(peer.socket.ask("SIOCATMARK") == 1)


@pytest.mark.measures("urgent_advance_told")
def test_established_advance_of_the_urgent_pointer_is_told(reach, documented):
    """When the urgent pointer moves on, the application is told again."""
    peer = reach(State.ESTABLISHED)
    peer.send('UP. 1:6(5) ack 1 urg 5 "abcde"')
    peer.fence()
    peer.socket.receive(urgent=True).wait(1.0)
    peer.socket.receive().wait(1.0)
    told = peer.socket.wait_for("POLLPRI")
    peer.send('UP. 6:11(5) ack 1 urg 5 "fghij"')
    documented("urgent_advance_told").judge(told.wait(1.0).outcome)


@pytest.mark.measures("urgent_older_octet")
def test_established_newer_urgent_data_leaves_the_older_in_the_stream(reach, documented):
    """What is no longer urgent is read with the data around it."""
    peer = reach(State.ESTABLISHED)
    peer.send('UP. 1:6(5) ack 1 urg 5 "abcde"')
    peer.send('UP. 6:11(5) ack 1 urg 5 "fghij"')
    peer.fence()
    documented("urgent_older_octet").judge(b"e" in (peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.measures("trouble_told")
def test_established_application_hears_of_retransmissions_before_the_end(reach, documented):
    """When data was retransmitted several times, the application is told before it is given up."""
    peer = reach(State.ESTABLISHED, options={"IP_RECVERR": 1})
    peer.socket.send(5)
    told = peer.socket.wait_for("POLLERR", "POLLPRI")
    peer.wait_until(lambda: len(peer.history("P. 1:6(5) ack 1").stamps) > 4, within=10.0)
    documented("trouble_told").judge(told.outcome != "pending")


def fill(peer):
    """Let the application send what finds no room in the peer's window; return the socket."""
    peer.send(". 1:1(0) ack 1 win 0")
    peer.fence()
    peer.socket.send(5000).wait(1.0)
    return peer.socket


@pytest.mark.measures("unsent_writable")
def test_established_unsent_data_leaves_a_socket_writable(reach, documented):
    """Some thousand octets that could not be sent leave room for more."""
    writable = fill(reach(State.ESTABLISHED)).wait_for("POLLOUT")
    documented("unsent_writable").judge(writable.wait(0.3).outcome)


@pytest.mark.tuned(notsent_low_water=1000)
@pytest.mark.measures("unsent_limited_writable", "unsent_sent_writable")
def test_established_limit_of_unsent_data_makes_a_socket_not_writable(reach, documented):
    """Above the limit of what is unsent a socket is not writable, below it is again."""
    peer = reach(State.ESTABLISHED)
    writable = fill(peer).wait_for("POLLOUT")
    documented("unsent_limited_writable").judge(writable.wait(0.3).outcome)
    peer.send(". 1:1(0) ack 1 win 65535")
    peer.fence()
    peer.send(". 1:1(0) ack 5001 win 65535")
    documented("unsent_sent_writable").judge(writable.wait(0.5).outcome)
