"""Endpoint: an address and a port, one end of a connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a connection (a socket in the sense of RFC 9293 section 3.3.1)."""

    address: str
    port: int

    def __str__(self) -> str:
        if ":" in self.address:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"
