"""Judgement: an observation against the claims about it, the ledger, and noise."""
