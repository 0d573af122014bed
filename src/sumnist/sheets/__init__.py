"""Paper forms for handwritten numbers, whose totals check them. Printing needs the extra `sheets`, layouts do not."""
