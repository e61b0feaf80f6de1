"""The providers' wire formats on loopback, seeded: so that the real SDKs run over real sockets without a key.

Demo, notebooks and tests stand on it. Every answer's model is called `simulated/…`.
"""

from prsm_lab.emulator.batches import Pace
from prsm_lab.emulator.faults import Rule
from prsm_lab.emulator.log import Entry, Log
from prsm_lab.emulator.models import PROFILES, Profile
from prsm_lab.emulator.server import Emulator, main, start

__all__ = ["PROFILES", "Emulator", "Entry", "Log", "Pace", "Profile", "Rule", "main", "start"]
