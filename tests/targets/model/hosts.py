"""Hosts: a model in its world, and a peer at the other end of the link."""

from contextlib import contextmanager
from dataclasses import dataclass

from harness.peer.bench import Bench
from harness.peer.peer import Peer
from harness.peer.timeline import Timeline
from harness.targets.driver import Settings
from harness.targets.registry import driver
from harness.targets.target import Target
from harness.targets.walk import Walk
from harness.wire.station import Station

FAR = {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"}
FAR_MAC = "02:00:00:00:00:01"


@dataclass
class Bed:
    """What a test needs to walk a model into a state."""

    target: Target
    peer: Peer
    reach: Walk
    clock: object


@contextmanager
def bed(name="model-rfc9293", *, family="ipv4", knobs=None, settings=None):
    """Start a model in a fresh world."""
    started = driver(name)()
    facts = started.start(settings or Settings(tuned=False))
    world = started.world(knobs=knobs)
    host = world.hosts[0]
    target = Target(host, facts, world.clock, family)
    bench = Bench(
        station=Station(world.link, FAR_MAC, FAR.values(), target_mac=host.mac),
        timeline=Timeline(),
        addresses=(FAR[family], host.addresses[family]),
        observed=lambda *_: None,
        state_of=lambda port, remote: target.state(local_port=port, remote=remote),
        limit=10_000.0,
    )
    peer = Peer(bench, local_port=40017, remote_port=2017)
    try:
        yield Bed(target, peer, Walk(target, peer), world.clock)
    finally:
        world.close()
        started.stop()


@contextmanager
def pair(name="model-rfc9293"):
    """Start two models on one link; yield client, server and the capture."""
    started = driver(name)()
    facts = started.start(Settings(tuned=False))
    world = started.world(pair=True)
    client, server = (Target(host, facts, world.clock, "ipv4") for host in world.hosts)
    try:
        yield client, server, world
    finally:
        world.close()
        started.stop()
