"""The conditions that a run was begun under, and whether they still hold when it goes on.

A run that goes on under another torch, on another device or with other data would be neither the
old run nor a new one. It is refused; or, if that is allowed, marked in the run's ``config.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stratigraph.errors import ConfigError
from stratigraph.plugins import plugin_digest
from stratigraph.records import checkpoint_step, read_json, snapshot_steps, write_json
from stratigraph.study import CONFIG
from stratigraph.training import RunConfig
from stratigraph.version import __version__

__all__ = ["CONFIG", "check_conditions", "check_repairable", "keep_conditions", "last_kept"]


def _conditions(config: RunConfig, device: str) -> dict[str, Any]:
    return {
        "data": config.dataset().fingerprint,
        "device": torch.device(device).type,
        "torch": torch.__version__,
        # A user's own code is part of what a run was made by, and is not in its name.
        **{f"the code of {name}": plugin_digest(name)[:12] for name in config.plugins()},
    }


def _read_conditions(directory: Path, config: RunConfig) -> dict[str, Any]:
    """What ``config.json`` holds; empty if there is none."""
    path = directory / CONFIG
    if not path.is_file():
        return {}
    kept = read_json(path)
    if kept["run_id"] != config.run_id:
        raise ConfigError(
            f"{directory}: holds run {kept['run_id']}, not {config.run_id}; choose another folder."
        )
    return kept


def last_kept(directory: Path) -> int | None:
    """The last step of which anything is kept, if there is one."""
    found = [step for step in (checkpoint_step(directory), *snapshot_steps(directory))
             if step is not None]  # fmt: skip
    return max(found, default=None)


def check_conditions(directory: Path, config: RunConfig, device: str) -> None:
    """Refuse to go on with a run under other conditions than it was begun under.

    Raises:
        ConfigError: they are others, or the folder holds another run.
        IntegrityError: what says so is damaged.

    """
    kept = _read_conditions(directory, config)
    if not kept or last_kept(directory) is None:
        return
    last = kept["drift"][-1]["conditions"] if kept.get("drift") else kept["conditions"]
    now = _conditions(config, device)
    changed = [f"{key} was {last.get(key)} and is {now[key]}" for key in now
               if last.get(key) != now[key]]  # fmt: skip
    if changed:
        raise ConfigError(
            f"{directory}: this run was begun under other conditions: {'; '.join(changed)}. "
            "Restore them, continue with --allow-drift, which marks the run, or use another --out."
        )


def check_repairable(directory: Path, config: RunConfig, device: str) -> None:
    """Refuse to train a run anew that would not come out with the same bits.

    Raises:
        ConfigError: its conditions were others, changed on the way, or are not known.

    """
    check_conditions(directory, config, device)
    if _read_conditions(directory, config).get("drift"):
        raise ConfigError(
            f"{directory}: this run continued under changed conditions (--allow-drift), so it "
            "cannot be made again as it was; train it again under another --out."
        )


def keep_conditions(
    directory: Path, config: RunConfig, device: str, *, allow: bool, over: bool
) -> None:
    """Write down what a run is trained under; where it goes on, see `check_conditions`."""
    kept = _read_conditions(directory, config)
    if kept and over:
        return
    try:
        check_conditions(directory, config, device)
    except ConfigError:
        if not allow:
            raise
        mark = {"step": last_kept(directory), "conditions": _conditions(config, device)}
        write_json(directory / CONFIG, {**kept, "drift": [*kept.get("drift", []), mark]})
        return
    if not kept or last_kept(directory) is None:
        about = {"run_id": config.run_id, "config": config.to_dict(), "stratigraph": __version__}
        now = _conditions(config, device)
        if last_kept(directory) is not None:  # the file was lost; nobody knows what it said
            now = dict.fromkeys(now, "unknown")
        write_json(directory / CONFIG, {**about, "conditions": now})
