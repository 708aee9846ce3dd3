"""Mails, stored with the change that causes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_users.links import LinkPurpose
from powerstrip_users.models import Mail


def enqueue(
    session: AsyncSession,
    template: str,
    to: str,
    data: Mapping[str, Any],
    *,
    at: datetime,
    user_id: UUID | None = None,
    link: LinkPurpose | None = None,
) -> None:
    """Add a mail to the transaction: it is sent if, and only if, that is committed.

    With `link`, the mail gets a link for the user: its token is made when the mail is sent, never stored.
    """
    session.add(
        Mail(template=template, recipient=to, data=dict(data), user_id=user_id, link=link, created_at=at, due_at=at)
    )
