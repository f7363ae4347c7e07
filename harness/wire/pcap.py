"""Pcap: captures as files, with stamps in nanoseconds.

The format is that of https://www.tcpdump.org/manpages/pcap-savefile.5.html.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from harness.errors import HarnessError
from harness.segment.forgery import Network
from harness.wire.clock import Clock
from harness.wire.link import Frame, Link
from harness.wire.volley import Volley, load

_MAGIC = 0xA1B2_3C4D
_ETHERNET = 1
_LARGEST_FRAME = 0x4_0000
_FILE_HEADER = struct.Struct("<IHHiIII")
_FRAME_HEADER = struct.Struct("<IIII")
_NANOSECONDS = 1_000_000_000


class PcapWriter:
    """A capture that is being written. The file is the caller's until `close` closes it.

    `offset` is what is added to a stamp of the link's clock to get seconds since 1970.
    """

    def __init__(self, file: BinaryIO, offset: float = 0.0) -> None:
        self._file = file
        self._offset = round(offset * _NANOSECONDS)
        header = _FILE_HEADER.pack(_MAGIC, 2, 4, 0, 0, _LARGEST_FRAME, _ETHERNET)
        file.write(header)

    def write(self, stamp: float, octets: bytes) -> None:
        """Add one Ethernet frame; the stamp is seconds in the time base of the link's clock."""
        # Added as whole numbers: a float that counts from 1970 is exact to 0.2 µs only.
        stamp_ns = round(stamp * _NANOSECONDS) + self._offset
        seconds, nanoseconds = divmod(stamp_ns, _NANOSECONDS)
        header = _FRAME_HEADER.pack(seconds, nanoseconds, len(octets), len(octets))
        self._file.write(header + octets)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


class Recorded:
    """A link whose every frame is written to a capture when it is polled, or when it is closed."""

    def __init__(self, link: Link, writer: PcapWriter) -> None:
        self._link = link
        self._writer = writer
        self._open = True

    @property
    def clock(self) -> Clock:
        """The clock of the link."""
        return self._link.clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far."""
        return self._link.lost

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire."""
        self._link.send(octets)

    def load(self, frames: Sequence[bytes], aside: Sequence[Network]) -> Volley:
        """Make ready to send these frames very fast."""
        return load(self._link, frames, aside)

    def poll(self) -> Frame | None:
        """Return the next captured frame and write it down."""
        frame = self._link.poll()
        if frame is not None and self._open:
            self._writer.write(frame.stamp, frame.octets)
        return frame

    def close(self) -> None:
        """Write what nobody has polled, then close link and file; a second call does nothing."""
        if not self._open:
            return
        while self.poll() is not None:
            pass
        self._open = False
        self._writer.close()
        self._link.close()


def read_pcap(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield stamp, in nanoseconds since 1970, and octets of every frame that a PcapWriter wrote.

    HarnessError for a file of another format, or one that ends within a frame.
    """
    header = file.read(_FILE_HEADER.size)
    if len(header) < _FILE_HEADER.size or _FILE_HEADER.unpack(header)[0] != _MAGIC:
        raise HarnessError("not a capture with nanosecond stamps of this byte order")
    while head := file.read(_FRAME_HEADER.size):
        if len(head) < _FRAME_HEADER.size:
            raise HarnessError("the capture ends within a frame's header")
        seconds, nanoseconds, captured, _ = _FRAME_HEADER.unpack(head)
        octets = file.read(captured)
        if len(octets) < captured:
            raise HarnessError("the capture ends within a frame")
        yield seconds * _NANOSECONDS + nanoseconds, octets
