"""Network: links between namespaces, made over netlink.

The only door to pyroute2. Its sockets belong to the namespace in which they were made: each is
made, used and closed by one thread that stands in the right one, and never outside of ours.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, genlmsg
from pyroute2.netlink.generic import GenericNetlinkSocket

from harness.targets import offload
from harness.targets.namespace import Namespace, write_sysctls
from harness.targets.own_route import await_own

MTU = 1500
PEER_MAC = "02:00:00:00:00:01"
TARGET_MAC = "02:00:00:00:00:02"
PEER_ADDRESSES: Mapping[str, str] = {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"}
TARGET_ADDRESSES: Mapping[str, str] = {"ipv4": "198.51.100.2", "ipv6": "2001:db8::2"}

LINK = "link"
CLIENT_PORT = "client"
SERVER_PORT = "server"
BRIDGE = "bridge"
INTERFACE = "eth0"

_IFF_UP = 0x1
_IFF_NOARP = 0x80
_IFA_F_NODAD = 0x02
_NUD_PERMANENT = 0x80

# The kernel notices a carrier at once where an interface and its other end differ in their number,
# and else up to a second later. A namespace counts its interfaces up from 1, also when they come
# and go.
_FIRST_INDEX = 1 << 20

_TCP_METRICS_DELETE = 2

# Nothing of the kernel's speaks on the bench: there is no address, and no IPv6 at all.
_BENCH_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}

# Some of these a namespace inherits from the host; a testcase must not depend on the host.
STACK_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.forwarding": "0",
    "net.ipv4.conf.default.forwarding": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.dad_transmits": "0",
    "net.ipv6.conf.default.router_solicitations": "0",
    "net.ipv6.conf.default.autoconf": "0",
    # No link-local address: the kernel has nothing to announce by itself.
    "net.ipv6.conf.default.addr_gen_mode": "1",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stack is on its link."""

    mac: str
    addresses: Mapping[str, str] = field(default_factory=dict)


PEER = Address(PEER_MAC, PEER_ADDRESSES)
TARGET = Address(TARGET_MAC, TARGET_ADDRESSES)


def families() -> tuple[str, ...]:
    """Return the families that this kernel has: it may have been started without IPv6."""
    return tuple(TARGET_ADDRESSES) if Path("/proc/sys/net/ipv6").exists() else ("ipv4",)


def connect_peer(bench: Namespace, target: Namespace) -> None:
    """Join bench and target with a veth pair; the bench's end, `LINK`, is up and has no address."""
    target.write(_there(STACK_SYSCTLS))
    with bench.entered():
        write_sysctls(_there(_BENCH_SYSCTLS))
        with _routes() as routes:
            _add_pair(
                routes, LINK, target, index=_FIRST_INDEX, address=PEER_MAC, far_mac=TARGET_MAC
            )
            _raise_end(routes, LINK, flags=_IFF_NOARP)


def connect_pair(bench: Namespace, client: Namespace, server: Namespace) -> None:
    """Join two stacks by a bridge in the bench; its ports are `CLIENT_PORT` and `SERVER_PORT`."""
    client.write(_there(STACK_SYSCTLS))
    server.write(_there(STACK_SYSCTLS))
    with bench.entered():
        write_sysctls(_there(_BENCH_SYSCTLS))
        with _routes() as routes:
            bridge = _add_bridge(routes)
            for index, (port, far, mac) in enumerate(
                ((CLIENT_PORT, client, PEER_MAC), (SERVER_PORT, server, TARGET_MAC)), _FIRST_INDEX
            ):
                _add_pair(routes, port, far, index=index, far_mac=mac)
                _raise_end(routes, port, master=bridge)


