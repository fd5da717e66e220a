"""The question: a grid of runs and how to compare them; and the study's folder, read."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
