"""The house has one way up: a file imports only from rooms below its own."""

import ast
from pathlib import Path

import batchframe

PACKAGE = Path(batchframe.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "model": {"errors"},
    "config": {"errors"},
    "core": {"errors", "model"},
    "store": {"errors", "model", "config", "core"},
    "providers": {"errors", "model", "config", "core"},
    "wire": {"errors", "model"},
    "simulator": {"errors", "model", "config", "core", "wire"},
    "engine": {"errors", "model", "config", "core", "store", "providers"},
    "frame": {"errors", "model", "config", "core", "store", "providers", "engine"},
    "evaluation": {"errors", "model", "core", "store", "frame"},
    "monitoring": {"errors", "model", "config", "core", "store", "providers", "engine"},
    "proxy": {"errors", "model", "config", "core", "store", "providers", "wire", "engine", "monitoring"},
    "operations": {"errors", "model", "config", "core", "store", "providers", "engine", "frame"},
    "__init__": {"errors", "frame", "evaluation"},
    "demo": {"", "config", "simulator", "store"},
    "__main__": {"cli"},
    "cli": {
        *("", "errors", "model", "config", "core", "store", "providers", "engine", "frame"),
        *("evaluation", "monitoring", "operations", "proxy", "simulator", "demo"),
    },
}


def rooms_imported(path: Path) -> set[str]:
    """The rooms of batchframe a file imports from; "" is the package itself."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module] if node.module != "batchframe" else [f"batchframe.{a.name}" for a in node.names]
            modules = [name if _is_room(name) else "batchframe" for name in modules]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
            continue
        rooms |= {[*name.split("."), ""][1] for name in modules if name.split(".")[0] == "batchframe"}
    return rooms


def _is_room(module: str) -> bool:
    parts = module.split(".")
    return parts[0] != "batchframe" or (len(parts) > 1 and parts[1] in MAY_IMPORT)


def test_imports_go_one_way() -> None:
    """Without this the layers of the design would be a picture only."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        allowed = MAY_IMPORT[room] | {room}
        wrong += [
            f"{path.relative_to(PACKAGE)} imports {other or 'batchframe'}" for other in rooms_imported(path) - allowed
        ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_longer_than_400_lines() -> None:
    """One concept a file; a file that grows past this holds two."""
    long = [
        str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > 400
    ]
    assert not long
