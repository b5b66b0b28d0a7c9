"""Where the lab keeps things. Nothing lies in the checkout but sources."""

from __future__ import annotations

import os
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent
CHECKOUT = SOURCES.parent


def state_root() -> Path:
    """Labs that exist: records, keys, disks of machines."""
    return Path(os.environ.get("KUBESTRAP_LAB_STATE") or "/var/lib/kubestrap-lab")


def cache_root() -> Path:
    """What is slow to make and the same for every lab: components, root file system, images."""
    return Path(os.environ.get("KUBESTRAP_LAB_CACHE") or "/var/cache/kubestrap-lab")


def cache(*parts: str) -> Path:
    folder = cache_root().joinpath(*parts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
