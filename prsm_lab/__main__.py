"""`python -m prsm_lab`: the same as `prsm-lab`."""

import sys

from prsm_lab.cli import main

sys.exit(main())
