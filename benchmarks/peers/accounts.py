"""Accounts by the plugin `users`, and `GET /users/me` as one would write it by hand, with the same queries."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import jwt
import yaml
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.distributions import write_config
from powerstrip import create_app
from powerstrip_users.domain import Status
from powerstrip_users.models import User
from powerstrip_users.schemas import Profile, UserResponse

PASSWORD = "correct horse battery"
_KEY = b"a key for benchmarks that nobody else has"
_AUDIENCE = "peer"


def powerstrip_accounts(url: str, folder: Path) -> FastAPI:
    """The plugins with their defaults, save that nobody is locked out; their files are below `folder`."""
    users = {
        "key_file": str(folder / "users.key"),
        "mail": {"folder": str(folder / "mail")},
        "avatars": {"folder": str(folder / "avatars")},
        "sign_in": {"account_failures": 1_000, "client_failures": 100_000},
    }
    plugins = yaml.safe_dump({"database": {"url": url}, "users": users})
    return create_app(write_config(folder / "config.yaml", plugins))


def token_by_hand(user_id: UUID) -> str:
    """What `accounts_by_hand` takes for a signed-in user."""
    expires = int(time.time()) + 86_400
    return jwt.encode({"sub": str(user_id), "aud": _AUDIENCE, "exp": expires}, _KEY, "HS256")


def accounts_by_hand(url: str) -> FastAPI:
    """Reads tokens, and accounts from the database at `url`."""
    engine = create_async_engine(url, pool_size=5, max_overflow=10)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _foreign_keys)
    bearer = HTTPBearer()

    async def session() -> AsyncGenerator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> UUID:
        try:
            claims: dict[str, Any] = jwt.decode(
                credentials.credentials,
                _KEY,
                algorithms=["HS256"],
                audience=_AUDIENCE,
                options={"require": ["exp", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise HTTPException(401) from error
        return UUID(claims["sub"])

    router = APIRouter(prefix="/api/v1/users")

    @router.get("/me")
    async def me(
        user_id: Annotated[UUID, Depends(caller)], session: Annotated[AsyncSession, Depends(session)]
    ) -> Profile:
        user = await session.get(User, user_id)
        if user is None or user.status is not Status.ACTIVE:
            raise HTTPException(401)
        return Profile.model_validate({name: getattr(user, name) for name in UserResponse.model_fields})

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app


def _foreign_keys(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()
