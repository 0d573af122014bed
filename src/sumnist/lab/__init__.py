"""What makes evidence: suites of pictures, and the study of designs. The product never imports it."""
