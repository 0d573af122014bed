"""Runs the command line: `python -m sumnist` does the same as `sumnist`."""

from sumnist.cli import main

raise SystemExit(main())
