"""Commands: what `tcpspec` can do besides test runs, a module each.

A module has `add(commands)`, which declares its parser and what runs it; `harness.cli` lists them.
What a command returns is the exit status.
"""
