"""Segments: sequence arithmetic, segments as values, patterns, the notation, and the codec."""
