"""The tests of documents, and the example documents that other tests judge by."""

import functools
from pathlib import Path

from harness.documents.library import Library
from harness.targets.driver import Facts

EXAMPLES = Path(__file__).parent / "library"

DEFAULTS = {
    "syn_retries": 6.0,
    "syn_linear_timeouts": 4.0,
    "synack_retries": 5.0,
    "orphan_retries": 0.0,
    "orphan_fin_wait_2_timeout": 60.0,
    "keepalive_time": 7200.0,
    "keepalive_interval": 75.0,
    "keepalive_probes": 9.0,
    "data_retries": 15.0,
    "ephemeral_port_first": 32768.0,
    "ephemeral_port_last": 60999.0,
}
"""What the kernel's own text gives as the defaults of Linux since 6.5."""


@functools.cache
def examples() -> Library:
    """Read the example documents."""
    return Library.load(packaged=EXAMPLES)


def facts(version="6.18.44", *, name="netns", stack="linux", **effective):
    """Return the facts of a stack whose knobs stand at Linux's defaults but for some."""
    return Facts(
        name, stack, version, tick=0.004, wheel=True, defaults=DEFAULTS,
        effective=DEFAULTS | effective,
    )  # fmt: skip
