"""Stage: what the worlds of Linux stacks on this kernel share, wherever their processes live.

A driver holds one from its start to its stop. It knows what the user and the documents ask of a
stack's sysctls, and joins namespaces with links that are ready for frames.
"""

import contextlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.targets import network, sysctls
from harness.targets.driver import Capability, Facts, Settings
from harness.targets.guardian import Guardian
from harness.targets.knobs import Knobs, load
from harness.targets.namespace import Namespace, write_sysctls
from harness.wire.packet_socket import (
    PacketSocketLink,
    dispose,
    hold_stamps,
    open_way,
    raw_socket,
    stay_on_one_processor,
)
from harness.wire.real import RealClock

if TYPE_CHECKING:
    import socket

# Advances once a timer tick, so that its resolution is 1/HZ.
_CLOCK_MONOTONIC_COARSE = 6


class Stage:
    """Settings, guardian, stamps and processor of one process of the run."""

    def __init__(self, settings: Settings, *, stack: str = "linux") -> None:
        """Start the guardian and hold the kernel's stamping; UsageError for bad settings."""
        self._knobs: Knobs = load(stack)
        self._asked = {sysctls.canonical(name): value for name, value in settings.sysctls.items()}
        self._profile = settings.profile
        self._taken: Mapping[str, str] = {}
        self._tuned = self._knobs.tuned() if settings.tuned else {}
        self._present: Mapping[str, str] = {}
        self._move_again: Callable[[], None] | None = None
        self._stamps: socket.socket | None = hold_stamps()
        self._guardian: Guardian | None = Guardian()

    @property
    def guardian(self) -> Guardian:
        """What clears away the namespaces of a run that was killed."""
        if self._guardian is None:
            raise HarnessError("the driver has not been started")
        return self._guardian

    def survey(self, name: str, scratch: Namespace, capabilities: frozenset[Capability]) -> Facts:
        """Try the settings in a scratch namespace and tell the facts; UsageError for bad ones."""
        bench = Namespace.create()
        try:
            network.connect_peer(bench, scratch)
            with scratch.entered():
                before = sysctls.effective(self._knobs.sysctls())
            self._taken, left_out = sysctls.admit(self._profile, scratch)
            with scratch.entered():
                writes = self._knobs.writes(self._tuned, before)
                write_sysctls({**writes, **self._taken})
            sysctls.check(self._asked, scratch)
            with scratch.entered():
                after = sysctls.effective(self._knobs.sysctls())
        finally:
            bench.close()
        self._present = before
        return Facts(
            name=name,
            stack="linux",
            version=platform.release(),
            tick=time.clock_getres(_CLOCK_MONOTONIC_COARSE),
            wheel=True,
            capabilities=capabilities,
            families=network.families(),
            defaults=self._knobs.values(before),
            effective=self._knobs.values(after),
            fixed=self.fixed,
            sysctls=after,
            profile=self._taken,
            left_out=left_out,
        )

    def meet(self, sysctls: Mapping[str, str]) -> Mapping[str, float]:
        """Learn what sysctls a stack has that is no kernel's; return its knobs."""
        self._present = sysctls
        return self._knobs.values(sysctls)

    @property
    def asked(self) -> Mapping[str, str]:
        """The user's sysctls."""
        return self._asked

    @property
    def fixed(self) -> frozenset[str]:
        """The knobs that the user has set."""
        by_name = self._knobs.by_name
        asked = self._asked.keys() | self._taken.keys()
        return frozenset(name for name, knob in by_name.items() if knob.sysctl in asked)

    @property
    def names(self) -> tuple[str, ...]:
        """The sysctls that the knobs of the stack are."""
        return self._knobs.sysctls()

    def stay(self) -> None:
        """Bind the process to one processor, so that frames keep their order."""
        if self._move_again is None:
            self._move_again = stay_on_one_processor()

    def writes(self, knobs: Mapping[str, float] | None = None) -> dict[str, str]:
        """Spell a stack's sysctls: the user's before `knobs` before tuned values.

        What only Linux has is left out for others.
        """
        values = {
            name: value
            for name, value in {**self._tuned, **(knobs or {})}.items()
            if name in self._knobs.by_name or name not in load().by_name
        }
        return {**self._knobs.writes(values, self._present), **self._taken, **self._asked}

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._move_again is not None:
            self._move_again()
            self._move_again = None
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        if self._stamps is not None:
            self._stamps.close()
            self._stamps = None


def places(count: int) -> tuple[network.Address, ...]:
    """Return where one stack is, or two: client and server."""
    return (network.TARGET,) if count == 1 else (network.PEER, network.TARGET)


def join(
    clock: RealClock,
    bench: Namespace,
    stacks: Sequence[Namespace],
    prepare: Callable[[], None],
    took: Callable[[PacketSocketLink], None],
) -> None:
    """Join one stack or two with the bench, and hand the capture over to `took` once it is made.

    `prepare` is called in each stack's namespace, when its interface is there. HarnessError or
    OSError if no frame comes through.
    """
    if len(stacks) == 1:
        network.connect_peer(bench, *stacks)
    else:
        network.connect_pair(bench, *stacks)
    with bench.entered():
        link = PacketSocketLink(clock, network.LINK if len(stacks) == 1 else network.CLIENT_PORT)
    took(link)
    with contextlib.ExitStack() as ends:
        raw, everybody = [], places(len(stacks))
        for namespace, where in zip(stacks, everybody, strict=True):
            others = [place for place in everybody if place is not where]
            network.configure_stack(namespace, where, neighbours=others)
            with namespace.entered():
                prepare()
                raw.append(raw_socket(network.INTERFACE))
            ends.callback(dispose, raw[-1])
        if len(raw) == 1:
            link.greet(raw[0])
        else:
            open_way(*raw)
