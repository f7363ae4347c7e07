"""Driver: what a model says of itself, its settings, and two of them on one link."""

import pytest

from harness import State
from harness.errors import UsageError
from harness.segment import codec
from harness.targets.driver import Settings
from harness.targets.registry import driver
from tests.targets.model.hosts import bed, pair


@pytest.mark.parametrize("name", ["rfc9293", "linux", "windows-2003", "berkeley"])
def test_a_model_says_what_it_is(name):
    """Nobody can take it for a real stack."""
    facts = driver(f"model-{name}")().start(Settings())
    assert "model of" in facts.version
    assert facts.model
    assert facts.virtual
    assert facts.name == f"model-{name}"


def test_a_model_needs_no_privileges():
    """What is in this process asks nothing of the machine."""
    assert not driver("model-rfc9293").privileged
    assert driver("netns").privileged


def test_a_sysctl_that_a_model_does_not_have_is_refused():
    """The user is told, before any testcase runs."""
    with pytest.raises(UsageError, match="has no sysctl net"):
        driver("model-rfc9293")().start(Settings(sysctls={"net.ipv4.tcp_sack": "0"}))


def test_a_firewall_rule_that_a_model_cannot_read_is_refused():
    """The user is told what it is about."""
    with pytest.raises(UsageError, match="--ctstate"):
        driver("model-rfc9293")().start(Settings(firewall=("-A INPUT --ctstate NEW -j DROP",)))


def test_a_sysctl_takes_effect_at_once():
    """What is tuned during a testcase holds for the next connection."""
    with bed("model-linux") as one:
        assert one.target.tune(sack=0) == {"sack": 0}
        one.target.connect(one.peer.port(2017))
        assert "sackOK" not in one.peer.expect("S 0:0(0)").option_names()


def test_two_models_meet_and_all_that_passes_is_captured():
    """The three segments of a handshake pass the bridge, and both are ESTABLISHED."""
    with pair() as (client, server, world):
        listener = server.listen(2017)
        attempt = client.connect(server.endpoint(2017))
        assert attempt.wait(1.0).outcome == "success"
        accepted = listener.accept().wait(1.0).socket
        assert client.sight(attempt.socket)() is server.sight(accepted)() is State.ESTABLISHED
        passed = []
        while (frame := world.link.poll()) is not None:
            passed.append(codec.decode_frame(frame.octets).content.segment)
        assert [str(int(one.flags)) for one in passed] == ["2", "18", "16"]


def test_a_rule_drops_what_it_names_until_it_is_removed():
    """SYNs do not arrive while the rule stands."""
    with pair() as (client, server, _):
        server.listen(2017)
        rule = server.firewall("-I INPUT -p tcp --dport 2017 -j DROP")
        attempt = client.connect(server.endpoint(2017))
        assert attempt.wait(2.5).outcome == "pending"
        rule.remove()
        assert attempt.wait(2.0).outcome == "success"
