"""Target: the stack under test as testcases see it; what it lacks raises Unsupported by itself."""

import contextlib
import errno
import functools
import ipaddress
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from harness.endpoint import Endpoint
from harness.errors import HarnessError, Inconclusive, Unsupported
from harness.states import State
from harness.targets import knobs as knob_tables
from harness.targets.calls import Call, Desk
from harness.targets.driver import Capability, Facts, Host
from harness.targets.knobs import Knobs
from harness.targets.sock_diag import Row
from harness.targets.sockets import Child, Listener, Socket, natural, word
from harness.wire.clock import Clock, looked

__all__ = ["Call", "Child", "Endpoint", "Listener", "Rule", "Socket", "Target"]

LOOK_SHARE = 0.1
"""How much of the time that a state table gives a timer may go by until the next look."""

LONGEST_LOOK = 1.0
"""Seconds after which it is looked at again at the latest, while somebody waits for it."""

_HELD_ONLY = "shows only the sockets of applications"
_ABSENT = {errno.ENOENT, errno.EPERM, errno.EACCES, errno.EROFS, errno.EPROTONOSUPPORT}


class Target:
    """One stack in one address family ("ipv4" or "ipv6").

    `on_event` takes the time in seconds of the clock and a text, for the timeline. `fixed` are the
    sysctls that the user has set, which `tune` leaves alone. `on_listen` takes the port where
    something listens already, in place of the one that was asked for.
    """

    def __init__(
        self,
        host: Host,
        facts: Facts,
        clock: Clock,
        family: str,
        *,
        on_event: Callable[[float, str], None] | None = None,
        fixed: Collection[str] = (),
        on_listen: Callable[[int], None] | None = None,
    ) -> None:
        if family not in host.addresses:
            raise Unsupported(f"{facts.name} has no {family}")
        self.facts = facts
        self.family = family
        self._host = host
        self._desk = Desk(host.channel, clock, facts, on_event)
        self._fixed = frozenset(fixed)
        self._on_listen = on_listen
        self._found = False
        # The knobs that the stack last said are in force, until something is written.
        self._in_force: Mapping[str, float] | None = None

    @property
    def name(self) -> str:
        """Its name, as in `--target`."""
        return self.facts.name

    @property
    def address(self) -> str:
        """Its address on the link, in the family of the testcase."""
        return self._host.addresses[self.family]

    def endpoint(self, port: int) -> Endpoint:
        """Return a port of its address."""
        return Endpoint(self.address, port)

    def need(self, capability: Capability) -> None:
        """Raise Unsupported if the target lacks something."""
        self._desk.need(capability)

    def settle(self) -> None:
        """Put the calls that have ended on the timeline."""
        self._desk.take_endings()

    def socket(self) -> Socket:
        """Make a socket."""
        try:
            number = self._desk.ask("socket", family=self.family)
        except OSError as error:
            raise self._unmade("socket()", error) from None
        return Socket(self._desk, self._desk.read("socket()", number, natural), self.family)

    def listen(
        self,
        port: int = 2017,
        *,
        backlog: int = 8,
        address: str | None = None,
        options: Mapping[str, Any] | None = None,
        **more_options: Any,
    ) -> Listener:
        """Listen on a port (0: any) of all addresses, or one; Inconclusive if that fails.

        Socket options, by name, are set before bind().
        """
        self.need(Capability.PASSIVE_OPEN)
        if self._host.listening is not None:
            if address or options or more_options or self._found:
                raise Unsupported(f"{self.name} cannot be asked to listen in some way")
            return self._find(self._host.listening)
        listening = self.socket()
        for option, value in {**(options or {}), **more_options}.items():
            listening.set(option, value)
        call = listening.bind(port, address)
        if call.error is None:
            call = listening.listen(backlog)
        if call.error is not None:
            raise Inconclusive(f"port {port} cannot be listened on: {call!r}")
        return Listener(listening, port or listening.local.port)

    def _find(self, port: int) -> Listener:
        """Take the listener that is there, which nobody can be asked about."""
        self._found = True
        if self._on_listen is not None:
            self._on_listen(port)
        return Listener(Socket(self._desk, 0, self.family), port)

    def connect(
        self,
        remote: Endpoint,
        *,
        source_port: int | None = None,
        options: Mapping[str, Any] | None = None,
        **more_options: Any,
    ) -> Call:
        """Connect to an endpoint, without waiting; the call's `socket` is there at once.

        Socket options, by name, are set first; Inconclusive if the source port cannot be bound.
        """
        self.need(Capability.ACTIVE_OPEN)
        connecting = self.socket()
        for option, value in {**(options or {}), **more_options}.items():
            connecting.set(option, value)
        if source_port is not None and (bound := connecting.bind(source_port)).error is not None:
            raise Inconclusive(f"port {source_port} cannot be connected from: {bound!r}")
        return connecting.connect(remote)

    def table(self) -> list[Row]:
        """Return the state table, all families."""
        self.need(Capability.STATE_TABLE)
        began = self._desk.clock.now()
        try:
            found = self._desk.ask("table")
        except OSError as error:
            raise self._unmade("the state table", error) from None
        rows = self._desk.read("table", found, lambda found: [_row(each) for each in found])
        looked(self._desk.clock, began + _stays(rows))
        return rows  # type: ignore[no-any-return]

    def rows(
        self,
        *states: State,
        local_port: int | None = None,
        remote: Endpoint | None = None,
    ) -> list[Row]:
        """Return the rows of this family that fit: any of the states, the ports, the far end.

        Unsupported where rows may be missing.
        """
        if self.facts.held_only:
            raise Unsupported(f"the state table of {self.name} {_HELD_ONLY}")
        return self._rows(*states, local_port=local_port, remote=remote)

    def _rows(
        self,
        *states: State,
        local_port: int | None = None,
        remote: Endpoint | None = None,
    ) -> list[Row]:
        return [
            row
            for row in self.table()
            if row.family == self.family
            and (not states or row.state in states)
            and local_port in {None, row.local_port}
            and (remote is None or _same(row, remote))
        ]

    def state(self, *, local_port: int | None = None, remote: Endpoint | None = None) -> State:
        """Return the state of a connection, or of a port: CLOSED when there is no row.

        A connection counts before the listener on its port. HarnessError for two connections,
        Unsupported for none where a row may be missing.
        """
        rows = self._rows(local_port=local_port, remote=remote)
        if self.facts.held_only and not rows:
            rows = self._nearly(local_port)
        found = [row for row in rows if row.state != State.LISTEN] or rows[:1]
        if len(found) > 1:
            raise HarnessError(f"the state of {len(found)} connections of {self.name} was asked")
        return State(found[0].state) if found else State.CLOSED

    def _nearly(self, local_port: int | None) -> list[Row]:
        """Return the one row of a port whose far end the table does not tell: Unsupported if none.

        Such a connection is not open yet, or not any more.
        """
        rows = [
            row
            for row in self._rows(local_port=local_port)
            if row.state != State.LISTEN and not row.remote_port
        ]
        if len(rows) != 1:
            raise Unsupported(f"the state table of {self.name} {_HELD_ONLY}")
        return rows

    def sight(self, socket: Socket) -> Callable[[], State]:
        """Return a function that tells a socket's state, also after the application closed it."""
        local = socket.local
        remote: Endpoint | None = None
        # In SYN-SENT and LISTEN there is no far end to be asked for: the port says enough.
        with contextlib.suppress(Inconclusive):
            remote = socket.remote
        return lambda: self.state(local_port=local.port, remote=remote)

    def knob(self, name: str) -> float:
        """Return a knob's value in force, a count or seconds; Unsupported if there is none."""
        value = self.effective.get(name)
        if value is None:
            raise Unsupported(f"{self.name} has no knob {name}")
        return value

    @property
    def effective(self) -> Mapping[str, float]:
        """The knobs in force now: what the stack itself says where it can be asked."""
        table = self._knobs()
        if table is None or Capability.KNOBS not in self.facts.capabilities:
            return self.facts.effective
        if self._in_force is None:
            texts = self._sysctls(table.sysctls())
            self._in_force = self._desk.read("sysctls", texts, table.values)
        return {**self.facts.effective, **self._in_force}

    def tune(self, **values: float) -> Mapping[str, float]:
        """Set knobs; return what is then in force.

        Unsupported for a knob that the target does not have, or that the user has set otherwise,
        HarnessError for one that nobody has.
        """
        self.need(Capability.KNOBS)
        table = self._knobs()
        if table is None:
            raise Unsupported(f"{self.name} has no {Capability.KNOBS}")
        for name, value in values.items():
            if name not in table.by_name:
                if name not in knob_tables.load().by_name:
                    raise HarnessError(f"no knob is called {name!r}")
                raise Unsupported(f"{self.name} has no knob {name}")
            sysctl = table.by_name[name].sysctl
            present = self._sysctls([sysctl]) if sysctl else {}
            if not present:
                raise Unsupported(f"{self.name} has no knob {name}")
            if sysctl not in self._fixed:
                self._write(sysctl, table.writes({name: value}, present)[sysctl])
            elif (set_to := self.effective[name]) != value:
                raise Unsupported(f"{name} is {set_to:g}, the testcase needs {value:g}")
        in_force = self.effective
        return {name: in_force[name] for name in values}

    def firewall(self, rule: str) -> "Rule":
        """Add an iptables rule of the family, as "-I INPUT -p tcp --dport 2017 -j DROP"."""
        self.need(Capability.FIREWALL)
        words = shlex.split(rule)
        if len(words) < 2 or words[0] not in Rule.ADDING:
            raise HarnessError(f"a rule begins with -A or -I and a chain, unlike {rule!r}")
        added = Rule(self._desk, self.family, words)
        added.apply(words)
        return added

    def counters(self) -> Mapping[str, int]:
        """Return the stack's counters, named as nstat does: TcpActiveOpens, TcpExtListenDrops."""
        self.need(Capability.COUNTERS)
        try:
            found = self._desk.ask("counters")
        except OSError as error:
            raise self._unmade("counters", error) from None
        return self._desk.read(  # type: ignore[no-any-return]
            "counters", found, lambda value: {str(key): int(value[key]) for key in value}
        )

    def counter(self, name: str) -> int:
        """Return one of the stack's counters; Unsupported if it has none of that name."""
        counters = self.counters()
        if name not in counters:
            raise Unsupported(f"{self.name} has no counter {name}")
        return counters[name]

    def _knobs(self) -> Knobs | None:
        return knob_tables.load(self.facts.stack) if knob_tables.known(self.facts.stack) else None

    def _sysctls(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the texts of those sysctls that the stack has."""
        try:
            found = self._desk.ask("sysctls", names=list(names))
        except OSError as error:
            raise self._unmade("sysctls", error) from None
        return self._desk.read(  # type: ignore[no-any-return]
            "sysctls",
            found,
            lambda value: {name: word(value[name]) for name in names if value[name] is not None},
        )

    def _write(self, name: str, text: str) -> None:
        self._in_force = None
        self._desk.note(self._desk.clock.now(), f"{name} = {text}")
        try:
            self._desk.ask("sysctl", name=name, value=text)
        except OSError as error:
            raise Unsupported(f"{self.name} refuses {name} = {text}: {error}") from None

    def _unmade(self, what: str, error: OSError) -> Exception:
        if error.errno in _ABSENT | {errno.EAFNOSUPPORT}:
            return Unsupported(f"{self.name} has no {what}: {error.strerror}")
        return HarnessError(f"{what} failed on {self.name}: {error.strerror}")


class Rule:
    """A firewall rule that stands inside a target until it is removed."""

    ADDING = ("-A", "--append", "-I", "--insert")

    def __init__(self, desk: Desk, family: str, words: list[str]) -> None:
        self._desk = desk
        self._family = family
        self._words = words
        self._stands = True

    def remove(self) -> None:
        """Take the rule away; a second call does nothing."""
        if not self._stands:
            return
        self._stands = False
        chain, *rest = self._words[1:]
        numbered = bool(rest) and rest[0].isdigit()
        self.apply(["-D", chain, *(rest[1:] if numbered else rest)])

    def apply(self, words: list[str]) -> None:
        """Hand the words to iptables; Unsupported if the target has none that works."""
        program = "iptables" if self._family == "ipv4" else "ip6tables"
        self._desk.note(self._desk.clock.now(), f"{program} {shlex.join(words)}")
        try:
            self._desk.ask("iptables", family=self._family, arguments=words)
        except OSError as error:
            if error.errno in _ABSENT:
                raise Unsupported(f"{self._desk.name} has no firewall: {error.strerror}") from None
            raise HarnessError(f"{program} {shlex.join(words)}: {error.strerror}") from None


def _stays(rows: Sequence[Row]) -> float:
    """Return for how many seconds a state table likely stays as it is, if nothing else happens.

    What a table says of its timers is believed for a small part of it, so that a look may come
    late, but never by much. A connection for which it shows no timer may change at any time.
    """
    left = [
        row.expires / 1000 if row.timer != "none" else 0.0
        for row in rows
        if row.state != State.LISTEN
    ]
    return min([LONGEST_LOOK, *(one * LOOK_SHARE for one in left)])


@functools.lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


def _row(value: Any) -> Row:
    row = Row(**value)
    State(row.state)
    for number in (row.local_port, row.remote_port, row.expires):
        natural(number)
    for address in (row.local_address, row.remote_address):
        _address(word(address))
    word(row.timer)
    return row


def _same(row: Row, remote: Endpoint) -> bool:
    return row.remote_port == remote.port and _address(row.remote_address) == _address(
        remote.address
    )
