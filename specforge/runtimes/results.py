"""From rows to answers: what a model says of rows, and the JSON that a caller gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from specforge.runtimes import Request

Scores = Sequence[tuple[str, float]]


class Results(list[Any]):
    """What a model says of each row, as plain Python values; `scores` of each, best first, where the model has them."""

    def __init__(self, values: Iterable[Any], scores: Sequence[Scores] = ()) -> None:
        super().__init__(values)
        self.scores = scores

    def part(self, start: int, end: int) -> Results:
        """Return the results of some rows."""
        return Results(self[start:end], self.scores[start:end])


def answer_of(result: Any, request: Request) -> Any:
    """Return what a caller gets for what `_postprocess` gave.

    A list with one value for each row or picture that was sent is put into the form of the request; anything else
    goes out as it is.
    """
    if hasattr(result, "tolist"):
        result = result.tolist()
    if not isinstance(result, (list, tuple)):
        return result
    rows = rows_of(request)
    if rows is not None:
        if len(rows) != len(result):
            return result
        return {"data": {"resp_data": [_row(each, sent) for each, sent in zip(result, rows, strict=True)]}}
    names = [name for files in request.files.values() for name in files]
    if len(names) != len(result) or any(isinstance(each, Mapping) for each in result):
        return result
    scores = getattr(result, "scores", ())
    said = [_picture(each, scores[at] if scores else ()) for at, each in enumerate(result)]
    if len(said) == 1:
        return said[0]
    return {"predictions": [{"file": name, **each} for name, each in zip(names, said, strict=True)]}


def rows_of(request: Request) -> list[Any] | None:
    """Return the rows of a request for predictive analysis, `data.req_data`; None of another one."""
    data = request.body.get("data") if isinstance(request.body, dict) else None
    rows = data.get("req_data") if isinstance(data, dict) else None
    return rows if isinstance(rows, list) else None


def _row(value: Any, sent: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    return {**sent, "predictresult": value} if isinstance(sent, Mapping) else {"predictresult": value}


def _picture(label: Any, scores: Scores) -> dict[str, Any]:
    said: dict[str, Any] = {"predicted_label": str(label)}
    if scores:
        said["scores"] = [[name, share] for name, share in scores]
    return said
