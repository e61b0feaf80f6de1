"""`python -m prsm_lab.emulator`."""

import sys

from prsm_lab.emulator.server import main

sys.exit(main())
