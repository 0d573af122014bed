"""Answers → figures with intervals, plots and text; nothing here trains, and nothing but plots is written."""
