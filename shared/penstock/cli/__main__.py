"""`python -m penstock.cli`: the same as `penstock`."""

import sys

from penstock.cli.main import main

sys.exit(main())
