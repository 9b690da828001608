"""When a certificate is valid, out of its file: PEM (RFC 7468) around DER (RFC 5280, 4.1).

The standard library can decode certificates only of connections, and whoever writes the file is not
trusted, so the few fields before the validity are stepped over with their lengths checked.
"""

from __future__ import annotations

import binascii
import re
from datetime import UTC, datetime

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----", re.ASCII
)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


class CertificateError(Exception):
    """It cannot be read. A sentence."""


def first_certificate(pem: bytes) -> tuple[float, float]:
    """From when and until when the first certificate in a file is valid: seconds since the epoch.

    The first one is the host's own, what follows are those that vouch for it. Raises
    `CertificateError`.
    """
    found = _PEM.search(pem)
    if found is None:
        raise CertificateError("the file holds no certificate in PEM")
    try:
        der = binascii.a2b_base64(found.group(1))
        certificate, _ = _take(der, _SEQUENCE)
        rest, _ = _take(certificate, _SEQUENCE)
        if rest[:1] == bytes([_VERSION]):
            _, rest = _take(rest, _VERSION)
        for _ in range(3):  # serial number, signature algorithm, issuer
            _, rest = _take(rest, None)
        validity, _ = _take(rest, _SEQUENCE)
        begins, validity = _time(validity)
        ends, _ = _time(validity)
    except (ValueError, IndexError) as error:
        raise CertificateError(f"the file holds a certificate that is broken: {error}") from error
    return begins, ends


def _take(data: bytes, tag: int | None) -> tuple[bytes, bytes]:
    """The first value's content, and what follows it. `tag` None: any."""
    if tag is not None and data[0] != tag:
        raise ValueError(f"it has {data[0]:#x} where {tag:#x} belongs")
    length, start = data[1], 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("it has a length that cannot be")
        start = 2 + size
        length = int.from_bytes(data[2:start], "big")
    content = data[start : start + length]
    if len(content) != length:
        raise ValueError("it ends too early")
    return content, data[start + length :]


def _time(data: bytes) -> tuple[float, bytes]:
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(data[0])
    if form is None:
        raise ValueError("its times are none")
    content, rest = _take(data, data[0])
    at = datetime.strptime(content.decode("ascii"), form).replace(tzinfo=UTC)
    if data[0] == _UTC_TIME and at.year >= 2050:  # two digits mean 1950 to 2049 (RFC 5280)
        at = at.replace(year=at.year - 100)
    return at.timestamp(), rest
