"""Site: runs as static pages that open from a disk, and ask nothing of any network."""
