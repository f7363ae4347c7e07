"""Own route: the table of routes as the kernel writes it."""

import pytest

from harness.targets.own_route import is_own

ROUTES = """\
20010db8000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
{local}00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
"""
LOCAL = """\
20010db8000000000000000000000002 80 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000000 00000001 00000000 80200001     eth0
"""


@pytest.mark.parametrize(
    ("routes", "own"),
    [
        (ROUTES.format(local=LOCAL), True),
        (ROUTES.format(local=""), False),
        (ROUTES.format(local=LOCAL.replace("80200001", "00000001")), False),
        (ROUTES.format(local=LOCAL.replace(" 80 0", " 40 0")), False),
        ("", False),
    ],
)
def test_an_address_is_own_when_its_local_route_is_there(routes, own):
    """A route to the link it is on, or to the address itself without the flag, is not enough."""
    assert is_own(routes, "2001:db8::2") is own
