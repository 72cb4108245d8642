"""What the package's source may not do: run what was not written here, or take a user's text for a format."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import batchframe

PACKAGE = Path(batchframe.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "imp",
    "code",
    "telnetlib",
}
BUILTINS = {"eval", "exec", "compile", "__import__", "input"}
METHODS = {"mktemp", "read_pickle", "to_pickle", "load_module", "format_map", "vformat"}
FUNCTIONS = {("yaml", "load"), ("os", "system"), ("os", "popen")}

FORMATS = {
    "core/template.py": ["pattern % row"],  # a join of literals whose own percent signs are doubled: tested below
    "store/loans.py": ["_NEXT_ATTEMPT.format(row_no='r.row_no')", "_NEXT_ATTEMPT.format(row_no='e.row_no')"],
    "store/backup.py": [  # of psycopg, which quotes identifiers
        "sql.SQL('ALTER SCHEMA {} RENAME TO {}').format(sql.Identifier(schema), sql.Identifier(to))",
        "sql.SQL('DROP SCHEMA IF EXISTS {} CASCADE').format(sql.Identifier(schema))",
    ],
    "simulator/schema_answers.py": [  # a pattern out of a table of the file itself
        "_FORMATS[kind].format(word=word, number=number, hexadecimal=f'{self._lot.getrandbits(48):012x}')"
    ],
}
"""Formats that are no literal where they are used, each looked at by a person."""


def dangers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (f"import {name.name}" for name in names if name.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield f"from {module}"
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS:
                yield f".{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if (module, name) in FUNCTIONS:
                yield f"{module}.{name}()"
            case ast.keyword(arg="shell" | "allow_pickle" as name, value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"{name}="


def formats(tree: ast.AST) -> Iterator[str]:
    """Formats whose pattern is not a literal: `x.format(…)`, `x % y` that is not a remainder."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="format")) if not isinstance(value, ast.Constant):
                yield ast.unparse(node)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                if not isinstance(left, ast.Constant) and not _is_number(right):
                    yield ast.unparse(node)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_runs_what_was_not_written_here(path: Path) -> None:
    """A pickle in a database, or a shell with a file name in it, is somebody else's code with our user's keys."""
    assert list(dangers(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_users_text_is_a_format(path: Path) -> None:
    """`"{x.__init__.__globals__[KEY]}".format(x)` reads any variable of the process."""
    assert list(formats(ast.parse(path.read_text()))) == FORMATS.get(str(path.relative_to(PACKAGE)), [])


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "eval(x)",
        "pd.read_pickle(x)",
        "run(x, shell=True)",
        "np.load(x, allow_pickle=yes)",
        "yaml.load(x)",
        "os.system(x)",
    ],
)
def test_the_search_finds_what_is_there(source: str) -> None:
    """A search that cannot find proves nothing."""
    assert len(list(dangers(ast.parse(source)))) == 1


@pytest.mark.parametrize("source", ["x.format(y)", "(a + b).format(y)", "x % y", "x.z % (y,)", "''.join(x) % y"])
def test_the_search_finds_formats(source: str) -> None:
    """The same of this one."""
    assert len(list(formats(ast.parse(source)))) == 1
