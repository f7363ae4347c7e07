"""Documents: what is written about TCP, as data.

`measures/*.toml` says what testcases observe, a table a measure: `kind` and `observes`.
`texts/*.toml` holds one document each:

    [document]
    id = "rfc9293"                 # file name; claims' ids need not contain it
    title = "RFC 9293: Transmission Control Protocol"
    url = "https://www.rfc-editor.org/rfc/rfc9293.html#section-{section}"    # the claim's section
    stacks = ["linux"]             # or "any"; a document binds only on its own stacks
    versions = ">=5.10"            # optional, of those stacks; ">=6.5,<6.12"; not without stacks
    binding = true                 # false: informative unless named with --bind (the notes)

    [[claim]]
    id = "RFC9293:MUST-13"
    section = "3.6.1"              # or lines = "28" for texts without sections
    strength = "MUST"              # MUST, MUST NOT, SHOULD, SHOULD NOT, MAY, RECOMMENDED; or
                                   # "says", for a text that describes a stack: it binds like a MUST
    topic = "TIME-WAIT"
    says = "The side that closes first stays in TIME-WAIT for twice the MSL."
    versions = ">=6.5"             # optional, narrows the document's; also stacks
    judged = [
        { measure = "time_wait_duration", expect = { at_least = 240 } },
        { measure = "syn_retry_ladder", expect = { computed = "linux_syn_ladder" } },
        { measure = "syn_retry_ladder", expect = { count = 6 }, default_of = ["syn_retries"] },
        { measure = "connect_timeout", expect = { outcome = "ETIMEDOUT", after = 127 } },
    ]

`default_of` names the knobs whose default the expectation is about: while one of them stands at
another value than the stack's own default, the claim is unsupported (tuned). Instead of `judged` a
claim has `unobservable = "why nobody can judge it from outside"`, or `open = "topic that will
judge it"`; what is judged only in part has `judged` and `open`.

What `expect` may be, by the kind of the measure:

    segment    a pattern in the notation ("R. 0:0(0) ack 1 win 0"), "nothing", or a list of them,
               any of which fits; a field that is left out is not checked
    duration   seconds: 60, { at_least = 180 }, { at_most = 0.5 }, { between = [60, 240] },
               { sum = [3, 6, 12] } (timers that run one after the other, so that each may be late),
               or { computed = "name" }
    ladder     intervals in seconds: [1, 2, 4], { ratio = 2 } (each interval that many times the one
               before), { ratio = 2, from = 2 } (the first interval left aside, then each that many
               times the one before), { ratio = 2, up_to = 60 } (as long as that is at most 60 s),
               { count = 6 } (intervals, so one less than segments), { count = { at_least = 3 } },
               { constant = 75 }, or { computed = "name" }; and `first = 1` beside these
    outcome    "ECONNREFUSED", "success", "end of file", a list of which any fits, or
               { outcome = …, after = <duration> }
    states     "ESTABLISHED", or the list of the states passed through, in order, spelt as in
               RFC 9293; { any = [[…], […]] } for alternatives; { includes = ["SYN-SENT"] },
               { excludes = ["SYN-RECEIVED"] }
    count      3, { at_least = 1 }, { at_most = 4 }, { between = [32768, 60999] }, { not = 0 },
               { computed = "name" }, or a list of which any fits
    fact       true or false
    word       "mss,sackOK", a list of which any fits, { includes = ["mss"] }, { excludes = ["TS"] }
    cells      { steps = ["SYN", "RST inside"] }: each cell of a matrix as the steps of RFC 9293
               section 3.10.7 have it (`arrival.py`); { steps = […], by = "RFC 5961" } where one
               text's way is expected of all that are allowed

A computed expectation is a small named function of the effective knobs (`computed.py`).
"""
