"""A room imports only from floors below it (``docs/architecture.md``); outside packages have one door each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "graphfuse"
FLOORS = {
    "core": 0,
    "encoders": 1, "edges": 1, "fusion": 1, "rules": 1, "heads": 1, "kg": 1,
    "model": 2,
    "training": 3, "explain": 3, "tables": 3, "testing": 3,
    "qa": 4, "report": 4,
    "demo": 5, "study": 5,
    "cli": 6,
}  # fmt: skip
DOORS = {
    "torch_geometric": {"core/hetero.py", "fusion/pyg.py"},
    "transformers": {"encoders/text.py", "encoders/audio.py", "encoders/hub.py", "heads/generate.py"},
    "torchvision": {"encoders/image.py", "encoders/video.py", "encoders/backbone.py", "encoders/pixels.py",
                    "encoders/efficientnet_lite.py", "heads/detect.py"},
    "networkx": {"core/networks.py", "kg/", "rules/language.py"},
}  # fmt: skip
FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def imported(file: str) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, whether for the type checker only) of each import in a file, those in functions included."""
    tree = ast.parse((PACKAGE / file).read_text("utf-8"))
    typed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typed |= {id(inner) for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in typed
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ["graphfuse", *Path(file).parts[:-1]]
                base = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", id(node) in typed


def room_of(file: str) -> str:
    return Path(file).parts[0].removesuffix(".py")


def test_every_room_has_a_floor():
    rooms = {room_of(file) for file in FILES} - {"__init__", "__main__"}
    assert rooms <= set(FLOORS), "add it to FLOORS here and to docs/architecture.md"


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) not in ("__init__", "__main__")])
def test_a_room_imports_only_from_floors_below_it(file):
    here = room_of(file)
    wrong = []
    for line, name, _ in imported(file):
        parts = name.split(".")
        if parts[0] == "graphfuse" and len(parts) > 1 and parts[1] in FLOORS:
            there = parts[1]
            if there != here and FLOORS[there] >= FLOORS[here]:
                wrong.append(
                    f"graphfuse/{file}:{line}: {here} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})"
                )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", DOORS)
def test_an_outside_package_is_imported_at_its_door_only(package):
    outside = [file for file in FILES if not file.startswith(tuple(DOORS[package]))]
    wrong = [
        f"graphfuse/{file}:{line}: imports {name}"
        for file in outside
        for line, name, typed in imported(file)
        if not typed and name.split(".")[0] == package
    ]
    assert not wrong, "\n".join(wrong)


def test_the_tests_mirror_the_rooms():
    tested = {path.name for path in Path(__file__).parent.iterdir() if path.is_dir()}
    rooms = {room_of(file) for file in FILES if len(Path(file).parts) > 1 and Path(file).name != "__init__.py"}
    assert rooms <= tested


def test_no_file_grows_past_three_hundred_lines():
    lines = {file: len((PACKAGE / file).read_text("utf-8").splitlines()) for file in FILES}
    assert not {file: many for file, many in lines.items() if many > 320}


def test_nothing_is_unpickled_and_nothing_is_evaluated():
    wrong = []
    for file in FILES:
        for node in ast.walk(ast.parse((PACKAGE / file).read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("eval", "exec", "pickle.load", "pickle.loads", "joblib.load"):
                    wrong.append(f"graphfuse/{file}:{node.lineno}: {called}")
                if called == "torch.load" and not any(
                    k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
                ):
                    wrong.append(f"graphfuse/{file}:{node.lineno}: torch.load without weights_only=True")
    assert not wrong, "\n".join(wrong)
