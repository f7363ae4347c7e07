"""Plugin: options, fixtures, markers and hooks for pytest, which no other package imports."""

pytest_plugins = (
    "harness.plugin.options",
    "harness.plugin.profile",
    "harness.plugin.baseline",
    "harness.plugin.start",
    "harness.plugin.collection",
    "harness.plugin.short",
    "harness.plugin.fixtures",
    "harness.plugin.outcome",
    "harness.plugin.again",
    "harness.plugin.ktap",
    "harness.plugin.repeat",
    "harness.plugin.sample",
    "harness.plugin.cells",
    "harness.plugin.elapsed",
)
