"""Why a call is not done. Each message is a sentence for people; `code` is for the caller."""

from __future__ import annotations


class HelperError(Exception):
    """A call that is not done."""

    code = "failed"


class PeerError(HelperError):
    """Whoever asks may not."""

    code = "peer"


class NotAllowedError(HelperError):
    """helper.toml does not list the verb, or may not be trusted."""

    code = "not-allowed"


class RequestError(HelperError):
    """The line is no request."""

    code = "bad-request"


class RefusedError(HelperError):
    """An argument is against a rule of the helper, or is not in the host's inventory."""

    code = "refused"


class BusyError(HelperError):
    """Another call works on the same target."""

    code = "busy"


class FailedError(HelperError):
    """It was tried, and the host did not do it."""

    code = "failed"


class TimeError(HelperError):
    """It took longer than the verb may take."""

    code = "timeout"
