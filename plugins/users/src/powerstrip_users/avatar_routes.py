"""Pictures of users."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from powerstrip import Identity, NotFound, UnsupportedMediaType, current_identity, public, responses, service
from powerstrip_users.avatars import Avatars
from powerstrip_users.callers import Acting, IfNoneMatch, own_account_id
from powerstrip_users.errors import (
    AvatarNotValid,
    AvatarTooLarge,
    InvalidToken,
    PicturesUnavailable,
    UploadBusy,
    UploadTooSlow,
)
from powerstrip_users.pictures import MEDIA_TYPE
from powerstrip_users.preconditions import is_unchanged
from powerstrip_users.settings import AvatarSettings
from powerstrip_users.uploads import FIELD

AvatarsService = Annotated[Avatars, Depends(service(Avatars))]
Caller = Annotated[Identity, Depends(current_identity)]

_FORM: Mapping[str, Any] = {
    "type": "object",
    "required": [FIELD],
    "properties": {
        FIELD: {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP file, by its content."}
    },
}
_FORM_BODY: Mapping[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
}
_PICTURE: Mapping[str, Any] = {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_TAG: Mapping[str, Any] = {
    "headers": {"ETag": {"description": "The content of the picture.", "schema": {"type": "string"}}}
}


def avatar_router(settings: AvatarSettings) -> APIRouter:
    """The routes; the settings say who may see pictures."""
    router = APIRouter(prefix="/users")
    router.add_api_route(
        "/me/avatar",
        change_avatar,
        methods=["POST"],
        status_code=204,
        summary="Change the own picture",
        openapi_extra=dict(_FORM_BODY),
        responses={
            204: dict(_TAG),
            **responses(
                AvatarNotValid,
                AvatarTooLarge,
                UnsupportedMediaType,
                UploadTooSlow,
                UploadBusy,
                PicturesUnavailable,
                InvalidToken,
            ),
        },
    )
    router.add_api_route(
        "/me/avatar",
        remove_avatar,
        methods=["DELETE"],
        status_code=204,
        summary="Remove the own picture",
        responses=responses(InvalidToken),
    )
    router.add_api_route(
        "/{user_id}/avatar",
        _Shown(settings).show_avatar,
        methods=["GET"],
        summary="See a picture",
        response_class=Response,
        dependencies=[Depends(public if settings.visibility == "public" else current_identity)],
        responses={
            200: {**_PICTURE, **_TAG},
            304: {"description": "Still as the caller has it."},
            **responses(NotFound, PicturesUnavailable),
        },
    )
    return router


async def change_avatar(
    request: Request, caller: Caller, actor: Acting, avatars: AvatarsService, response: Response
) -> None:
    """Send a file as the field `file` of a form. It is read while it arrives, drawn anew without anything that was in
    it beside the picture, and made to fit."""
    avatar = await avatars.receive(actor, own_account_id(caller), request.headers, request.stream())
    response.headers["ETag"] = f'"{avatar.digest}"'


async def remove_avatar(caller: Caller, actor: Acting, avatars: AvatarsService) -> None:
    """Doing so again changes nothing."""
    await avatars.remove(actor, own_account_id(caller))


class _Shown:
    """Shows pictures, with headers that depend on who may see them."""

    def __init__(self, settings: AvatarSettings) -> None:
        scope = "public" if settings.visibility == "public" else "private"
        self._headers = {
            "Cache-Control": f"{scope}, max-age={settings.max_age}",
            "Content-Disposition": 'inline; filename="avatar.webp"',
            # It is a picture and nothing else, whatever a browser would like to see in it.
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        }

    async def show_avatar(self, user_id: UUID, avatars: AvatarsService, if_none_match: IfNoneMatch = None) -> Any:
        """The picture of a user; 404 also when there is no such user."""
        avatar = await avatars.find(user_id)
        tag = f'"{avatar.digest}"'
        headers = {**self._headers, "ETag": tag}
        if is_unchanged(if_none_match, tag):
            return Response(status_code=304, headers=headers)
        return Response(avatar.content, media_type=MEDIA_TYPE, headers=headers)
