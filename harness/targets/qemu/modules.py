"""Modules: those of a kernel that the guest needs, with all that they depend on, in order."""

import gzip
import lzma
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

_SUFFIXES = (".ko", ".ko.xz", ".ko.gz")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")

# What the guest's side of the link is made of, and what looks at its sockets.
LINK = ("tun", "tcp_diag", "inet_diag")

# For iptables, in both of its kinds, and the targets and matches of TCP's firewalls.
FIREWALL = (
    "nf_tables",
    "nft_compat",
    "nf_reject_ipv4",
    "nf_reject_ipv6",
    "nft_reject_inet",
    "nft_ct",
    "nft_counter",
    "ip_tables",
    "iptable_filter",
    "iptable_raw",
    "iptable_mangle",
    "ip6_tables",
    "ip6table_filter",
    "ip6table_raw",
    "ip6table_mangle",
    "ipt_REJECT",
    "ip6t_REJECT",
    "ipt_SYNPROXY",
    "ip6t_SYNPROXY",
    "nf_conntrack",
    "xt_CT",
    "xt_TCPMSS",
    "xt_comment",
    "xt_conntrack",
    "xt_ecn",
    "xt_length",
    "xt_limit",
    "xt_mark",
    "xt_multiport",
    "xt_state",
    "xt_statistic",
    "xt_string",
    "xt_tcpmss",
    "xt_tcpudp",
    "xt_u32",
)

CONGESTION = ("tcp_bbr", "tcp_dctcp", "tcp_vegas", "tcp_westwood")


@dataclass(frozen=True, slots=True)
class Module:
    """A module's name and its octets, not compressed."""

    name: str
    octets: bytes


def needed(folder: Path | None, wanted: Iterable[str]) -> list[Module]:
    """Return the wanted modules that there are below a folder, each after those it depends on.

    One that is not there is left out: it is built into the kernel, or the kernel lacks it.
    UsageError for one that cannot be read.
    """
    files = {} if folder is None else _index(folder)
    found: dict[str, Module] = {}
    for name in wanted:
        _add(name, files, found)
    return list(found.values())


def _index(folder: Path) -> Mapping[str, Path]:
    return {
        _name(path.name.partition(".")[0]): path
        for path in sorted(folder.rglob("*.ko*"))
        if path.name.endswith(_SUFFIXES)
    }


def _add(name: str, files: Mapping[str, Path], found: dict[str, Module]) -> None:
    if name in found or name not in files:
        return
    octets = _read(files[name])
    for other in depends(octets):
        _add(other, files, found)
    found[name] = Module(name, octets)


def _read(path: Path) -> bytes:
    octets = path.read_bytes()
    try:
        if path.suffix == ".xz":
            return lzma.decompress(octets)
        if path.suffix == ".gz":
            return gzip.decompress(octets)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UsageError(f"the module {path} cannot be read: {error}") from None
    return octets


def depends(octets: bytes) -> list[str]:
    """Return the names of the modules that a module says in its `.modinfo` to depend on."""
    for field in _section(octets, b".modinfo").split(b"\0"):
        if field.startswith(b"depends="):
            names = field.removeprefix(b"depends=").decode().split(",")
            return [_name(name) for name in names if name]
    return []


def _section(octets: bytes, name: bytes) -> bytes:
    """Return a section of a 64-bit little-endian ELF file, empty if it has none."""
    if octets[:6] != b"\x7fELF\x02\x01":
        return b""
    offset = int.from_bytes(octets[40:48], "little")
    size, count, names_at = struct.unpack_from("<HHH", octets, 58)
    headers = [_SECTION_HEADER.unpack_from(octets, offset + at * size) for at in range(count)]
    names = octets[headers[names_at][4] :]
    for header in headers:
        if names[header[0] :].partition(b"\0")[0] == name:
            return octets[header[4] : header[4] + header[5]]
    return b""


def _name(text: str) -> str:
    return text.replace("-", "_")
