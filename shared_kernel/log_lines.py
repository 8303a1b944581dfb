"""A log record as one line of JSON, as Workers Logs reads and indexes it.

Every line has `time`, `level`, `service`, `logger` and `message`, and `trace_id` where it was written for a
request, an event or a step; the rest are the record's own `fields`. What a line says is chosen where it is written:
never a token, a password, an address or a query.
"""

import json
import logging
import re
from datetime import UTC, datetime

from shared_kernel.clock import rfc3339
from shared_kernel.tracing import present_trace_id

# pydantic shows what it refuses, on one line of its error's text. Our models hide it; a dataclass cannot say so.
_REFUSED = re.compile(r"input_value=.*(?=, input_type=)")


def log_line(record: logging.LogRecord, service: str) -> str:
    """The record as JSON; an exception goes with its traceback, but without the input that a validation refused."""
    line: dict[str, object] = {
        "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
        "service": service,
        "logger": record.name,
        "message": record.getMessage(),
    }
    trace_id = present_trace_id()
    if trace_id is not None:
        line["trace_id"] = trace_id
    if record.exc_info:
        line["exception"] = _REFUSED.sub("input_value=***", logging.Formatter().formatException(record.exc_info))
    return json.dumps(line | getattr(record, "fields", {}), default=str)
