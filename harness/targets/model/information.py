"""Information: TCP_INFO, as far as the model has what it tells."""

import struct

from harness.targets.model.connection import Connection
from harness.targets.sock_diag import STATES

_NUMBERS = {state: number for number, state in STATES.items()}
_MICROSECONDS = 1_000_000


def packed(c: Connection) -> bytes:
    """Return struct tcp_info from its beginning to `advmss`; windows are counted in segments."""
    trip, congestion = c.round_trip, c.congestion
    words = [0] * 20
    words[0] = round(trip.rto * _MICROSECONDS)
    words[2] = words[3] = words[19] = c.snd_mss
    words[15] = round((trip.smoothed or 0.0) * _MICROSECONDS)
    words[16] = round(trip.variation * _MICROSECONDS)
    words[17] = min(congestion.ssthresh // c.snd_mss, 0x7FFFFFFF)
    words[18] = congestion.cwnd // c.snd_mss
    return bytes((_NUMBERS[c.state], 0, c.retransmits, c.probes, 0, 0, 0, 0)) + struct.pack(
        "=20I", *words
    )
