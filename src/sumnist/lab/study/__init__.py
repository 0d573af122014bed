"""Why this network: many designs of the same task, trained alike, and what came of it."""
