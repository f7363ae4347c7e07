"""Targets: the stacks under test, their drivers, and the way into any state."""
