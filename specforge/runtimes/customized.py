"""`customize_service.py`: a package's own code around its model, in the way of the platform that it was written for.

The file imports its base class from a module that exists only here, by the name that the platform gave it.
"""

# ruff: noqa: SLF001 - the names of the methods are the platform's
from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from specforge.runtimes import LOADERS, PackageError, Request
from specforge.runtimes.results import Results, answer_of, rows_of
from specforge.runtimes.rows import picture_row, table_of

SERVICE = "customize_service.py"
_MODULE = "customize_service"
_BASE = "model_service.python_model_service"
_FOREIGN = {
    "model_service.tfserving_model_service": "TensorFlow",
    "mms": "MXNet",
    "model_service.pytorch_model_service": "PyTorch",
    "model_service.spark_model_service": "PySpark",
    "model_service.caffe_model_service": "Caffe",
}


class XgSklServingBaseService:
    """The base class for scikit-learn and XGBoost. Each method may be overridden; as they are here, they serve a model
    that needs no code of its own.

    `model_path` is the model file; `model` is the loaded model, with `infer(table)`. `batch`: whether `_inference` is
    given a list, what `_preprocess` gave for each of several requests, and returns a list as long.
    """

    batch = False
    model_name = ""
    model_path = ""
    engine = "scikit-learn"
    columns: tuple[str, ...] = ()

    def __init__(self, *arguments: str, model_name: str | None = None, model_path: str | None = None) -> None:
        # Code in the wild passes on what it was given: the path, or name and path.
        path = model_path if model_path is not None else arguments[-1] if arguments else None
        self.model_path = path if path is not None else self.model_path
        self.model_name = model_name if model_name is not None else self.model_name

    @cached_property
    def model(self) -> Any:
        """The loaded model; a subclass may set its own."""
        return import_module(LOADERS[self.engine]).load_model(Path(self.model_path))

    def _preprocess(self, data: Any) -> Any:
        """Return the rows for the model: one for each picture, or those of `data.req_data`."""
        rows = rows_of(Request(body=data if isinstance(data, dict) else None))
        if rows is not None:
            return table_of(rows, self.model.columns or self.columns, self.model.width)
        files = [(name, file) for named in data.values() if isinstance(named, dict) for name, file in named.items()]
        return [picture_row(file, name, self.model.name, self.model.width) for name, file in files]

    def _inference(self, data: Any) -> Any:
        """Return what the model says of each row, a list of plain values."""
        return self.model.infer(_table(data)) if len(data) else Results([])

    def _postprocess(self, data: Any) -> Any:
        """Return what `_inference` gave; a list is put into the form of the request."""
        return data


def _table(data: Any) -> Any:
    import numpy as np

    return np.asarray(data)


class JsonData(str):
    """A JSON value that was sent: the value to whoever uses it as a dict or list, its text to `json.loads`.

    `len` is the text's, which `json.loads` needs.
    """

    __slots__ = ("value",)

    value: Any

    def __new__(cls, text: str, value: Any) -> Self:
        """Make one of its text and its value."""
        self = super().__new__(cls, text)
        self.value = value
        return self

    # `isinstance(data, dict)` asks for this as well as for the type.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.value)

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __contains__(self, key: object) -> bool:
        return key in self.value

    def __eq__(self, other: object) -> bool:
        return bool(self.value == other) or str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __getattr__(self, name: str) -> Any:
        # keys, items, values, get, pop, append, …: whatever a text does not have.
        return getattr(self.value, name)


