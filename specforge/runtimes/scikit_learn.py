"""The loader of scikit-learn packages: `NAME.joblib` in the package's `model` folder, an estimator or a Pipeline.

It gets one float64 row per picture with the raw values 0 to 255 (scaling is part of the Pipeline) and gives the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specforge.runtimes import PackageError, Prediction

SERVICE = "customize_service.py"


class Estimator:
    """A loaded estimator; `predict` as the protocol `specforge.runtimes.Predictor` says."""

    def __init__(self, estimator: Any, name: str) -> None:
        self._estimator = estimator
        self._name = name

    def predict(self, pictures: Sequence[Path]) -> list[Prediction]:
        """Return one prediction per picture, in order; raises PackageError where they do not fit the estimator."""
        import numpy as np

        rows = [row(each) for each in pictures]
        width = getattr(self._estimator, "n_features_in_", None) or (rows[0].size if rows else 0)
        for each, values in zip(pictures, rows, strict=True):
            if values.size != width:
                raise PackageError(f"`{each.name}` has {values.size} values, `{self._name}` wants {width}")
        if not rows:
            return []
        table = np.stack(rows)
        try:
            labels = [str(each) for each in self._estimator.predict(table)]
            return [Prediction(label, each) for label, each in zip(labels, self._scores(table), strict=True)]
        except (ValueError, TypeError, AttributeError) as error:
            raise PackageError(f"`{self._name}` cannot predict: {error}") from error

    def _scores(self, table: Any) -> list[tuple[tuple[str, float], ...]]:
        # Pipelines and searches have `predict_proba` only if what they hold has it.
        if not hasattr(self._estimator, "predict_proba"):
            return [() for _ in table]
        labels = [str(each) for each in self._estimator.classes_]
        return [
            tuple(sorted(zip(labels, map(float, each), strict=True), key=lambda pair: (-pair[1], pair[0])))
            for each in self._estimator.predict_proba(table)
        ]


def row(picture: Path) -> Any:
    """Return a picture's values as one float64 row, 0 to 255: grey as it is, colour as R, G, B of each pixel."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            if image.mode.startswith("I;16"):
                return (np.asarray(image, dtype=np.float64) / 257.0).ravel()
            grey = image.mode in ("1", "L", "LA")
            return np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float64).ravel()
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise PackageError(f"`{picture.name}` cannot be read as a picture: {error}") from error


def load(model: Path) -> Estimator:
    """Load the one `NAME.joblib` in the folder; raises PackageError if there is none, several, or a broken one.

    A joblib file is a pickle: loading it runs what it says. Only packages that this project's own jobs made, or that
    the user declared trusted, may come here.
    """
    if (model / SERVICE).exists():
        raise PackageError(f"this release does not run `{SERVICE}` yet; leave a `NAME.joblib` without it")
    found = sorted(model.glob("*.joblib"))
    if len(found) != 1:
        names = ", ".join(f"`{each.name}`" for each in found) or "none"
        raise PackageError(f"a scikit-learn package has one `NAME.joblib` in its folder `model`; found: {names}")
    import joblib

    try:
        estimator = joblib.load(found[0])
    except Exception as error:
        raise PackageError(f"`{found[0].name}` cannot be loaded: {type(error).__name__}: {error}") from error
    if not hasattr(estimator, "predict"):
        raise PackageError(f"`{found[0].name}` holds a {type(estimator).__name__}, which has no `predict`")
    return Estimator(estimator, found[0].name)
