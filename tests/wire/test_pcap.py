import io
import struct

import pytest

from harness.errors import HarnessError
from harness.wire.link import Frame
from harness.wire.pcap import PcapWriter, Recorded, read_pcap
from tests.wire.hosts import pair


def test_a_capture_is_read_back_to_the_nanosecond():
    """Stamps in the clock's time base become nanoseconds since 1970."""
    file = io.BytesIO()
    writer = PcapWriter(file, 1_700_000_000.5)
    writer.write(0.000000001, b"first")
    writer.write(1234.567890123, b"")
    file.seek(0)
    assert list(read_pcap(file)) == [
        (1_700_000_000_500_000_001, b"first"),
        (1_700_001_235_067_890_123, b""),
    ]


def test_the_header_is_that_of_nanosecond_ethernet_captures():
    """Magic number, version 2.4 and link type are what every reader knows."""
    file = io.BytesIO()
    PcapWriter(file).write(2.5, b"abc")
    assert struct.unpack("<IHHiIII", file.getvalue()[:24]) == (
        0xA1B23C4D, 2, 4, 0, 0, 262144, 1,
    )  # fmt: skip
    assert file.getvalue()[24:] == struct.pack("<IIII", 2, 500_000_000, 3, 3) + b"abc"


@pytest.mark.parametrize("cut", [0, 4, 23, 25, 39, 42])
def test_what_is_no_capture_is_our_fault(cut):
    """A file that is cut, or another format, is not read as if it were a capture."""
    file = io.BytesIO()
    PcapWriter(file).write(2.5, b"abc")
    with pytest.raises(HarnessError):
        list(read_pcap(io.BytesIO(file.getvalue()[:cut])))


def test_every_polled_frame_is_recorded():
    """A recorded link passes everything on and writes it down."""
    clock, near, far = pair(delay=0.5)
    file = io.BytesIO()
    recorded = Recorded(near, PcapWriter(file, 10.0))
    recorded.send(b"out")
    far.send(b"in")
    clock.wait(1.0)
    assert recorded.poll() == Frame(0.0, True, b"out")
    assert recorded.poll() == Frame(0.5, False, b"in")
    assert recorded.poll() is None
    assert (recorded.clock, recorded.lost) == (clock, 0)
    file.seek(0)
    assert list(read_pcap(file)) == [(10_000_000_000, b"out"), (10_500_000_000, b"in")]


def test_closing_writes_what_nobody_has_polled(tmp_path):
    """The capture is complete when the link is closed, and the link is closed with it."""
    clock, near, far = pair(delay=0.5)
    path = tmp_path / "capture.pcap"
    recorded = Recorded(near, PcapWriter(path.open("wb")))
    far.send(b"in")
    clock.wait(1.0)
    recorded.close()
    recorded.close()
    assert recorded.poll() is None
    with path.open("rb") as file:
        assert list(read_pcap(file)) == [(500_000_000, b"in")]
    near.send(b"closed")
    assert near.poll() is None
