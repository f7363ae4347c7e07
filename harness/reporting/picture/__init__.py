"""Picture: what a run shows, laid out as scenes, and scenes drawn."""
