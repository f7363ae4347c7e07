import pytest

from harness.errors import UsageError
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.notation import parse_segment
from harness.segment.problem import Problem, complain

SYN = parse_segment("S 4000:4000(0) <mss 1460>")
OF_IPV4 = Datagram("198.51.100.2", "198.51.100.1", SYN)
OF_IPV6 = Datagram("2001:db8::2", "2001:db8::1", SYN)


@pytest.mark.parametrize(
    ("problem", "of_ipv4", "of_ipv6"),
    [
        (Problem.HOST_UNREACHABLE, (3, 1), (1, 3)),
        (Problem.PORT_UNREACHABLE, (3, 3), (1, 4)),
        (Problem.TIME_EXCEEDED, (11, 0), (3, 0)),
    ],
)
def test_a_problem_has_its_type_and_code_in_either_family(problem, of_ipv4, of_ipv6):
    """RFC 792 and RFC 4443 number the same problems differently."""
    for about, numbers in ((OF_IPV4, of_ipv4), (OF_IPV6, of_ipv6)):
        message = complain(problem, about)
        assert (message.type, message.code) == numbers


def test_an_error_quotes_header_and_eight_octets_unless_told_otherwise():
    """The first eight octets are ports and sequence number."""
    for about, header in ((OF_IPV4, 20), (OF_IPV6, 40)):
        message = complain(Problem.PORT_UNREACHABLE, about)
        assert len(message.quoted) == header + 8
        assert message.quoted[header + 4 :] == (4000).to_bytes(4)
        longer = complain(Problem.PORT_UNREACHABLE, about, octets=20)
        assert longer.quoted == codec.quote(about, 20)


def test_too_big_tells_the_mtu():
    """The MTU stands in the second word of the header."""
    assert complain(Problem.TOO_BIG, OF_IPV4, mtu=1300).rest == 1300
    assert complain(Problem.TOO_BIG, OF_IPV6, mtu=1300).rest == 1300


def test_what_only_ipv4_knows_cannot_be_said_in_ipv6():
    """ICMPv6 has neither Source Quench nor a failed source route."""
    with pytest.raises(UsageError, match="SOURCE_QUENCH is a problem of IPv4 only"):
        complain(Problem.SOURCE_QUENCH, OF_IPV6)
