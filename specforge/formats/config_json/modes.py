"""Input/output modes: what a package is asked and what it answers, as apis of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specforge.formats.config_json.values import JSON, MULTIPART, Api, Message

UNDEFINED = "undefined"


def _object(**properties: Any) -> dict[str, Any]:
    return {"properties": properties, "required": sorted(properties), "type": "object"}


def _list(items: Mapping[str, Any], **limits: int) -> dict[str, Any]:
    return {"items": items, **limits, "type": "array"}


_PICTURES = Message(MULTIPART, _object(images={"type": "file"}))
_META = {"properties": {"uuid": {"type": "string"}}, "type": "object"}


def _rows(name: str) -> Message:
    """Return a table in JSON: `{"data": {NAME: [{…}, …]}}`, with `meta.uuid` where it was given."""
    whole = _object(data=_object(**{name: _list({"type": "object"})}))
    whole["properties"]["meta"] = _META
    return Message(JSON, whole)


_BOXES = _object(
    detection_classes=_list({"type": "string"}),
    detection_boxes=_list(_list({"type": "number"}, maxItems=4, minItems=4)),
    detection_scores=_list({"type": "number"}),
)

MODES: Mapping[str, tuple[Api, ...]] = {
    "object_detection": (Api(_PICTURES, Message(JSON, _BOXES)),),
    "image_processing": (Api(_PICTURES, Message(JSON)),),
    "predictive_analysis": (Api(_rows("req_data"), _rows("resp_data")),),
    UNDEFINED: (Api(Message(MULTIPART)), Api(Message(JSON))),
}
"""{mode: its apis}. Undefined: anything, as a form or as JSON, unless the package says itself what it takes."""
