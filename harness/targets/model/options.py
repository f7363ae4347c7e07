"""Options: the socket options that the model has, by the names of the agent."""

from collections.abc import Mapping
from typing import Any

RENO = "reno"
"""The only congestion control: that of RFC 5681."""

# Socket options and their values in a new socket; None: as the stack's parameters have it.
OPTIONS: Mapping[str, Any] = {
    "SO_REUSEADDR": 0,
    "SO_KEEPALIVE": 0,
    "SO_LINGER": (0, 0),
    "SO_OOBINLINE": 0,
    "SO_RCVBUF": None,
    "SO_SNDBUF": None,
    "SO_ERROR": 0,
    "SO_TYPE": 1,
    "SO_ACCEPTCONN": 0,
    "IP_TTL": None,
    "IPV6_UNICAST_HOPS": None,
    "IP_TOS": 0,
    "IPV6_TCLASS": 0,
    "TCP_NODELAY": 0,
    "TCP_MAXSEG": 536,
    "TCP_KEEPIDLE": None,
    "TCP_KEEPINTVL": None,
    "TCP_KEEPCNT": None,
    "TCP_SYNCNT": None,
    "TCP_LINGER2": None,
    "TCP_USER_TIMEOUT": 0,
    "TCP_CONGESTION": RENO,
}
PARAMETERS = {
    "SO_RCVBUF": "receive_buffer",
    "SO_SNDBUF": "send_buffer",
    "IP_TTL": "default_ttl",
    "IPV6_UNICAST_HOPS": "default_ttl",
    "TCP_KEEPIDLE": "keepalive_time",
    "TCP_KEEPINTVL": "keepalive_interval",
    "TCP_KEEPCNT": "keepalive_probes",
    "TCP_SYNCNT": "syn_retries",
    "TCP_LINGER2": "orphan_fin_wait_2_timeout",
}
ABOVE_ZERO = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_SYNCNT")
