"""What the package's own continuous integration runs: `pytest` in its folder."""

from letter_blocks.highway import Highway

from pathways.modules import Families, ModuleSpec, Vector
from pathways.testing import ModuleFamilySuite


class TestHighway(ModuleFamilySuite):
    spec = ModuleSpec("highway", {"carry": -1.0})
    ports = (Vector(5),)
    families = Families([Highway])
