"""Examples: judgements that say only what a test is about."""

from typing import Any

from harness.judgement.verdict import Judgement, Verdict

FUNCTION = "testcases/closing/test_time_wait.py::test_time_wait_lasts"
PLAIN: dict[str, Any] = {
    "claim": "RFC9293:MUST-13",
    "document": "rfc9293",
    "measure": "time_wait_duration",
    "target": "netns",
    "verdict": Verdict.CONFORMS,
    "reason": None,
    "binding": True,
    "known": False,
    "documented": "at least 240 s",
    "observed": "60.3 s",
    "values": 60.3,
    "family": "ipv4",
    "attempt": 1,
    "noise_s": 0.001,
    "pcap": None,
}


def judgement(**fields: Any) -> Judgement:
    """Return a judgement of `FUNCTION`, its parameters following target and family."""
    values = PLAIN | fields
    if isinstance(values["verdict"], str):
        values["verdict"] = Verdict(values["verdict"])
    parameters = "-".join(word for word in (values["target"], values["family"]) if word)
    return Judgement(**{"testcase": f"{FUNCTION}[{parameters}]"} | values)


def both_families(**fields: Any) -> list[Judgement]:
    """Return the same judgement for IPv4 and IPv6."""
    return [judgement(**fields | {"family": family}) for family in ("ipv4", "ipv6")]
