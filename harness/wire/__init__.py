"""Wire: clocks, links and what is captured on them."""
