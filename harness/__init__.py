"""tcpspec: checks real TCP stacks against what is written about them.

The house, from the ground up; each floor may use those below it and none above.

`segment` knows one TCP segment: numbers modulo 2^32, the value, the pattern, the one notation in
which tests, failures and reports spell it, and the codec that turns it into octets and back.

`wire` knows time and the link. A clock is the only thing that ever waits. A link gives and takes
Ethernet frames stamped by the kernel (or by a virtual clock); what it captures goes into a pcap,
and a saboteur can stand in it. The station is a host on the link that no kernel owns.

`peer` plays the far end of a connection segment by segment, with relative numbers, or only watches
two stacks. It keeps the books and the timeline, and never asks a clock but the link's.

`targets` are the stacks under test. A driver starts one kind of stack and hands out worlds: one
testcase's link and stacks, which end with it. Inside every stack an agent makes socket calls. The
walk takes a stack into any of the eleven states and confirms that it is there.

`documents` are what is written about TCP, as data: claims, what they expect of which measure, and
expectations that are computed from the knobs of the stack.

`judgement` holds an observation against every claim about its measure. Five words come out of it:
conforms, permitted, deviates, unsupported, inconclusive. The ledger knows the deviations that are
known.

`reporting` shows verdicts; `plugin` and `cli` are the two ways in. A parallel run's workers are
forked from the `nursery`, and `order` says which of them starts which testcase.

A testcase observes and never contains a stack's numbers. It imports from here and nowhere else.
"""

from harness.segment.problem import Problem
from harness.states import State
from harness.targets.walk import FAR, By

__all__ = ["FAR", "By", "Problem", "State"]
