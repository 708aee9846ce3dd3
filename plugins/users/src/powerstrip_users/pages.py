"""Pages of a list: numbered ones, and cursors that cost the same at any depth."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from powerstrip_users.errors import CursorNotValid
from powerstrip_users.keys import KeyRing
from powerstrip_users.models import User
from powerstrip_users.schemas import Page, PageRequest, UserFilters
from powerstrip_users.storage import sorted_value

ItemT = TypeVar("ItemT")

_SIGNATURE_BYTES = 16


def numbered_page(items: Sequence[ItemT], total: int, wanted: PageRequest) -> Page[ItemT]:
    """A page with where it is among how many."""
    pages = -(-total // wanted.size)
    return Page(
        items=list(items),
        total=total,
        page=wanted.page,
        size=wanted.size,
        pages=pages,
        has_next=wanted.page < pages,
        has_prev=wanted.page > 1,
    )


class Cursors:
    """Positions in a list, as opaque text that is signed and bound to the filters it was made for."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def after(self, user: User, filters: UserFilters) -> str:
        """The cursor of what comes after an account."""
        value = sorted_value(user, filters.sort)
        text = value.isoformat() if isinstance(value, datetime) else value
        content = json.dumps([text, user.id.hex], ensure_ascii=False, separators=(",", ":")).encode()
        signature = self._ring.sign("cursor", _bound(content, filters))[:_SIGNATURE_BYTES]
        return urlsafe_b64encode(signature + content).rstrip(b"=").decode()

    def read(self, cursor: str, filters: UserFilters) -> tuple[Any, UUID]:
        """The position; raises CursorNotValid for a cursor that is not ours or not for these filters."""
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii") + b"==")
        except ValueError:
            raise CursorNotValid from None
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not self._ring.is_signed("cursor", _bound(content, filters), signature):
            raise CursorNotValid
        value, user_id = json.loads(content)
        is_time = filters.sort.removeprefix("-") in ("created_at", "updated_at")
        return datetime.fromisoformat(value) if is_time else value, UUID(user_id)


def _bound(content: bytes, filters: UserFilters) -> bytes:
    return sha256(filters.model_dump_json().encode()).digest() + content
