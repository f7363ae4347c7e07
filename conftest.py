"""Everything that pytest needs is in the plugin."""

pytest_plugins = ["harness.plugin"]
