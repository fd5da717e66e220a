"""What a run keeps: snapshots to analyse, a checkpoint to go on from, both in hashed records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
