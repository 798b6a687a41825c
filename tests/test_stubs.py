"""The type stubs say what there is: every public name of the compiled classes, with the parameters that it has; every exception."""

import ast
import inspect
from pathlib import Path

import pytest

import maestro
from maestro import _core, _mpi, errors

FOLDER = Path(maestro.__file__).parent
MODULES = {"PlanHandle": _mpi}  # of classes that are not _core's
CLASSES = (*MODULES, "SessionHandle", "CdoHandle", "SubscriptionHandle", "RequestHandle", "PinHandle", "Index", "LayoutHandle")
OPERATORS = {"__enter__", "__exit__", "__getitem__", "__contains__", "__next__"}


def stub(name):
    tree = ast.parse((FOLDER / name).read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def module_of(name):
    return MODULES.get(name, _core)


def stub_of(name):
    return stub(module_of(name).__name__.removeprefix("maestro.") + ".pyi")[name]


def methods(node):
    return {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}


@pytest.mark.parametrize("name", CLASSES)
def test_stub_of_a_class_has_what_the_class_has(name):
    there = {key for key in vars(getattr(module_of(name), name)) if not key.startswith("_") or key in OPERATORS}
    said = {key for key in methods(stub_of(name)) if not key.startswith("_") or key in OPERATORS}
    assert said == there


@pytest.mark.parametrize("name", CLASSES)
def test_stub_of_a_method_has_its_parameters(name):
    for key, said in methods(stub_of(name)).items():
        there = inspect.getattr_static(getattr(module_of(name), name), key, None)
        try:
            signature = inspect.signature(there)
        except (TypeError, ValueError):  # properties, and slots such as __getitem__
            continue
        if said.decorator_list or key.startswith("_"):
            continue
        arguments = said.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        names += [a.arg for a in (arguments.vararg, arguments.kwarg) if a]
        assert names == list(signature.parameters), f"{name}.{key}"
        defaults = [ast.literal_eval(value) for value in (*arguments.defaults, *arguments.kw_defaults) if value is not None]
        assert defaults == [p.default for p in signature.parameters.values() if p.default is not p.empty], f"{name}.{key}"


def test_stub_of_the_exceptions_has_every_exception_with_its_base():
    said = {name: [ast.unparse(base).removeprefix("builtins.") for base in node.bases] for name, node in stub("errors.pyi").items()}
    there = {name: [base.__name__ for base in getattr(errors, name).__bases__] for name in errors.__all__}
    assert said == there
