"""Remote: a stack behind an interface of this machine."""
