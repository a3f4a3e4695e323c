"""What goes wrong with a request, as an answer: `{"error": {"code": …, "message": …}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Header = tuple[bytes, bytes]

CODES: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "queue_full",
    431: "headers_too_large",
    500: "model_failed",
    503: "unavailable",
    504: "model_timeout",
}
"""{status: code}: every way in which a request can fail."""


class Problem(Exception):
    """An answer that is no prediction. `message` is for the caller: no path of this machine, no traceback."""

    def __init__(self, status: int, message: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)

    @property
    def content(self) -> dict[str, dict[str, str]]:
        """The answer's JSON."""
        return {"error": {"code": CODES[self.status], "message": self.message}}


def later(seconds: float) -> Header:
    """Return the header that says when to ask again."""
    return (b"retry-after", str(max(1, round(seconds))).encode())
