"""`python -m sapwood`: the same as the `sapwood` script."""

from sapwood.cli import main

raise SystemExit(main())
