"""The tests of the peer: a peer and a far end that does what a test tells it, on a memory link."""
