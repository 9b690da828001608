"""Text from outside, made fit for what stands behind: PostgreSQL knows no zero byte, and no
encoder knows half a surrogate pair. Both are legal in JSON.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_UNFIT = re.compile("[\0\ud800-\udfff]")
_MARK = "\N{REPLACEMENT CHARACTER}"


def fit(text: str) -> str:
    """`text` with zero bytes and lone surrogates replaced by U+FFFD; the length stays."""
    return _UNFIT.sub(_MARK, text)


FitText = Annotated[str, AfterValidator(fit)]
"""A text of a request's body or query that anything behind the facade can store and send."""
