"""Slirp: the BSD-derived TCP of libslirp, in virtual time."""