class Customized:
    """An instance of the package's class, called request by request, or in batches where the class can."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.batches = bool(getattr(service, "batch", False))

    def answer(self, requests: list[Request]) -> list[Any]:
        """Return for each request its answer, or the exception that it ended with."""
        if not self.batches:
            return [attempt(self._one, request) for request in requests]
        prepared = [attempt(self._prepare, request) for request in requests]
        good = [at for at, each in enumerate(prepared) if not isinstance(each, BaseException)]
        found = attempt(self._inference, [prepared[at] for at in good]) if good else []
        if isinstance(found, BaseException):
            return [found if at in set(good) else each for at, each in enumerate(prepared)]
        for at, each in zip(good, found, strict=True):
            prepared[at] = attempt(self._finish, each, requests[at])
        return prepared

    def _one(self, request: Request) -> Any:
        return self._finish(self._service._inference(self._prepare(request)), request)

    def _prepare(self, request: Request) -> Any:
        return self._service._preprocess(data_of(request))

    def _inference(self, prepared: list[Any]) -> list[Any]:
        found = list(self._service._inference(prepared))
        if len(found) != len(prepared):
            raise PackageError(f"`_inference` gave {len(found)} results for a batch of {len(prepared)}")
        return found

    def _finish(self, found: Any, request: Request) -> Any:
        return answer_of(self._service._postprocess(found), request)


def attempt(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the call returns, or what it raised: even an exit, since one request must not end the server."""
    try:
        return call(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is handed on, as a value
        return error


def data_of(request: Request) -> Any:
    """Return what `_preprocess` gets: `{key: {file name: file}}` with the form's other fields, or the JSON."""
    if request.text:
        return JsonData(request.text, request.body)
    return {**request.fields, **{key: dict(files) for key, files in request.files.items()}}


def load_service(engine: str, folder: Path, model: Path, columns: tuple[str, ...]) -> Customized:
    """Import the package's `customize_service.py` and make an instance of its class; raises PackageError."""
    base = type("XgSklServingBaseService", (XgSklServingBaseService,), {"engine": engine, "columns": columns})
    _publish(base)
    # Nothing is written into the package, and its neighbours are imported plainly.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder.resolve()))
    sys.modules.pop(_MODULE, None)
    try:
        module = import_module(_MODULE)
        return Customized(_instance(_class_of(module, base), model))
    except PackageError:
        raise
    except BaseException as error:
        raise PackageError(_reason(error)) from error


def _publish(base: type) -> None:
    """Make the base class importable by the name that the platform gave it."""
    parent, _, name = _BASE.rpartition(".")
    package, module = ModuleType(parent), ModuleType(_BASE)
    package.__path__ = []
    setattr(package, name, module)
    module.XgSklServingBaseService = base  # type: ignore[attr-defined]
    sys.modules[parent], sys.modules[_BASE] = package, module


def _class_of(module: ModuleType, base: type) -> type:
    own = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, base)]
    own = [each for each in own if each is not base]
    leaves = {each for each in own if not any(other is not each and issubclass(other, each) for other in own)}
    if len(leaves) != 1:
        names = ", ".join(sorted(f"`{each.__name__}`" for each in leaves)) or "none"
        raise PackageError(f"`{SERVICE}` must have one class that derives from `{base.__name__}`; found: {names}")
    return leaves.pop()


def _instance(own: Any, model: Path) -> Any:
    """Make the instance; one that does not call its base's `__init__` has name and path all the same."""
    path = str(model.resolve())
    service = own.__new__(own)
    service.model_path, service.model_name = path, model.stem
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [each for each in inspect.signature(own).parameters.values() if each.kind in kinds]
    if own.__init__ is XgSklServingBaseService.__init__ or len(taken) == 1:
        service.__init__(path)
    elif not taken:
        service.__init__()
    else:
        service.__init__(model.stem, path)
    return service


def _reason(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        for module, engine in _FOREIGN.items():
            if error.name == module or error.name.startswith(f"{module}."):
                return f"`{SERVICE}` is written for {engine} (it imports `{error.name}`), which is not served here"
        return f"`{SERVICE}` imports `{error.name}`, which is neither in the package nor in the toolchain"
    if isinstance(error, SystemExit):
        return f"`{SERVICE}` ended the process while it was loaded (exit {error.code})"
    return f"`{SERVICE}` cannot be loaded: {type(error).__name__}: {error}"
