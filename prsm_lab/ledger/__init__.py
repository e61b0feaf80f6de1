"""What is remembered: every question, its answer, its price; in one SQLite file.

The same tables say what was answered, what is known already, what a run still lacks, and what it all cost.
SQL lives in this room only.
"""

from prsm_lab.ledger.fingerprints import fingerprint
from prsm_lab.ledger.store import Ledger

__all__ = ["Ledger", "fingerprint"]
