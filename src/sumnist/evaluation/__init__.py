"""Turn the answers of a network into figures with intervals, plots and text. Nothing here trains, and only plots are
written."""
