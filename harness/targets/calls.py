"""Calls: what a testcase asked of a target's agent, and how it ended."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from harness.errors import HarnessError, Inconclusive, Unsupported
from harness.targets.channel import PATIENCE, answered
from harness.targets.driver import Capability, Channel, Facts, Reply
from harness.wire.clock import Clock, looked

if TYPE_CHECKING:
    from harness.targets.sockets import Socket

PENDING = "pending"
SUCCESS = "success"
END_OF_FILE = "end of file"

_LOOKS = ("hello", "name", "sysctls", "table")
"""Questions whose answers say themselves until when they hold."""


class Call:
    """One socket call, which may still be under way; a method that waits does so on the clock."""

    def __init__(
        self,
        desk: "Desk",
        reply: Reply,
        text: str,
        *,
        read: Callable[[Any], Any] | None = None,
        made: "Socket | None" = None,
        quiet: bool = False,
    ) -> None:
        self._quiet = quiet
        self._desk = desk
        self._reply = reply
        self._text = text
        self._read = read
        self._made = made
        self._value: Any = None
        self._taken = False

    def __repr__(self) -> str:
        return f"<{self._text} = {self._outcome()}>"

    def finished(self) -> bool:
        """Tell whether the call has ended; lets the clock serve what has come in, without waiting.

        HarnessError if the agent is gone, so that nobody waits for it.
        """
        if not self._taken and not self._reply.finished():
            self._desk.clock.wait(self._desk.clock.now())
        self._desk.take_endings()
        return self._taken

    def wait(self, within: float = PATIENCE) -> Self:
        """Wait until the call has ended, at most so many seconds; whether it did is its outcome."""
        clock = self._desk.clock
        deadline = clock.now() + within
        while not self.finished() and clock.now() < deadline:
            clock.wait(deadline)
        return self

    @property
    def outcome(self) -> str:
        """How it ended: "success", "end of file", the name of an errno, or "pending".

        Before it says "pending" it makes sure that the agent still answers.
        """
        if not self.finished():
            self._desk.ask("hello")
            self.finished()
        return self._outcome()

    @property
    def error(self) -> str | None:
        """The name of the errno; None is success, or still under way."""
        self.finished()
        return self._reply.error

    @property
    def value(self) -> Any:
        """What the call returned: octets received, octets taken, events; None while under way."""
        self.finished()
        return self._value

    @property
    def began(self) -> float:
        """When the call was made, in seconds of the clock."""
        return self._reply.began

    @property
    def ended(self) -> float | None:
        """When the call returned, in seconds of the clock; None while it is under way."""
        self.finished()
        return self._reply.ended

    @property
    def elapsed(self) -> float | None:
        """How many seconds the call took, or None while it is under way."""
        ended = self.ended
        return None if ended is None else ended - self._reply.began

    def after(self, began: float) -> float | None:
        """Return how many seconds after an instant the call returned, or None while under way."""
        ended = self.ended
        return None if ended is None else ended - began

    @property
    def socket(self) -> "Socket":
        """The socket that the call is about: the one connecting, or the one accepted.

        Waits for accept(), and raises Inconclusive if it accepts nothing.
        """
        if self._made is not None:
            return self._made
        if self.wait().outcome != SUCCESS:
            raise Inconclusive(f"{self._text} returned no socket: {self.outcome}")
        accepted: Socket = self._value
        return accepted

    def take(self) -> bool:
        """Look whether the reply has come, and note it when it has; tell whether it has."""
        if self._taken or not self._reply.finished() or self._reply.ended is None:
            return self._taken
        self._taken = True
        value = self._reply.value
        readable = self._read is not None and self._reply.error is None
        self._value = self._desk.read(self._text, value, self._read) if readable else value
        if not self._quiet or self._reply.error is not None:
            self._desk.note(self._reply.ended, f"{self._text} = {self._outcome()}")
        return True

    def _outcome(self) -> str:
        if not self._taken:
            return PENDING
        return self._reply.error or (END_OF_FILE if self._value == b"" else SUCCESS)


class Desk:
    """Where requests to one agent are handed in, and where what became of them is noted.

    `facts` are the target's, `on_event` takes a time in seconds of the clock and a text.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        facts: Facts,
        on_event: Callable[[float, str], None] | None = None,
    ) -> None:
        self.clock = clock
        self.name = facts.name
        self._facts = facts
        self._channel = channel
        self._on_event = on_event
        self._open: list[Call] = []

    def need(self, capability: Capability) -> None:
        """Raise Unsupported if the target lacks something."""
        if capability not in self._facts.capabilities:
            raise Unsupported(f"{self.name} has no {capability}")

    def note(self, at: float, text: str) -> None:
        """Put a line on the timeline."""
        if self._on_event is not None:
            self._on_event(at, text)

    def start(
        self,
        operation: str,
        text: str,
        *,
        read: Callable[[Any], Any] | None = None,
        made: "Socket | None" = None,
        quiet: bool = False,
        **arguments: Any,
    ) -> Call:
        """Ask for a call that may take long, and return when it has been made.

        What comes afterwards comes to a stack that is in that call: what is to be sent at once is
        not sent late because an agent was kept from running, and no error comes while the stack
        still holds the socket (Linux takes none for hard that does). `read` makes the call's value
        from the agent's. Of a `quiet` call only a failure is noted when it ends.
        """
        self.take_endings()
        reply = self._channel.request(operation, **arguments)
        self._lacking(operation, reply)
        call = Call(self, reply, text, read=read, made=made, quiet=quiet)
        self.note(reply.began, text)
        self._open.append(call)
        if not call.finished():
            # An agent makes one call after the other.
            self.ask("hello")
            self.take_endings()
        return call

    def do(self, operation: str, text: str, **arguments: Any) -> Call:
        """Ask for a call that returns at once, and wait for it; its error is the caller's."""
        self.take_endings()
        reply = self._channel.request(operation, **arguments)
        answered(reply, self.clock, name=self.name)
        self._lacking(operation, reply)
        self.note(reply.began, text)
        call = Call(self, reply, text, quiet=True)
        call.take()
        return call

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Look at something, unnoted, and return the agent's value; OSError if that fails."""
        self.take_endings()
        reply = self._channel.request(operation, **arguments)
        answered(reply, self.clock, name=self.name)
        self._lacking(operation, reply)
        if operation not in _LOOKS:
            looked(self.clock, reply.began)
        if reply.error is not None:
            number = getattr(errno, reply.error, None)
            if number is None:
                raise self.broken(operation, reply.error)
            raise OSError(number, str(reply.value or reply.error))
        return reply.value

    def take_endings(self) -> None:
        """Note the calls that have ended since somebody looked last."""
        self._open = [call for call in self._open if not call.take()]

    def read(self, text: str, value: Any, reader: Callable[[Any], Any] | None) -> Any:
        """Make of an agent's value what it should be; HarnessError if it cannot be that."""
        try:
            return reader(value) if reader else value
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise self.broken(text, value) from None

    def broken(self, text: str, value: Any) -> HarnessError:
        """Return the error that says that the agent talks nonsense."""
        return HarnessError(f"the agent of {self.name} answers {text} with {str(value)[:200]!r}")

    def _lacking(self, operation: str, reply: Reply) -> None:
        if reply.finished() and reply.error == "ENOSYS":
            raise Unsupported(f"{self.name} has no {operation}()")
        if reply.finished() and reply.error == "EINVAL" and isinstance(reply.value, str):
            raise HarnessError(f"{operation}() was asked of {self.name} wrongly: {reply.value}")
