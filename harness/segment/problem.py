"""Problem: what an ICMP error complains about, and the message that says so in either family."""

import enum

from harness.errors import UsageError
from harness.segment.codec import quote
from harness.segment.datagram import Datagram, IcmpMessage


class Problem(enum.Enum):
    """A problem; its value is type and code of ICMPv4 and ICMPv6, None where there is none."""

    NET_UNREACHABLE = ((3, 0), (1, 0))
    HOST_UNREACHABLE = ((3, 1), (1, 3))
    PROTOCOL_UNREACHABLE = ((3, 2), (4, 1))
    PORT_UNREACHABLE = ((3, 3), (1, 4))
    TOO_BIG = ((3, 4), (2, 0))
    SOURCE_ROUTE_FAILED = ((3, 5), None)
    PROHIBITED = ((3, 13), (1, 1))
    SOURCE_QUENCH = ((4, 0), None)
    TIME_EXCEEDED = ((11, 0), (3, 0))
    REASSEMBLY_TIME_EXCEEDED = ((11, 1), (3, 1))
    PARAMETER = ((12, 0), (4, 0))


def complain(problem: Problem, about: Datagram, *, mtu: int = 0, octets: int = 8) -> IcmpMessage:
    """Return the message that quotes a datagram, cut to `octets` after its IP header.

    `mtu` is what `TOO_BIG` says. UsageError where the family does not know the problem.
    """
    of_ipv4, of_ipv6 = problem.value
    numbers = of_ipv6 if about.family == "ipv6" else of_ipv4
    if numbers is None:
        raise UsageError(f"{problem.name} is a problem of IPv4 only")
    kind, code = numbers
    return IcmpMessage(kind, code, quoted=quote(about, octets), rest=mtu)
