"""Importing the package: quick, quiet, and every public name is there."""

import json

import pytest

import graphfuse as gf

IMPORT = """
import json, os, sys
before = dict(os.environ)
import graphfuse
heavy = {"torch", "torch_geometric", "transformers", "torchvision", "numpy", "pandas", "scipy", "networkx",
         "accelerate", "huggingface_hub", "matplotlib", "rich"}
print(json.dumps([sorted(heavy & set(sys.modules)), os.environ == before, sorted(dir(graphfuse))]))
"""
EVERYTHING = """
import os, random, sys
before, state = dict(os.environ), random.getstate()
import graphfuse as gf
values = {name: getattr(gf, name) for name in gf.__all__}
import graphfuse.model, graphfuse.training
assert dict(os.environ) == before, {k: v for k, v in os.environ.items() if before.get(k) != v}
assert random.getstate() == state
import torch
assert torch.initial_seed() == torch.default_generator.initial_seed()
assert torch.get_default_dtype() == torch.float32 and not torch.are_deterministic_algorithms_enabled()
print("torch_geometric" in sys.modules)
"""


def test_importing_loads_nothing_heavy_and_sets_nothing(run_python):
    done = run_python(IMPORT)
    assert done.returncode == 0, done.stderr
    heavy, unchanged, names = json.loads(done.stdout)
    assert heavy == []
    assert unchanged
    assert set(gf.__all__) <= set(names)
    assert "__version__" in names


def test_using_every_name_sets_no_environment_variable_and_needs_no_torch_geometric(run_python):
    done = run_python(EVERYTHING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


def test_every_public_name_is_there():
    for name in gf.__all__:
        assert getattr(gf, name) is not None
    assert len(set(gf.__all__)) == len(gf.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'graphfuse' has no attribute 'Smaple'$"):
        _ = gf.Smaple


def test_the_names_of_the_contract_are_public():
    names = {
        "Sample", "Schema", "Batch", "FusionGraph", "collate", "lay", "AllPairs", "Nearest", "Window", "Overlap",
        "Linked", "Hub", "FUSIONS", "EDGES", "HEADS", "ENCODERS", "FusionModel", "Output", "fit", "evaluate", "compare",
        "Comparison", "Answer", "KnowledgeGraph", "heads",
    }  # fmt: skip
    assert names <= set(gf.__all__)
