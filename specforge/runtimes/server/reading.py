"""From the bytes of a request to what the model gets: forms and JSON, checked against the package's contract."""

from __future__ import annotations

from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import orjson
from fastjsonschema import JsonSchemaValueException
from multipart import MultipartError, PushMultipartParser, parse_options_header

from specforge.formats.config_json import MULTIPART
from specforge.runtimes import Request
from specforge.runtimes.server.contract import Method
from specforge.runtimes.server.problems import Problem

_PARTS = 1000


def read_request(method: Method, kind: str, content_type: str, body: bytes) -> Request:
    """Return what was sent; raises Problem that names what is wrong with it."""
    if kind == MULTIPART:
        return _form(method, content_type, body)
    return _json(method, body)


def _json(method: Method, body: bytes) -> Request:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    if method.check_request is not None:
        check(method.check_request, value, "body")
    uuid = uuid_of(value)
    if uuid is not None and not isinstance(uuid, (str, int, float)):
        raise Problem(422, "`body.meta.uuid` has to be a text or a number")
    return Request(body=value, text=body.decode("utf-8"))


def check(validator: Any, value: Any, name: str) -> None:
    """Raise Problem 422 with the field's name if the value does not fit the schema."""
    try:
        validator(value, name_prefix=name)
    except JsonSchemaValueException as error:
        field, _, rest = error.message.partition(" ")
        raise Problem(422, f"`{field}` {rest}"[:500]) from None
    except (ValueError, OverflowError, RecursionError) as error:
        # Its `multipleOf` with an infinite quotient, a very deep value.
        raise Problem(422, f"`{name}` cannot be checked: {error}"[:500]) from None


def uuid_of(value: Any) -> Any:
    """Return `meta.uuid` of a JSON value, or None."""
    meta = value.get("meta") if isinstance(value, dict) else None
    return meta.get("uuid") if isinstance(meta, dict) else None


def _form(method: Method, content_type: str, body: bytes) -> Request:
    files: dict[str, dict[str, BinaryIO]] = {}
    fields: dict[str, str] = {}
    try:
        _, options = parse_options_header(content_type)
        boundary = options.get("boundary")
        if not boundary:
            raise Problem(400, "the content type `multipart/form-data` has no `boundary`")
        parser = PushMultipartParser(boundary, max_segment_count=_PARTS)
        segment: Any = None
        chunks: list[bytes | bytearray] = []
        for event in parser.parse(body):
            if event is None:
                if segment is not None:
                    _part(segment, b"".join(chunks), files, fields)
                segment, chunks = None, []
            elif isinstance(event, (bytes, bytearray)):
                chunks.append(event)
            else:
                segment = event
        parser.close()
    except (MultipartError, UnicodeError, LookupError) as error:
        raise Problem(400, f"the form cannot be read: {error}") from None
    return _checked(method, Request(files=files, fields=fields))


def _part(segment: Any, content: bytes, files: dict[str, dict[str, BinaryIO]], fields: dict[str, str]) -> None:
    key, name = segment.name or "", segment.filename
    if name is None:
        fields[key] = content.decode("utf-8", errors="replace")
    elif name or content:
        named = files.setdefault(key, {})
        named[_free(name or "file", named)] = BytesIO(content)


def _free(name: str, taken: dict[str, BinaryIO]) -> str:
    """Return the name, with a number if the form has it already."""
    if name not in taken:
        return name
    path, number = PurePosixPath(name), 2
    while (other := f"{path.stem} ({number}){path.suffix}") in taken:
        number += 1
    return other


def _checked(method: Method, request: Request) -> Request:
    if not method.closed:
        return request
    for key in method.required:
        if key in method.files and key not in request.files:
            said = "is no file: give its part a `filename`" if key in request.fields else "is missing"
            raise Problem(422, f"`{key}` {said}{_sent(request) if said == 'is missing' else ''}")
        if key not in method.files and key not in request.fields:
            raise Problem(422, f"`{key}` is missing{_sent(request)}")
    wanted = ", ".join(f"`{each}`" for each in (*method.files, *method.fields))
    for key in (*request.files, *request.fields):
        if key not in method.files and key not in method.fields:
            raise Problem(422, f"`{key}` is not a key of this model; it takes {wanted}")
    for key in request.files:
        if key in method.fields:
            raise Problem(422, f"`{key}` has to be a plain field, not a file")
    for key, word in method.fields.items():
        if key in request.fields and not _is(request.fields[key], word):
            raise Problem(422, f"`{key}` has to be of type {word}")
    return request


def _sent(request: Request) -> str:
    keys = ", ".join(f"`{each[:80]}`" for each in sorted({*request.files, *request.fields})[:10])
    return f"; the form has {keys}" if keys else "; the form is empty"


def _is(text: str, word: str) -> bool:
    try:
        if word == "integer":
            int(text)
        elif word == "number":
            float(text)
        return word != "boolean" or text in ("true", "false")
    except ValueError:
        return False
