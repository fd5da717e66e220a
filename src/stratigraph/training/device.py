"""The device that a network is trained or read on, if this machine has it."""

from __future__ import annotations

import torch

from stratigraph.errors import ConfigError

__all__ = ["check_device"]


def check_device(device: str) -> torch.device:
    """The device, if this machine has it.

    Raises:
        ConfigError: it does not; the message lists those that it has.

    """
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            found.append("mps")
        raise ConfigError(
            f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); "
            f"this machine has {', '.join(found)}."
        ) from None
    return wanted
