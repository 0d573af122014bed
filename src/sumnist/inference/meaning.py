"""Understands what is written: a text of digits and signs → what it is, such as a number, a date or a fraction.

One table of patterns says it, the same in Python and in JavaScript (`web/numbers/meaning.js`). `¤` is a sign of a
currency, `?` other writing, `#` a number that is struck out, `~` a filler such as an X, and a space a wide gap.
"""

from __future__ import annotations

import re
from functools import lru_cache

NUMBER, BLANK, STRUCK, FILLER, NOT_A_NUMBER = "number", "blank", "struck out", "a filler", "not a number"
WRITING, SEVERAL, EXPRESSION = "other writing beside it", "several numbers", "an expression"
FRACTION, DATE, TIME, PERCENTAGE, TELEPHONE = "a fraction", "a date", "a time", "a percentage", "a telephone number"

AMOUNT = r"\d{1,3}([.,' ])\d{3}(?:\1\d{3})*|\d{1,3}(?:[.' ]\d{3})*,\d+|\d{1,3}(?:[,' ]\d{3})*\.\d+|\d+[.,]\d+|\d+"
"""A whole or decimal number, with or without separators of thousands."""
KINDS = (
    (r" *", BLANK),
    (r"[ ~]*~[ ~]*", FILLER),
    (r"[ #]*#[ #.,'=-]*", STRUCK),
    (r"[ ?.,':=-]*", NOT_A_NUMBER),
    (r"\D*(\?[^?]*)+", WRITING),
    (r".*\?.*", WRITING),
    (r"(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.", DATE),
    (rf"[-+=¤ ]*(?:{AMOUNT}|\d(?: \d)+)[-=.,¤/ ]*", NUMBER),
    (r"\d{1,4}([./-])\d{1,2}\1(\d{1,4})?", DATE),
    (r"\d{1,2}:\d{2}(:\d{2})?", TIME),
    (r"[-+]?[\d.,]*%", PERCENTAGE),
    (r"(\d+ )?\d+/\d+", FRACTION),
    (r"\(\d{2,5}\)[\d -]{5,}|\d{2,5}[-/]\d{3,4}(-?\d{2,4})?|\d{2,4}( \d{3,4}){2,3}|\d{2,3}(-\d{2,4}){2,3}", TELEPHONE),
    (r"[\d.,]+( [\d.,]+)+", SEVERAL),
)
"""Patterns of whole texts, and what each text is; the first pattern that fits decides. Other texts with a digit are
expressions."""
MINUS = r"[=¤ ]*-[=¤ ]*[\d.,' ]*\d[=.,¤ ]*"
"""A number below zero. With a dash behind it, too, both dashes are fillers."""


@lru_cache(1 << 14)  # the readings of a page share most texts
def meaning(text: str) -> str:
    """What a text is: `NUMBER` if it is one number alone, else one of the other kinds. Numbers that are struck out, and
    fillers, do not count beside a number."""
    bare = re.sub(r"[#~ ]*[#~][#~ ]*", " ", text).strip() or text
    return next((kind for pattern, kind in KINDS if re.fullmatch(pattern, bare)), EXPRESSION)


def is_negative(text: str) -> bool:
    """Whether a number has a minus."""
    return bool(re.fullmatch(MINUS, text))
