"""Situations 1 to 6 of the laboratory note: two real stacks, nothing lost."""

import pytest

from harness import State

PORT = 2017


@pytest.mark.measures("lab_refused_answer")
def test_situation_1_no_server_refuses_at_once(client, server, wire, documented):
    """Without a server the SYN is answered with a RST."""
    client.connect(server.endpoint(PORT)).wait(1.0)
    refused = wire.expect("R.", by=server)
    documented("lab_refused_answer").judge(refused.segment, within=1.0)


@pytest.mark.measures("lab_listening_segments")
def test_situation_2_listening_sends_nothing(server, wire, documented):
    """A server that only listens puts nothing on the wire."""
    server.listen(PORT)
    wire.wait(1.0)
    documented("lab_listening_segments").judge(len(wire.passed))


@pytest.mark.measures(
    "lab_connected_segments",
    "lab_connected_states",
    "passive_open_ack_segments",
    "lab_data_segments",
    "lab_data_states",
)
def test_situations_3_and_4_connect_and_write(client, server, wire, documented):
    """Connecting takes three segments; a write is one segment with PSH, and its acknowledgement."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    documented("lab_connected_states").judge([client.sight(connected)(), server.sight(accepted)()])
    documented("lab_connected_segments").judge(len(wire.passed))
    documented("passive_open_ack_segments").judge(len(wire.passed))

    before = len(wire.passed)
    reading = accepted.receive()
    connected.send(10)
    reading.wait(1.0)
    wire.expect(". ack 11", by=server)
    documented("lab_data_segments").judge(wire.flags(since=before))
    documented("lab_data_states").judge([client.sight(connected)(), server.sight(accepted)()])


@pytest.mark.tuned(orphan_fin_wait_2_timeout=7)
@pytest.mark.measures("lab_client_close_time_wait")
def test_situation_5_client_closes_and_waits(client, server, wire, documented):
    """When the client closes and the server follows, the client waits in TIME-WAIT."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states = wire.watch(client.sight(connected))
    accepted.finish()
    connected.close()
    last = wire.expect(". 2:2(0) ack 2", by=client)
    wire.wait_until(lambda: states.in_state(State.CLOSED))

    documented("lab_client_close_time_wait").judge(states.lasted(State.TIME_WAIT, since=last.at))


@pytest.mark.measures("lab_client_close_segments", "close_segments_immediate")
def test_situation_5_server_follows_at_once(client, server, wire, documented):
    """How many segments the closing takes when the server's application does not wait."""
    listener = server.listen(PORT)
    closings = []
    # A first acknowledgment waits for a tick only, and an application may need longer.
    for _ in range(5):
        connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
        accepted = listener.accept().wait(1.0).socket
        before = len(wire.passed)
        accepted.finish()
        connected.close()
        wire.expect(". 2:2(0) ack 2", by=client, since=before)
        closings.append(len(wire.passed) - before)

    documented("lab_client_close_segments").judge(min(closings))
    documented("close_segments_immediate").judge(min(closings))


@pytest.mark.measures("lab_client_close_states")
def test_situation_5_client_passes_through_the_states(client, server, wire, documented):
    """The client that closes first goes through FIN-WAIT-1 to TIME-WAIT.

    A rule holds back what the server answers until the first of them has been seen; its application
    closes when the second has been.
    """
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states = wire.watch(client.sight(connected))
    rule = client.firewall("-I INPUT -p tcp --sport 2017 -j DROP")
    connected.close()
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_1), within=1.0)
    rule.remove()
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_2), within=2.0)
    accepted.close()
    wire.wait_until(lambda: states.in_state(State.TIME_WAIT), within=2.0)

    documented("lab_client_close_states").judge(states.seen)


@pytest.mark.measures("close_segments_delayed")
def test_close_with_a_slow_application_takes_four_segments(client, server, wire, documented):
    """When the second application takes its time, its FIN is a segment of its own."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    before = len(wire.passed)
    connected.close()
    wire.wait(0.5)
    accepted.close()
    wire.expect(". 2:2(0) ack 2", by=client)
    documented("close_segments_delayed").judge(len(wire.passed) - before)


@pytest.mark.measures(
    "lab_server_close_states",
    "lab_server_close_client_state",
    "lab_server_close_late_fin",
    "lab_server_close_client_states",
)
def test_situation_6_server_closes_and_the_client_does_not(client, server, wire, documented):
    """The server's FIN-WAIT-2 ends by itself; the client's FIN, much later, is refused.

    A rule holds back the client's acknowledgement until FIN-WAIT-1 has been seen, another one the
    server's RST until LAST-ACK has been seen.
    """
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    states = wire.watch(server.sight(accepted))
    rule = server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
    accepted.close()
    wire.wait_until(lambda: states.in_state(State.FIN_WAIT_1), within=1.0)
    rule.remove()
    wire.wait_until(lambda: states.in_state(State.CLOSED))
    documented("lab_server_close_states").judge(states.seen)
    documented("lab_server_close_client_state").judge([client.sight(connected)()])

    client_states = wire.watch(client.sight(connected))
    client_states.look()
    rule = client.firewall("-I INPUT -p tcp --sport 2017 -j DROP")
    connected.close()
    fin = wire.expect("F.", by=client)
    wire.wait_until(lambda: wire.after(fin.at, by=server) is not None, within=1.0)
    documented("lab_server_close_late_fin").judge(wire.after(fin.at, by=server), within=1.0)
    wire.wait_until(lambda: client_states.in_state(State.LAST_ACK), within=1.0)
    rule.remove()
    wire.wait_until(lambda: client_states.in_state(State.CLOSED), within=10.0)
    documented("lab_server_close_client_states").judge(client_states.seen)
