"""Sysctls: how their names may be written."""

import pytest

from harness.errors import UsageError
from harness.targets.sysctls import canonical


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("net.ipv4.tcp_syn_retries", "net.ipv4.tcp_syn_retries"),
        ("net/ipv4/tcp_syn_retries", "net.ipv4.tcp_syn_retries"),
        ("net.ipv4.conf.eth0/5.rp_filter", "net.ipv4.conf.eth0/5.rp_filter"),
        ("net/ipv4/conf/eth0.5/rp_filter", "net.ipv4.conf.eth0/5.rp_filter"),
    ],
)
def test_a_name_may_have_dots_or_slashes_as_sysctl_takes_it(written, name):
    """Whichever separator comes first separates; the other belongs to a name."""
    assert canonical(written) == name


@pytest.mark.parametrize("written", ["", "..", "net..ipv4", "/etc/passwd", "net/../kernel"])
def test_what_cannot_be_a_name_is_refused(written):
    """Nothing that a user writes leads out of /proc/sys."""
    with pytest.raises(UsageError, match="does not name a sysctl"):
        canonical(written)
