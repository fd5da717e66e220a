"""Stratigraph reads how a network learns, layer by layer.

The public names stand in ``__init__.pyi``, and are loaded when they are first used: importing the
package does nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
