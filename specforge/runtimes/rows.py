"""From what was sent to rows of numbers: pictures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from specforge.runtimes import InputError


def picture_row(picture: Path | BinaryIO, name: str, model: str, width: int | None) -> Any:
    """Return a picture's values as one float64 row, 0 to 255: grey as it is, colour as R, G, B of each pixel.

    A picture of another size than the model wants is refused before it is decoded.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(picture) as image:
            deep = image.mode.startswith("I;16")
            grey = deep or image.mode in ("1", "L", "LA")
            values = image.width * image.height * (1 if grey else 3)
            if width is not None and values != width:
                raise InputError(f"`{name}` has {values} values, `{model}` wants {width}")
            if deep:
                return (np.asarray(image, dtype=np.float64) / 257.0).ravel()
            if image.mode not in ("L", "RGB"):
                image = image.convert("L" if grey else "RGB")
            return np.asarray(image, dtype=np.float64).ravel()
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"`{name}` is too large a picture: {error}") from error
    except UnidentifiedImageError as error:  # its own words name an object in memory
        raise InputError(f"`{name}` cannot be read as a picture: its format is not known") from error
    except Exception as error:
        # A decoder that is given anything at all raises anything at all: struct.error, IndexError, SyntaxError, …
        raise InputError(f"`{name}` cannot be read as a picture: {error}") from error


def table_of(rows: Sequence[Any], columns: Sequence[str], width: int | None) -> Any:
    """Return rows of JSON as a table, one column for each name: float64, or objects if a column holds text.

    `columns`: in which order; those of the first row if nobody says. Raises InputError that names row and column.
    """
    import numpy as np

    if not rows:
        raise InputError("`data.req_data` is empty; send at least one row")
    if not isinstance(rows[0], dict):
        raise InputError(f"`data.req_data[0]` has to be an object, not {_kind(rows[0])}")
    names = list(columns) or list(rows[0])
    if width is not None and len(names) != width:
        raise InputError(f"`data.req_data[0]` has {len(names)} columns, the model wants {width}")
    values = [_values(row, names, at) for at, row in enumerate(rows)]
    text = any(isinstance(each, str) for row in values for each in row)
    table = np.array(values, dtype=object if text else np.float64)
    if not text and not np.isfinite(table).all():
        raise InputError("`data.req_data` holds a number that is too large")
    return table


def _values(row: Any, names: Sequence[str], at: int) -> list[float | str]:
    where = f"data.req_data[{at}]"
    if not isinstance(row, dict):
        raise InputError(f"`{where}` has to be an object, not {_kind(row)}")
    missing = [each for each in names if each not in row]
    if missing:
        raise InputError(f"`{where}.{missing[0]}` is missing; a row has the columns {', '.join(names)}")
    return [_value(row[name], f"{where}.{name}") for name in names]


def _value(value: Any, where: str) -> float | str:
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"`{where}` is too large a number") from None
    if not isinstance(value, str):
        raise InputError(f"`{where}` has to be a number or a text, not {_kind(value)}")
    try:
        return float(value)
    except ValueError:
        return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "an array", str: "a text", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), "a number")
