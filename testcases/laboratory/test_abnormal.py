"""Abnormal situations 1 to 4 of the laboratory note: a firewall between two real stacks."""

import pytest

from harness import State

PORT = 2017


@pytest.mark.measures(
    "lab_syn_dropped_ladder",
    "lab_syn_dropped_timeout",
    "lab_syn_dropped_client_state",
    "lab_syn_dropped_server_state",
)
def test_abnormal_1_syns_dropped_before_the_server(client, server, wire, documented):
    """The client repeats its SYN in SYN-SENT and gives up; the server notices nothing."""
    listener = server.listen(PORT)
    server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
    attempt = client.connect(server.endpoint(PORT))
    client_states = wire.watch(client.sight(attempt.socket))
    server_states = wire.watch(server.sight(listener.socket))
    embryonic = wire.watch(lambda: server.state(local_port=PORT, remote=attempt.socket.local))
    ladder = wire.collect("S 0:0(0)", by=client, until=attempt.finished)
    wire.wait_until(lambda: client_states.in_state(State.CLOSED), within=1.0)

    documented("lab_syn_dropped_ladder").judge(ladder)
    documented("lab_syn_dropped_timeout").judge(attempt.outcome, after=attempt.elapsed)
    documented("lab_syn_dropped_client_state").judge(client_states.seen)
    seen = [*server_states.seen, *(s for s in embryonic.seen if s is not State.CLOSED)]
    documented("lab_syn_dropped_server_state").judge(seen)


@pytest.mark.measures(
    "lab_synack_dropped_states",
    "lab_synack_dropped_syn_ladder",
    "lab_synack_dropped_synack_count",
    "lab_synack_dropped_server_duration",
)
def test_abnormal_2_syn_acks_dropped_before_the_client(client, server, wire, documented):
    """The client stays in SYN-SENT and the server in SYN-RECEIVED, each until it gives up."""
    server.listen(PORT)
    client.firewall("-I INPUT -p tcp --sport 2017 -j DROP")
    attempt = client.connect(server.endpoint(PORT))
    embryonic = wire.watch(lambda: server.state(local_port=PORT, remote=attempt.socket.local))
    first = wire.expect("S 0:0(0)", by=client)
    wire.expect("S. 0:0(0) ack 1", by=server)
    documented("lab_synack_dropped_states").judge(
        [client.sight(attempt.socket)(), embryonic.look()]
    )
    ladder = wire.collect("S 0:0(0)", by=client, until=attempt.finished)
    answers = wire.fitting("S.", by=server)
    wire.wait_until(lambda: embryonic.in_state(State.CLOSED))

    documented("lab_synack_dropped_syn_ladder").judge(ladder)
    documented("lab_synack_dropped_synack_count").judge(len(answers.stamps))
    documented("lab_synack_dropped_server_duration").judge(
        embryonic.lasted(State.SYN_RECEIVED, since=first.at)
    )


@pytest.mark.lasts(8)
@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures(
    "lab_fin_dropped_states", "lab_fin_dropped_ladder", "lab_fin_dropped_duration"
)
def test_abnormal_3_fin_dropped_before_the_server(client, server, wire, documented):
    """The client repeats its FIN in FIN-WAIT-1; the server stays ESTABLISHED."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
    states = wire.watch(client.sight(connected))
    connected.close()
    first = wire.expect("F. 1:1(0) ack 1", by=client)
    documented("lab_fin_dropped_states").judge([states.look(), server.sight(accepted)()])
    ladder = wire.collect("F. 1:1(0) ack 1", by=client, until=lambda: states.in_state(State.CLOSED))

    documented("lab_fin_dropped_ladder").judge(ladder)
    documented("lab_fin_dropped_duration").judge(states.lasted(State.FIN_WAIT_1, since=first.at))


@pytest.mark.lasts(8)
@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures(
    "lab_last_ack_dropped_states",
    "lab_last_ack_dropped_ladder",
    "lab_last_ack_dropped_duration",
)
def test_abnormal_4_second_fin_dropped_before_the_server(client, server, wire, documented):
    """The server closes first; the client repeats its FIN in LAST-ACK until it gives up."""
    listener = server.listen(PORT)
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    accepted = listener.accept().wait(1.0).socket
    server_state = server.sight(accepted)
    accepted.close()
    wire.expect(". 1:1(0) ack 2", by=client)
    server.firewall(f"-I INPUT -p tcp --sport {connected.local.port} -j DROP")
    states = wire.watch(client.sight(connected))
    connected.close()
    first = wire.expect("F. 1:1(0) ack 2", by=client)
    documented("lab_last_ack_dropped_states").judge([states.look(), server_state()])
    ladder = wire.collect("F. 1:1(0) ack 2", by=client, until=lambda: states.in_state(State.CLOSED))

    documented("lab_last_ack_dropped_ladder").judge(ladder)
    documented("lab_last_ack_dropped_duration").judge(states.lasted(State.LAST_ACK, since=first.at))


@pytest.mark.measures(
    "lab_third_ack_dropped_states", "lab_third_ack_dropped_data", "lab_third_ack_dropped_again"
)
def test_third_ack_dropped_before_the_server(client, server, wire, documented):
    """The client is ESTABLISHED, the server is not; data after the server gave up draws a RST."""
    server.listen(PORT)
    rule = server.firewall(
        "-I INPUT -p tcp --dport 2017 --tcp-flags SYN,ACK,RST,FIN,PSH ACK -j DROP"
    )
    connected = client.connect(server.endpoint(PORT)).wait(1.0).socket
    embryonic = wire.watch(lambda: server.state(local_port=PORT, remote=connected.local))
    documented("lab_third_ack_dropped_states").judge([client.sight(connected)(), embryonic.look()])
    wire.wait_until(lambda: embryonic.in_state(State.CLOSED))
    rule.remove()
    reading = connected.receive()
    connected.send(10)
    wire.wait_until(reading.finished, within=2.0, poll=None)
    documented("lab_third_ack_dropped_data").judge(reading.outcome)
    reset = wire.expect("R", by=server)
    wire.wait(2.0)
    documented("lab_third_ack_dropped_again").judge(wire.after(reset.at, by=client) is not None)
