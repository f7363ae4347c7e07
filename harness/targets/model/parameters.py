"""Parameters: the numbers of a document with which the model runs."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.targets import knobs as knob_tables

BASE = "rfc9293"


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers of the model; what they are is said in `rfc9293.toml`. Times are seconds."""

    initial_rto: float
    rto_min: float
    rto_max: float
    syn_backoff: tuple[float, ...]
    syn_linear_timeouts: int
    syn_retries: int
    synack_retries: int
    data_retries: int
    orphan_retries: int
    user_timeout: float
    syn_time_limit: float
    keepalive_time: float
    keepalive_interval: float
    keepalive_probes: int
    keepalive_repeats_as_data: int
    time_wait: float
    time_wait_reuse: int
    rfc1337: int
    orphan_fin_wait_2_timeout: float
    delayed_ack: float
    override_timeout: float
    nagle: int
    receive_buffer: int
    send_buffer: int
    send_buffer_grows: int
    ip_options_returned: int
    mtu: int
    initial_window_segments: int
    least_send_mss: int
    timestamps: int
    sack: int
    window_scaling: int
    first_window_whole_segments: int
    ephemeral_port_first: int
    ephemeral_port_last: int
    default_ttl: int
    backlog_extra: int
    max_syn_backlog: int
    somaxconn: int
    half_open_overflow: str
    syn_attack_protection: int
    max_half_open_retried: int
    syn_cookies: int
    abort_on_overflow: int
    listen_drops_syn_fin: int
    repeat_syn_ack: int
    acknowledge_crossing_syn_ack: int
    reuse_needs_both: int
    connect_only_once: int
    soft_errors_end_open: int
    max_time_wait: int

    def tuned(self, values: Mapping[str, float]) -> "Parameters":
        """Return the parameters with other values of knobs; knobs that are none are left out."""
        known = {
            name: type(getattr(self, name))(value)
            for name, value in values.items()
            if name in Parameters.__dataclass_fields__
        }
        # Linux: 0 stands for 8.
        if known.get("orphan_retries") == 0:
            known["orphan_retries"] = 8
        return dataclasses.replace(self, **known)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model: what it says that it is, and its parameters as a document gives them.

    `sysctls` are texts by name, for a model of a stack that has them.
    """

    stack: str
    version: str
    parameters: Parameters
    knobs: tuple[str, ...]
    sysctls: Mapping[str, str] = field(default_factory=dict)

    def knob_values(self, sysctls: Mapping[str, str] | None = None) -> dict[str, float]:
        """Return the knobs and their values, by meaning."""
        texts = self.sysctls if sysctls is None else sysctls
        if texts:
            return knob_tables.load(self.stack).values(texts)
        return {name: getattr(self.parameters, name) for name in self.knobs}

    def with_sysctls(self, sysctls: Mapping[str, str]) -> Parameters:
        """Return the parameters that the sysctls make."""
        return self.parameters.tuned(self.knob_values(sysctls)) if sysctls else self.parameters


def load(name: str) -> Kind:
    """Return a kind of model by the name of its file; HarnessError for a file out of form."""
    base, tables = _tables(BASE), _tables(name)
    values = base["parameters"] | tables["parameters"]
    if unknown := sorted(set(values) ^ set(Parameters.__dataclass_fields__)):
        raise HarnessError(f"{name}.toml: {unknown[0]} is no parameter, or it is missing")
    values["syn_backoff"] = tuple(values["syn_backoff"])
    about, sysctls = tables["model"], tables.get("sysctls", {})
    knobs = tuple(about.get("knobs", base["model"]["knobs"]))
    kind = Kind(about["stack"], about["version"], Parameters(**values), knobs, sysctls)
    return dataclasses.replace(kind, parameters=kind.with_sysctls(sysctls))


def _tables(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text("utf-8"))
