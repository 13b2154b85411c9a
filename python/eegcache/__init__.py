"""eegcache: a versioned, verified preprocessing cache for EEG datasets.

The check before training, the windows, and everything that can be asked of a cache:

    import eegcache

    eegcache.preflight("configs/train.yaml")          # or the exception of the gate that is shut
    cache = eegcache.Cache.open("configs/train.yaml")
    windows = cache.windows("train")
    windows[0]                                        # channels × samples, mapped from the file

`eegcache.torch` has the dataset and the samplers for PyTorch.
"""

from ._cache import Cache
from ._native import __version__
from ._progress import Progress
from ._report import Report
from ._verbs import adopt, build, explain, export, preflight, resolve, status, verify
from ._windows import FULL, NONE, PARTIAL, UNLABELLED, Windows
from .errors import (
    BusyError,
    ConfigError,
    DamagedError,
    Error,
    GateError,
    Interrupted,
    IoError,
    NoSpaceError,
    NotReadyError,
)

__all__ = [
    "FULL",
    "NONE",
    "PARTIAL",
    "UNLABELLED",
    "BusyError",
    "Cache",
    "ConfigError",
    "DamagedError",
    "Error",
    "GateError",
    "Interrupted",
    "IoError",
    "NoSpaceError",
    "NotReadyError",
    "Progress",
    "Report",
    "Windows",
    "__version__",
    "adopt",
    "build",
    "explain",
    "export",
    "preflight",
    "resolve",
    "status",
    "verify",
]
