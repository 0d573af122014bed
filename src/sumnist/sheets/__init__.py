"""Paper forms for handwritten numbers, whose totals check them. Printing needs the extra `sheets`; a layout and its page
do not."""
