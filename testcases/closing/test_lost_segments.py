"""Lost segments: two real stacks close while one segment of the four is lost."""

import pytest

from harness import State

PORT = 2017


@pytest.mark.measures("lost_first_fin_states", "lost_first_fin_sent")
def test_first_fin_lost_is_sent_again(client, server, wire, documented):
    """When the first FIN is lost, its repetition closes the connection all the same."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states, others = wire.watch(client.sight(connected)), wire.watch(server.sight(accepted))
    rule = server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
    connected.close()
    wire.expect("F. 1:1(0) ack 1", by=client)
    rule.remove()
    wire.wait_until(lambda: others.in_state(State.CLOSE_WAIT), within=5.0)
    accepted.close()
    wire.wait_until(lambda: others.in_state(State.CLOSED), within=5.0)
    documented("lost_first_fin_states").judge([states.look(), others.look()])
    documented("lost_first_fin_sent").judge(len(wire.fitting("F. 1:1(0) ack 1", by=client).stamps))


@pytest.mark.measures("lost_first_ack_states", "lost_first_ack_answers")
def test_first_ack_lost_has_the_fin_acknowledged_again(client, server, wire, documented):
    """When the ACK of the first FIN is lost, the repeated FIN draws it again."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states, others = wire.watch(client.sight(connected)), wire.watch(server.sight(accepted))
    rule = client.firewall("-I INPUT -p tcp --sport 2017 -j DROP")
    connected.close()
    wire.expect(". 1:1(0) ack 2", by=server)
    rule.remove()
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_2), within=5.0)
    documented("lost_first_ack_states").judge([states.look(), others.look()])
    answers = wire.fitting(". 1:1(0) ack 2", by=server)
    documented("lost_first_ack_answers").judge(len(answers.stamps))


@pytest.mark.measures("lost_second_fin_states", "lost_second_fin_sent")
def test_second_fin_lost_is_sent_again(client, server, wire, documented):
    """When the second FIN is lost, its repetition closes the connection all the same."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states, others = wire.watch(client.sight(connected)), wire.watch(server.sight(accepted))
    connected.shutdown("write")
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_2), within=5.0)
    rule = client.firewall("-I INPUT -p tcp --sport 2017 -j DROP")
    accepted.close()
    wire.expect("F. 1:1(0) ack 2", by=server)
    rule.remove()
    wire.wait_until(lambda: others.in_state(State.CLOSED), within=5.0)
    documented("lost_second_fin_states").judge([states.look(), others.look()])
    documented("lost_second_fin_sent").judge(len(wire.fitting("F. 1:1(0) ack 2", by=server).stamps))


@pytest.mark.measures("lost_last_ack_states", "lost_last_ack_answers")
def test_last_ack_lost_has_the_second_fin_acknowledged_again(client, server, wire, documented):
    """When the last ACK is lost, the second FIN is repeated and acknowledged from TIME-WAIT."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states, others = wire.watch(client.sight(connected)), wire.watch(server.sight(accepted))
    connected.shutdown("write")
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_2), within=5.0)
    rule = server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
    accepted.close()
    wire.expect(". 2:2(0) ack 2", by=client)
    rule.remove()
    wire.wait_until(lambda: others.in_state(State.CLOSED), within=5.0)
    documented("lost_last_ack_states").judge([states.look(), others.look()])
    documented("lost_last_ack_answers").judge(len(wire.fitting(". 2:2(0) ack 2", by=client).stamps))


@pytest.mark.measures("half_close_long_transfer", "half_close_long_transfer_end")
def test_half_closed_connection_carries_a_long_transfer(client, server, documented):
    """After one side has closed its direction, the other may send as long as it likes."""
    size = 300_000
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    connected.shutdown("write")
    accepted.receive().wait(1.0)
    sending = accepted.send(size)
    arrived = 0
    while arrived < size and (data := connected.receive().wait(5.0)).outcome == "success":
        arrived += len(data.value)
    sending.wait(1.0)
    accepted.close()
    documented("half_close_long_transfer").judge(arrived == size)
    documented("half_close_long_transfer_end").judge(connected.receive().wait(2.0).outcome)