def configure_stack(
    namespace: Namespace,
    where: Address,
    *,
    gateway: Mapping[str, str] | None = None,
    neighbours: Iterable[Address] = (),
) -> None:
    """Give a stack its addresses on `INTERFACE`, bring it up, and route everything through it.

    `gateway` is for stacks that know no route without one. Of `neighbours` it knows the MACs: a
    kernel joins the groups at which IPv6 asks for them a little later, and on a busy machine too
    late for a first segment.
    """
    through = gateway or {}
    with namespace.entered():
        offload.switch_off(INTERFACE)
        with _routes() as routes:
            loopback = socket.if_nametoindex("lo")
            index = socket.if_nametoindex(INTERFACE)
            routes.link("set", index=loopback, state="up")
            routes.link("set", index=index, state="up")
            routes.addr("add", index=index, address=where.addresses["ipv4"], prefixlen=24)
            way = {"gateway": through["ipv4"]} if "ipv4" in through else {"scope": "link"}
            routes.route("add", family=socket.AF_INET, dst="0.0.0.0/0", oif=index, **way)
            if "ipv6" in families():
                address = where.addresses["ipv6"]
                routes.addr("add", index=index, address=address, prefixlen=64, flags=_IFA_F_NODAD)
                way = {"gateway": through["ipv6"]} if "ipv6" in through else {}
                routes.route("add", family=socket.AF_INET6, dst="::/0", oif=index, **way)
            for one in neighbours:
                for family in families():
                    routes.neigh(
                        "replace",
                        dst=one.addresses[family],
                        lladdr=one.mac,
                        ifindex=index,
                        state=_NUD_PERMANENT,
                    )
        if "ipv6" in families():
            await_own(where.addresses["ipv6"])


def disconnect(bench: Namespace) -> None:
    """Take the links away, at once: with the bench they would go a little later."""
    with bench.entered(), _routes() as routes:
        for index, name in socket.if_nameindex():
            if name in {LINK, CLIENT_PORT, SERVER_PORT}:
                routes.link("del", index=index)


def set_queue(interface: str, length: int) -> None:
    """Let an interface of the calling thread's namespace hold so many frames that nobody takes.

    The older way, an ioctl, is forbidden to an ordinary user also in a namespace of his own.
    """
    with _routes() as routes:
        routes.link("set", index=socket.if_nametoindex(interface), txqlen=length)


def meet(bench: Namespace, ports: Sequence[str]) -> None:
    """Join interfaces of the bench by a bridge, until they `part`."""
    with bench.entered(), _routes() as routes:
        _add_bridge(routes)
        for port in ports:
            _raise_end(routes, port, master=socket.if_nametoindex(BRIDGE))


def part(bench: Namespace) -> None:
    """Take the bridge of the bench away; its ports stay."""
    with bench.entered(), _routes() as routes:
        routes.link("del", index=socket.if_nametoindex(BRIDGE))


def forget_metrics() -> None:
    """Delete what the calling thread's namespace remembers of peers, Fast Open's cookies too.

    OSError if the kernel refuses.
    """
    asked = genlmsg()
    asked["cmd"] = _TCP_METRICS_DELETE
    asked["version"] = 1
    metrics = GenericNetlinkSocket()
    try:
        metrics.bind("tcp_metrics", genlmsg)
        metrics.nlm_request(asked, msg_type=metrics.prid, msg_flags=NLM_F_REQUEST | NLM_F_ACK)
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error
    finally:
        metrics.close()


@contextmanager
def _routes() -> Iterator[Any]:
    routes = IPRoute()
    try:
        yield routes
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error
    finally:
        routes.close()


def _there(values: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out the sysctls of a family that this kernel does not have."""
    if "ipv6" in families():
        return values
    return {name: value for name, value in values.items() if not name.startswith("net.ipv6.")}


def _add_bridge(routes: Any) -> int:
    routes.link("add", ifname=BRIDGE, kind="bridge", br_stp_state=0, br_mcast_snooping=0, mtu=MTU)
    index = socket.if_nametoindex(BRIDGE)
    routes.link("set", index=index, state="up")
    return index


def _add_pair(routes: Any, near: str, far: Namespace, *, far_mac: str, **own: Any) -> None:
    peer = {"ifname": INTERFACE, "address": far_mac, "mtu": MTU, "net_ns_fd": far.descriptor}
    routes.link("add", ifname=near, kind="veth", mtu=MTU, peer=peer, **own)


def _raise_end(routes: Any, interface: str, **settings: Any) -> None:
    offload.switch_off(interface)
    flags = _IFF_UP | settings.pop("flags", 0)
    routes.link(
        "set", index=socket.if_nametoindex(interface), flags=flags, change=flags, **settings
    )
