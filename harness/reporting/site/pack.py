"""Pack: data as a script, compressed: what a page that was opened from a disk may load."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any


def pack(folder: Path, name: str, value: Any) -> None:
    """Write a value under a name; the page asks for it by that name."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Halves of surrogate pairs are no characters; what they stand for cannot be shown anyway.
    octets = gzip.compress(text.encode("utf-8", "replace"), mtime=0)
    packed = base64.b64encode(octets).decode("ascii")
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'tcpspec.arrived("{name}","{packed}");\n', encoding="ascii")
