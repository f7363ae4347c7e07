"""Matrix: every kind of segment in every state, each on a connection of its own."""

import pytest

from harness import By, State

# More than a hundred connections, one after another.
pytestmark = pytest.mark.lasts(1)


@pytest.mark.measures("matrix_closed")
def test_closed_every_segment_is_dealt_with_as_documented(reach, documented):
    """Without a connection everything but a RST draws a RST that its sender believes."""
    documented("matrix_closed").judge(reach.every_segment(State.CLOSED))


@pytest.mark.measures("matrix_listen")
def test_listen_every_segment_is_dealt_with_as_documented(reach, documented):
    """A listening port answers a SYN, refuses an ACK, and ignores all else."""
    documented("matrix_listen").judge(reach.every_segment(State.LISTEN))


@pytest.mark.measures("matrix_syn_sent")
def test_syn_sent_every_segment_is_dealt_with_as_documented(reach, documented):
    """In SYN-SENT only a SYN, or a RST that acknowledges the SYN, leads anywhere."""
    documented("matrix_syn_sent").judge(reach.every_segment(State.SYN_SENT))


@pytest.mark.measures("matrix_syn_received_passive")
def test_syn_received_passive_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own SYN opens the connection; what does not fit is answered as documented."""
    documented("matrix_syn_received_passive").judge(
        reach.every_segment(State.SYN_RECEIVED, by=By.PASSIVE_OPEN)
    )


@pytest.mark.measures("matrix_syn_received_active")
def test_syn_received_active_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own SYN opens the connection; what does not fit is answered as documented."""
    documented("matrix_syn_received_active").judge(
        reach.every_segment(State.SYN_RECEIVED, by=By.ACTIVE_OPEN)
    )


@pytest.mark.measures("matrix_established")
def test_established_every_segment_is_dealt_with_as_documented(reach, documented):
    """An open connection takes what begins at RCV.NXT and is not upset by anything else."""
    documented("matrix_established").judge(reach.every_segment(State.ESTABLISHED))


@pytest.mark.measures("matrix_fin_wait_1_shutdown")
def test_fin_wait_1_shutdown_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN leads on, the peer's FIN too; nothing else upsets the closing."""
    documented("matrix_fin_wait_1_shutdown").judge(
        reach.every_segment(State.FIN_WAIT_1, by=By.SHUTDOWN)
    )


@pytest.mark.measures("matrix_fin_wait_1_close")
def test_fin_wait_1_close_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN leads on, the peer's FIN too; nothing else upsets the closing."""
    documented("matrix_fin_wait_1_close").judge(reach.every_segment(State.FIN_WAIT_1, by=By.CLOSE))


@pytest.mark.measures("matrix_fin_wait_2_shutdown")
def test_fin_wait_2_shutdown_every_segment_is_dealt_with_as_documented(reach, documented):
    """The peer's FIN leads to TIME-WAIT; nothing outside the window does anything."""
    documented("matrix_fin_wait_2_shutdown").judge(
        reach.every_segment(State.FIN_WAIT_2, by=By.SHUTDOWN)
    )


@pytest.mark.measures("matrix_fin_wait_2_close")
def test_fin_wait_2_close_every_segment_is_dealt_with_as_documented(reach, documented):
    """The peer's FIN leads to TIME-WAIT; nothing outside the window does anything."""
    documented("matrix_fin_wait_2_close").judge(reach.every_segment(State.FIN_WAIT_2, by=By.CLOSE))


@pytest.mark.measures("matrix_close_wait")
def test_close_wait_every_segment_is_dealt_with_as_documented(reach, documented):
    """After the peer's FIN its text is ignored, and nothing outside the window does anything."""
    documented("matrix_close_wait").judge(reach.every_segment(State.CLOSE_WAIT))


@pytest.mark.measures("matrix_closing_shutdown")
def test_closing_shutdown_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN leads to TIME-WAIT; nothing else upsets the closing."""
    documented("matrix_closing_shutdown").judge(reach.every_segment(State.CLOSING, by=By.SHUTDOWN))


@pytest.mark.measures("matrix_closing_close")
def test_closing_close_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN leads to TIME-WAIT; nothing else upsets the closing."""
    documented("matrix_closing_close").judge(reach.every_segment(State.CLOSING, by=By.CLOSE))


@pytest.mark.measures("matrix_last_ack_shutdown")
def test_last_ack_shutdown_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN ends the connection; nothing else upsets the closing."""
    documented("matrix_last_ack_shutdown").judge(
        reach.every_segment(State.LAST_ACK, by=By.SHUTDOWN)
    )


@pytest.mark.measures("matrix_last_ack_close")
def test_last_ack_close_every_segment_is_dealt_with_as_documented(reach, documented):
    """The ACK of the own FIN ends the connection; nothing else upsets the closing."""
    documented("matrix_last_ack_close").judge(reach.every_segment(State.LAST_ACK, by=By.CLOSE))


@pytest.mark.measures("matrix_time_wait_shutdown")
def test_time_wait_shutdown_every_segment_is_dealt_with_as_documented(reach, documented):
    """What comes late is acknowledged; only a RST, or a new SYN, may end the wait."""
    documented("matrix_time_wait_shutdown").judge(
        reach.every_segment(State.TIME_WAIT, by=By.SHUTDOWN)
    )


@pytest.mark.measures("matrix_time_wait_close")
def test_time_wait_close_every_segment_is_dealt_with_as_documented(reach, documented):
    """What comes late is acknowledged; only a RST, or a new SYN, may end the wait."""
    documented("matrix_time_wait_close").judge(reach.every_segment(State.TIME_WAIT, by=By.CLOSE))
