"""Checksum: right in every segment that is sent, verified in every one that comes."""

import pytest

from harness import State


@pytest.mark.measures("sent_checksums")
def test_closed_to_closed_every_checksum_sent_is_right(reach, documented):
    """SYN-ACK, acknowledgment, data, FIN and RST all carry the right checksum."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(b"odd")
    peer.expect(". 1:4(3) ack 1")
    peer.send("P. 1:11(10) ack 4")
    peer.expect(". 4:4(0) ack 11")
    peer.socket.shutdown("write")
    peer.expect("F. 4:4(0) ack 11")
    stranger = peer.another(remote_port=2018)
    stranger.send("S 0:0(0)")
    stranger.expect("R.")
    every = peer.datagrams + stranger.datagrams
    documented("sent_checksums").judge(all(one.checksum_right for one in every))


@pytest.mark.measures("bad_checksum_syn", "zero_checksum_syn", "bad_checksum_closed_port")
def test_listen_syn_with_a_wrong_checksum_is_dropped(target, peer):
    """A SYN whose checksum is wrong, zero included, is not answered."""
    target.listen(2017)
    peer.another().answer("S 0:0(0) checksum 0x1234", measure="bad_checksum_syn")
    peer.another().answer("S 0:0(0) checksum 0", measure="zero_checksum_syn")
    closed = peer.another(remote_port=2018)
    closed.answer("S 0:0(0) checksum 0x1234", measure="bad_checksum_closed_port")


@pytest.mark.measures("bad_checksum_third_ack", "bad_checksum_data", "bad_checksum_rst")
def test_syn_received_and_after_segments_with_a_wrong_checksum_are_dropped(reach, documented):
    """Neither a third ACK, nor data, nor a RST counts when its checksum is wrong."""
    peer = reach(State.SYN_RECEIVED)
    peer.send(". 1:1(0) ack 1 checksum 0x1234")
    peer.fence()
    documented("bad_checksum_third_ack").judge([peer.state()])
    peer.send(". 1:1(0) ack 1")
    peer.reaches(State.ESTABLISHED)
    peer.answer("P. 1:11(10) ack 1 checksum 0x1234", measure="bad_checksum_data", within=0.3)
    peer.send("R 1:1(0) checksum 0x1234")
    peer.fence()
    documented("bad_checksum_rst").judge([peer.state()])
