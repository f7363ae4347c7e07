"""Errors: whose fault something is, and what a testcase's end means."""


class Deviation(AssertionError):  # noqa: N818 - the field's word
    """The target's fault: it does not do what a binding document says."""

    __module__ = "harness"


class HarnessError(Exception):
    """Our fault, or the machine's: can never become a verdict on a target."""

    __module__ = "harness"


class UsageError(HarnessError):
    """The user's input cannot be used; the text is one line and says what to do instead."""

    __module__ = "harness"


class Unsupported(Exception):  # noqa: N818 - an outcome, not an error
    """The target, or this run's settings, lack what a testcase needs; the text is the reason."""

    __module__ = "harness"


class Inconclusive(Exception):  # noqa: N818 - an outcome, not an error
    """The harness could not measure well enough; the text is the reason."""

    __module__ = "harness"
