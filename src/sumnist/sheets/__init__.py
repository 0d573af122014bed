"""Paper forms with fields for handwritten numbers and totals: read, and checked by their sums."""
