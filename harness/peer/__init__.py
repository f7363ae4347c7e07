"""Peer: the far end of the link, played segment by segment."""
