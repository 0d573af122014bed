"""`python -m sumnist` is `sumnist`."""

from sumnist.cli import main

raise SystemExit(main())
