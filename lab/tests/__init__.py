"""The laboratory's own tests: nightly, by `make test-long`, but for those of the pages."""
