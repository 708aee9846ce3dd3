"""Addresses as the headers of mails have them (RFC 5322, 3.4)."""

from email.headerregistry import Address
from email.policy import SMTPUTF8

from email_validator import validate_email


def one_address(text: str) -> str:
    """The text, if it is one address with or without a name: `My Site <no-reply@example.com>`. Else ValueError."""
    parse_address(text)
    return text


def parse_address(text: str) -> Address:
    """Raises ValueError for anything but one address."""
    header = SMTPUTF8.header_factory("From", text) if text.isprintable() else None
    addresses: tuple[Address, ...] = header.addresses if header else ()
    if header is None or header.defects or len(addresses) != 1 or not addresses[0].username or not addresses[0].domain:
        raise ValueError("state one address: no-reply@example.com, or My Site <no-reply@example.com>")
    return addresses[0]


def deliverable(address: str) -> Address:
    """The address of an account for a header, in ASCII where that says the same: not every server takes more."""
    known = validate_email(address, check_deliverability=False)
    username, _, domain = (known.ascii_email or known.normalized).rpartition("@")
    return Address(username=username, domain=domain)
