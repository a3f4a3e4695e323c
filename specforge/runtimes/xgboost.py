"""XGBoost's models: `NAME.json` or `NAME.ubj`, as `save_model` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from specforge.runtimes import InputError, PackageError
from specforge.runtimes.results import Results

SUFFIXES = (".ubj", ".json")
OTHER_SUFFIXES = (".bst", ".model", ".m")
"""What a package with its own `customize_service.py` may call its model file, too."""

_CLASSES = ("multi:softprob", "multi:softmax", "binary:logistic")


class Booster:
    """A loaded booster. Of a classifier it gives the number of the class and the scores, else the value."""

    def __init__(self, booster: Any, name: str) -> None:
        import json

        self.name = name
        self.width: int | None = booster.num_features()
        self.columns = tuple(booster.feature_names or ())
        self._booster = booster
        learner = json.loads(booster.save_config())["learner"]
        self._objective: str = learner["objective"]["name"]

    def infer(self, table: Any) -> Results:
        """Return what the booster says of each row; raises InputError where it does not take the values."""
        from xgboost import DMatrix
        from xgboost.core import XGBoostError

        try:
            matrix = DMatrix(table, feature_names=list(self.columns) or None)
            found = self._booster.predict(matrix).tolist()
        except (ValueError, XGBoostError) as error:
            raise InputError(f"`{self.name}` cannot predict: {error}") from error
        if self._objective not in _CLASSES:
            return Results(found)
        if self._objective == "multi:softmax":
            return Results([int(each) for each in found])
        shares = [[1.0 - each, each] for each in found] if self._objective == "binary:logistic" else found
        scores = [
            tuple(sorted(((str(at), share) for at, share in enumerate(each)), key=lambda pair: (-pair[1], pair[0])))
            for each in shares
        ]
        return Results([int(each[0][0]) for each in scores], scores)


def load_model(file: Path) -> Booster:
    """Load a model file; raises PackageError."""
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(file)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise PackageError(f"`{file.name}` cannot be loaded: {error}") from error
    return Booster(booster, file.name)
