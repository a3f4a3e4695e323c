"""scikit-learn's models: `NAME.joblib`, an estimator or a Pipeline.

It gets float64 rows: of pictures the raw values 0 to 255 (scaling is part of the Pipeline), of tables the columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from specforge.runtimes import InputError, PackageError
from specforge.runtimes.results import Results

SUFFIXES = (".joblib",)
OTHER_SUFFIXES = (".pkl", ".pickle", ".m")
"""What a package with its own `customize_service.py` may call its model file, too."""


class Estimator:
    """A loaded estimator; `width`: how many values a row has, `columns`: their names, where the estimator knows."""

    def __init__(self, estimator: Any, name: str) -> None:
        self.name = name
        self.width: int | None = getattr(estimator, "n_features_in_", None)
        self.columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
        self._estimator = estimator
        # Pipelines and searches have `predict_proba` only if what they hold has it.
        self._scored = hasattr(estimator, "predict_proba")
        self._labels = [str(each) for each in estimator.classes_] if self._scored else []

    def infer(self, table: Any) -> Results:
        """Return what the estimator says of each row; raises InputError where it does not take the values."""
        import numpy as np

        try:
            found = np.asarray(self._estimator.predict(table)).tolist()
            return Results(found, self._scores(table))
        except ValueError as error:
            raise InputError(f"`{self.name}` cannot predict: {error}") from error

    def _scores(self, table: Any) -> list[tuple[tuple[str, float], ...]]:
        if not self._scored:
            return []
        return [
            tuple(sorted(zip(self._labels, each, strict=True), key=lambda pair: (-pair[1], pair[0])))
            for each in self._estimator.predict_proba(table).tolist()
        ]


def load_model(file: Path) -> Estimator:
    """Load a model file; raises PackageError.

    A joblib file is a pickle: loading it runs what it says. Only packages that this project's own jobs made, or that
    the user declared trusted, may come here.
    """
    import joblib

    try:
        estimator = joblib.load(file)
    except Exception as error:
        raise PackageError(f"`{file.name}` cannot be loaded: {type(error).__name__}: {error}") from error
    if not hasattr(estimator, "predict"):
        raise PackageError(f"`{file.name}` holds a {type(estimator).__name__}, which has no `predict`")
    return Estimator(estimator, file.name)
