"""Pictures of strangers, made harmless."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps

from powerstrip_users.errors import AvatarNotValid

MEDIA_TYPE = "image/webp"

_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is kept: WebP, without anything that was in the file beside it."""

    content: bytes
    width: int
    height: int


class Pictures:
    """Decodes pictures in threads of its own, so many at once. Nothing of the file is kept but how it looks."""

    def __init__(self, executor: ThreadPoolExecutor, max_pixels: int, edge: int) -> None:
        self._executor = executor
        self._max_pixels = max_pixels
        self._edge = edge

    @classmethod
    @asynccontextmanager
    async def running(cls, threads: int, max_pixels: int, edge: int) -> AsyncGenerator["Pictures"]:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
        try:
            yield cls(executor, max_pixels, edge)
        finally:
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)

    async def remake(self, content: bytes) -> Picture:
        """The picture in the file, no larger than `edge` on either side, upright. Of an animation it is the first.

        Raises AvatarNotValid for what is no JPEG, PNG or WebP by its first bytes, what is broken or cut off, and
        what has more than `max_pixels`.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._remake, content)

    def _remake(self, content: bytes) -> Picture:
        kind = _kind(content)
        if kind is None:
            raise AvatarNotValid
        try:
            return self._redrawn(content, kind)
        except AvatarNotValid:
            raise
        except Exception as error:  # decoders raise all sorts of things at what strangers send
            raise AvatarNotValid("The picture is broken.") from error

    def _redrawn(self, content: bytes, kind: str) -> Picture:
        # Pillow's own limit is higher than any that can be set here, so ours comes first; the pixels come last.
        with Image.open(BytesIO(content), formats=[kind]) as image:
            if image.width * image.height > self._max_pixels:
                raise AvatarNotValid(f"The picture has more than {self._max_pixels} pixels.")
            image.thumbnail((self._edge, self._edge))
            upright = _in_eight_bits(ImageOps.exif_transpose(image))
        drawn = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        drawn.info.clear()  # Pillow writes colour profiles and the like that it finds here
        target = BytesIO()
        drawn.save(target, "WEBP", quality=_QUALITY)
        return Picture(target.getvalue(), drawn.width, drawn.height)


def _kind(content: bytes) -> str | None:
    """What the first bytes say it is. What the sender says doesn't matter."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return None


def _in_eight_bits(image: Image.Image) -> Image.Image:
    # Greys of 16 bits would be cut off at white, not scaled.
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    return image
