"""What Schemathesis sends as a picture: a whole one, a cut one, none, and any bytes. Named by schemathesis.toml."""

from __future__ import annotations

import base64
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

FIVE = (Path(__file__).resolve().parent.parent / "examples/five.png").read_bytes()
PICTURES = st.one_of(st.just(FIVE), st.just(FIVE[:90]), st.just(b""), st.binary(max_size=200))

schemathesis.openapi.format("binary", PICTURES)
schemathesis.openapi.format("byte", PICTURES.map(lambda content: base64.b64encode(content).decode()))
