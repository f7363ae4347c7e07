"""Model: TCP as documents have it, executable, in process and in virtual time.

It is no real stack: what it does is what RFC 9293 section 3.10 says, with numbers that a document
gives. `arrives` and `synchronized` are SEGMENT ARRIVES in the RFC's order, `calls` are the user's
calls, `timeouts` the timeouts, `output` forms what is sent. A `Connection` is the TCB, the `Stack`
holds all of them, and `sockets` is the agent on top.
"""
