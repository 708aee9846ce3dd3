"""Files that come in forms (RFC 7578), read as they arrive and never longer than they may be."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from powerstrip import UnsupportedMediaType
from powerstrip_users.errors import AvatarNotValid, AvatarTooLarge, UploadBusy, UploadTooSlow

FIELD = "file"

# What a form may hold beside the file: boundaries, headers, small fields.
_MARGIN = 16_384


class UploadSlots:
    """Room for so many uploads at once: what they hold in memory is bounded, and no slow one keeps its place."""

    def __init__(self, most: int, timeout: float) -> None:
        self._free = most
        self._timeout = timeout

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Raises UploadBusy when none is free."""
        if self._free == 0:
            raise UploadBusy
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    @asynccontextmanager
    async def in_time(self) -> AsyncGenerator[None]:
        """Raises UploadTooSlow when what is awaited inside takes too long."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError:
            raise UploadTooSlow from None


async def read_file(headers: Mapping[str, str], body: AsyncIterable[bytes], most: int) -> bytes:
    """The content of the form's `file`.

    Raises AvatarTooLarge as soon as it is longer than `most` bytes, at once if the headers say so,
    UnsupportedMediaType when the body is no such form, and AvatarNotValid when it is broken or holds no file.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most + _MARGIN:
        raise AvatarTooLarge(most)
    form = _FileForm(_boundary(headers.get("content-type", "")), most)
    async for chunk in body:
        form.feed(chunk)
    return form.content()


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedMediaType(f"Send the picture as the field '{FIELD}' of a form: multipart/form-data.")
    return boundary


class _FileForm:
    """A form that is being read: keeps the file, counts all, forgets the rest."""

    def __init__(self, boundary: bytes, most: int) -> None:
        self._most = most
        self._size = 0
        self._file: bytearray | None = None
        self._is_file = False
        self._has_ended = False
        self._name, self._value = bytearray(), bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._on_header_end,
                    "on_part_data": self._on_part_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise AvatarNotValid("The form can't be read: its boundary is too long.") from error

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._most + _MARGIN:
            raise AvatarTooLarge(self._most)
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise AvatarNotValid("The form can't be read.") from error

    def content(self) -> bytes:
        if self._file is None:
            raise AvatarNotValid(f"The form has no file in its field '{FIELD}'.")
        if not self._has_ended:
            raise AvatarNotValid("The form breaks off.")
        return bytes(self._file)

    def _on_part_begin(self) -> None:
        self._is_file = False

    def _on_header_end(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            # Of two files the first counts.
            self._is_file = options.get(b"name") == FIELD.encode() and self._file is None
            if self._is_file:
                self._file = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self._file is not None:
            self._file += data[start:end]
            if len(self._file) > self._most:
                raise AvatarTooLarge(self._most)

    def _on_end(self) -> None:
        self._has_ended = True
