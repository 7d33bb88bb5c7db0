"""`python -m stages.engine`: the command `phaseline` where nothing is installed."""

import sys

from stages.engine.cli import main

sys.exit(main())
