"""A loaded package: what evaluate, batch and the server use, with or without the package's own code."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from specforge.runtimes import LOADERS, InputError, PackageError, Prediction, Request
from specforge.runtimes.customized import SERVICE, Customized, attempt, load_service
from specforge.runtimes.results import Results, answer_of, rows_of
from specforge.runtimes.rows import picture_row, table_of

CONFIG = "config.json"
PICTURES = "images"
"""The key of pictures in a form."""


class Plain:
    """A package without code of its own: the model gets the rows of many requests at once."""

    batches = True

    def __init__(self, model: Any, columns: tuple[str, ...] = ()) -> None:
        self._model = model
        self._columns = model.columns or columns

    def predict(self, pictures: Sequence[Path]) -> list[Prediction]:
        """As `specforge.runtimes.Predictor` says."""
        import numpy as np

        if not pictures:
            return []
        rows = [picture_row(each, each.name, self._model.name, self._model.width) for each in pictures]
        for each, values in zip(pictures, rows, strict=True):
            if values.size != rows[0].size:
                raise InputError(f"`{each.name}` has {values.size} values, `{self._model.name}` wants {rows[0].size}")
        results = self._model.infer(np.stack(rows))
        scores = results.scores or [()] * len(rows)
        return [Prediction(str(label), tuple(each)) for label, each in zip(results, scores, strict=True)]

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        """As `specforge.runtimes.Predictor` says."""
        import numpy as np

        if len(requests) == 1:
            return [attempt(self._one, requests[0])]
        tables = [attempt(self._table, request) for request in requests]
        good = [at for at, each in enumerate(tables) if not isinstance(each, BaseException)]
        if len(good) > 1 and len({(tables[at].dtype, tables[at].shape[1]) for at in good}) == 1:
            results = attempt(self._model.infer, np.concatenate([tables[at] for at in good]))
            if isinstance(results, Results):
                end = 0
                for at in good:
                    start, end = end, end + len(tables[at])
                    tables[at] = answer_of(results.part(start, end), requests[at])
                return tables
            # One of them spoils the rest: each is asked for itself.
        for at in good:
            tables[at] = attempt(self._answer, tables[at], requests[at])
        return tables

    def _one(self, request: Request) -> Any:
        return self._answer(self._table(request), request)

    def _answer(self, table: Any, request: Request) -> Any:
        return answer_of(self._model.infer(table), request)

    def _table(self, request: Request) -> Any:
        import numpy as np

        rows = rows_of(request)
        if rows is not None:
            return table_of(rows, self._columns, self._model.width)
        files = [each for named in request.files.values() for each in named.items()]
        if not files:
            raise InputError("there is nothing to predict: send pictures, or rows in `data.req_data`")
        found = [picture_row(file, name, self._model.name, self._model.width) for name, file in files]
        if len(found) == 1:
            return found[0].reshape(1, -1)
        if len({each.size for each in found}) > 1:
            raise InputError("the pictures differ in size")
        return np.stack(found)


class Own:
    """A package with a `customize_service.py`."""

    def __init__(self, service: Customized, key: str) -> None:
        self._service = service
        self._key = key
        self.batches = service.batches

    def predict(self, pictures: Sequence[Path]) -> list[Prediction]:
        """As `specforge.runtimes.Predictor` says: each picture is sent as a form would."""
        return [self._picture(each) for each in pictures]

    def _picture(self, picture: Path) -> Prediction:
        sent = Request(files={self._key: {picture.name: BytesIO(picture.read_bytes())}})
        answer = self._service.answer([sent])[0]
        if isinstance(answer, BaseException):
            why = f"{type(answer).__name__}: {answer}"
            raise PackageError(f"`{SERVICE}` failed for `{picture.name}`: {why}") from answer
        label = answer.get("predicted_label") if isinstance(answer, dict) else None
        if label is None:
            raise PackageError(f"the answer of `{SERVICE}` for `{picture.name}` has no `predicted_label`")
        try:
            scores = tuple((str(name), float(share)) for name, share in answer.get("scores") or ())
        except (TypeError, ValueError):
            raise PackageError(f"`scores` in the answer of `{SERVICE}` is not a list of [label, number]") from None
        return Prediction(str(label), scores)

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        """As `specforge.runtimes.Predictor` says."""
        return self._service.answer(list(requests))


def load_package(engine: str, folder: Path, *, columns: tuple[str, ...] = (), key: str = PICTURES) -> Plain | Own:
    """Load the package in this `model` folder; raises PackageError.

    `columns`: the order of the columns in a table, for a model that does not know it. `key`: of pictures in a form.
    """
    own = (folder / SERVICE).exists()
    file = model_file(engine, folder, own=own)
    if own:
        return Own(load_service(engine, folder, file, columns), key)
    return Plain(import_module(LOADERS[engine]).load_model(file), columns)


def model_file(engine: str, folder: Path, *, own: bool = False) -> Path:
    """Return the one model file in the folder; raises PackageError if there is none or there are several."""
    module = import_module(LOADERS[engine])
    for suffixes in (module.SUFFIXES, module.OTHER_SUFFIXES if own else ()):
        found = sorted(each for each in folder.glob("*") if each.suffix in suffixes and _is_model(each))
        if len(found) == 1:
            return found[0]
        if found:
            break
    names = ", ".join(f"`{each.name}`" for each in found) or "none"
    wanted = " or ".join(f"`NAME{each}`" for each in sorted(module.SUFFIXES))
    raise PackageError(f"a {engine} package has one {wanted} in its folder `model`; found: {names}")


def _is_model(path: Path) -> bool:
    """Return whether this is the model: of JSON files only the one that XGBoost wrote."""
    if path.suffix != ".json":
        return path.is_file()
    with path.open("rb") as file:
        return b'"learner"' in file.read(64)
