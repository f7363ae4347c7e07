"""A small world for runs of pytest within pytest: documents, a ledger and a toy of a stack.

`install` puts it where the harness looks for its own; a conftest.py of such a run calls it.
"""

import dataclasses
import functools
from pathlib import Path

from harness.documents.library import Library
from harness.errors import UsageError
from harness.judgement.ledger import Ledger
from harness.segment.segment import Flags, Segment
from harness.segment.sequence import add
from harness.targets import registry
from harness.targets.channel import AgentChannel
from harness.targets.driver import Capability, Facts, Host
from harness.wire.memory import VirtualClock, memory_pair
from tests.peer.scene import Far
from tests.wire.hosts import TARGET, TARGET_MAC

HERE = Path(__file__).parent

# No target of such a name needs privileges.
DRIVERS = {
    "model-toy": "tests.small:Toy",
    "model-slow": "tests.small:Slow",
    "model-missing": "tests.small:Missing",
}

FACTS = Facts(
    "model-toy",
    "toy",
    "1.0",
    virtual=True,
    capabilities=frozenset({Capability.PASSIVE_OPEN}),
    families=("ipv4",),
    sysctls={"net.toy": "1"},
)


class Refusing(Far):
    """A far end that answers a SYN as a closed port does."""

    def listen_to(self, segment):
        if not segment.syn:
            return
        ports = (segment.destination_port, segment.source_port)
        self.put(Segment(*ports, 0, add(segment.seq, 1), Flags.RST | Flags.ACK, window=0))


class World:
    """A virtual clock, a link, and a host that refuses every connection."""

    def __init__(self):
        self.clock = VirtualClock()
        self.link, far = memory_pair(self.clock)
        Refusing(far, None, "ipv4")
        self.hosts = [Host(AgentChannel(self.answer, self.clock), TARGET, TARGET_MAC)]

    def answer(self, request):
        now = self.clock.now()
        return [{"id": request["id"], "value": 1, "error": None, "began": now, "at": now}]

    def console(self):
        return "toy: booted"

    def close(self):
        self.link.close()


class Toy:
    """A driver of such worlds; it has one sysctl."""

    facts = FACTS
    privileged = False

    @staticmethod
    def missing():
        return None

    def start(self, settings):
        for key in settings.sysctls:
            if key != "net.toy":
                raise UsageError(f"model-toy has no sysctl {key}: leave it out")
        return self.facts

    def world(self, **_):
        return World()

    def stop(self):
        """Give nothing back."""


class Slow(Toy):
    """One that pretends to be in real time."""

    facts = dataclasses.replace(FACTS, name="model-slow", virtual=False)


class Missing(Toy):
    """One that cannot run here."""

    @staticmethod
    def missing():
        return "install a toy"


def install():
    """Let the harness find the small documents, their ledger and the toys."""
    registry.DRIVERS = DRIVERS
    Library.load = functools.partial(_library, packaged=HERE)
    Ledger.load = functools.partial(_ledger, folder=HERE / "ledgers")


_library, _ledger = Library.load, Ledger.load
