"""What a matrix says about its scores, as mappings: ``found.sg.reasons``, an xarray accessor.

Files of arrays hold numbers and text, so a matrix has these attributes as JSON: what is written by
``to_netcdf`` is read again, here and by others.
"""

from __future__ import annotations

import json
from typing import Any

import xarray as xr

__all__ = ["Notes"]

PLACE = ("run", "step", "layer")  # what names a representation of a study


@xr.register_dataset_accessor("sg")  # type: ignore[no-untyped-call]
@xr.register_dataarray_accessor("sg")  # type: ignore[no-untyped-call]
class Notes:
    """Those attributes of scores that are mappings.

    Args:
        found: scores with their attributes.

    """

    def __init__(self, found: Any) -> None:
        self._found = found

    @property
    def reasons(self) -> dict[Any, str]:
        """Name → why its scores are NaN; for a study's matrix (run, step, layer) → why."""
        found = self._found
        if "reasons" in found.attrs:
            return dict(json.loads(found.attrs["reasons"]))
        reasons: dict[Any, str] = {}
        for axis in ("x", "y"):
            if f"reason_{axis}" in found.coords:
                columns = [found[f"{name}_{axis}"].values.tolist() for name in PLACE]
                told = found[f"reason_{axis}"].values.tolist()
                reasons |= {
                    tuple(row[:-1]): row[-1] for row in zip(*columns, told, strict=True) if row[-1]
                }
        return reasons

    @property
    def notes(self) -> dict[str, str]:
        """Name → what to keep in mind."""
        return dict(json.loads(self._found.attrs.get("notes", "{}")))

    @property
    def left_out(self) -> dict[str, str]:
        """Layer → why it was not read, for two networks."""
        return dict(json.loads(self._found.attrs.get("left_out", "{}")))
