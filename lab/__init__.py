"""The measuring code: suites of test pictures, and the study of designs. The product never imports it."""
