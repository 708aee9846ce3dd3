"""Files that are meant to do harm, and files that are no pictures."""

import asyncio
import resource
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, PngImagePlugin

PATH = "/api/v1/users/me/avatar"


def picture(size=(40, 20), kind="PNG", colour="red", mode="RGB", **options):
    file = BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG of a few kilobytes that says it is enormous, and would be: rows of zeros compress a thousandfold."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\0" * (3 * 1000 + 1)) for _ in range(1000)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def most_memory():
    """The most bytes that this process has had at any time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def exif(**tags):
    found = Image.Exif()
    for tag, value in tags.items():
        found[int(tag[1:], 16)] = value
    return found


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
# The first bytes are a picture's, and so may the rest be: what follows must not survive.
POLYGLOTS = {
    "HTML after a JPEG": picture(kind="JPEG") + HTML,
    "HTML in a JPEG's comment": picture(kind="JPEG", comment=HTML),
    "a ZIP after a PNG": picture() + b"PK\x03\x04" + b"evil.exe" * 20 + b"PK\x05\x06" + b"\0" * 18,
    "PHP after a WebP": picture(kind="WEBP") + b"<?php system($_GET['c']); ?>",
    "a PDF in a PNG": picture() + b"%PDF-1.7 evil.exe",
}
NO_PICTURES = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"hello",
    "SVG": SVG,
    "SVG with a declaration": b'<?xml version="1.0"?>' + SVG,
    "an XML bomb": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
    "HTML": HTML,
    "a GIF": picture(kind="GIF"),
    "a TIFF": picture(kind="TIFF"),
    "a BMP": picture(kind="BMP"),
    "an icon": picture(size=(16, 16), kind="ICO"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(%pipe%id) (w) file",
    "a PDF": b"%PDF-1.7\n",
    "a ZIP": b"PK\x03\x04" + b"\0" * 100,
    "a program": b"\x7fELF" + b"\0" * 100,
    "AVIF": b"\0\0\0\x1cftypavif" + b"\0" * 100,
    "a GIF with the head of HTML": b"GIF89a/*" + HTML,
    "a PNG's first bytes only": b"\x89PNG\r\n\x1a\n",
    "a JPEG's first bytes only": b"\xff\xd8\xff",
    "a JPEG's first bytes and HTML": b"\xff\xd8\xff" + HTML,
    "a PNG cut off": picture()[:-30],
    "a JPEG cut off": picture(size=(400, 400), kind="JPEG")[:-1500],
    "a WebP cut off": picture(size=(400, 400), kind="WEBP")[:-40],
    "a WebP's head and a WAV": b"RIFF\x24\0\0\0WEBP" + b"fmt " + b"\0" * 50,
    "a PNG without pixels": bomb(0, 0),
    "a PNG with a broken checksum": picture()[:40] + b"\xff" + picture()[41:],
    "a PNG of text that unpacks for ever": b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + png_chunk(b"zTXt", b"c\0\0" + zlib.compress(b"\0" * 80_000_000, 9))
    + png_chunk(b"IEND", b""),
}


@pytest.fixture
async def user(api_on_sqlite):
    headers = await api_on_sqlite.user()

    async def send(content, name="me.png", declared="image/png", **options):
        files = {"file": (name, content, declared)}
        return await api_on_sqlite.http.post(PATH, files=files, headers=headers, **options)

    async def shown():
        return (await api_on_sqlite.get(f"/users/{await api_on_sqlite.id_of('ada')}/avatar")).content

    send.headers, send.shown, send.http, send.folder = headers, shown, api_on_sqlite.http, api_on_sqlite.folder
    return send


async def test_what_is_no_jpeg_png_or_webp_is_refused_whatever_it_is_called(user):
    answers = {name: await user(content) for name, content in NO_PICTURES.items()}

    seen = {name: (answer.status_code, answer.json()["error"]["type"]) for name, answer in answers.items()}
    assert seen == dict.fromkeys(NO_PICTURES, (400, "AvatarNotValid"))


async def test_what_it_is_called_does_not_matter(user):
    answers = [
        await user(picture(), name, declared)
        for name, declared in (
            ("me.svg", "image/svg+xml"),
            ("../../../etc/passwd", "text/html"),
            ("shell.php\x00.png", "application/x-php"),
            ("a" * 1_000, "image/png"),
            ("me", "x/y"),
        )
    ]

    assert [answer.status_code for answer in answers] == [204] * 5


@pytest.mark.parametrize("polyglot", POLYGLOTS)
async def test_of_a_polyglot_only_the_picture_is_left(user, polyglot):
    assert (await user(POLYGLOTS[polyglot])).status_code == 204

    kept = await user.shown()
    assert not any(evil in kept for evil in (b"script", b"evil", b"PK\x03\x04", b"<?php", b"%PDF"))
    with Image.open(BytesIO(kept)) as image:
        assert image.size == (40, 20)


async def test_nothing_that_was_in_the_file_beside_the_picture_is_kept(user):
    """Where a photograph was taken, with what, by whom: none of it is anybody's business."""
    details = PngImagePlugin.PngInfo()
    details.add_text("Comment", "SECRET")
    gps = exif(x010E="SECRET", x9286=b"ASCII\0\0\0SECRET")
    gps.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    sources = (
        picture(kind="JPEG", exif=gps, comment=b"SECRET", icc_profile=b"SECRET" * 20),
        picture(exif=gps, pnginfo=details, icc_profile=b"SECRET" * 20),
        picture(kind="WEBP", exif=gps, xmp=b"<x>SECRET</x>", icc_profile=b"SECRET" * 20),
    )
    for source in sources:
        assert b"SECRET" in source
        assert (await user(source)).status_code == 204
        kept = await user.shown()
        with Image.open(BytesIO(kept)) as image:
            assert not image.info.keys() & {"exif", "xmp", "icc_profile", "comment", "Comment"}
            assert dict(image.getexif()) == {}
        assert b"SECRET" not in kept


async def test_a_picture_that_was_taken_sideways_is_turned_upright(user):
    assert (await user(picture(kind="JPEG", exif=exif(x0112=6)))).status_code == 204

    with Image.open(BytesIO(await user.shown())) as image:
        assert image.size == (20, 40)


async def test_a_large_picture_is_made_to_fit_and_a_small_one_is_left(user):
    sizes = []
    for size in ((2000, 1000), (1000, 2000), (10, 10), (1, 1)):
        assert (await user(picture(size=size, kind="JPEG"))).status_code == 204
        with Image.open(BytesIO(await user.shown())) as image:
            sizes.append(image.size)

    assert sizes == [(512, 256), (256, 512), (10, 10), (1, 1)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
async def test_pictures_of_every_kind_of_colour_are_taken(user, mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"

    assert (await user(picture(mode=mode, kind=kind, colour=None))).status_code == 204


async def test_transparency_is_kept(user):
    await user(picture(mode="RGBA", colour=(255, 0, 0, 0)))

    with Image.open(BytesIO(await user.shown())) as image:
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0


async def test_of_an_animation_the_first_picture_is_kept(user):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue", "green")]
    file = BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])

    assert (await user(file.getvalue())).status_code == 204
    with Image.open(BytesIO(await user.shown())) as image:
        assert getattr(image, "n_frames", 1) == 1
        red, _, blue = image.convert("RGB").getpixel((5, 5))
        assert red > blue


@pytest.mark.parametrize("size", [(30_000, 30_000), (65_535, 65_535), (1, 2**31 - 1), (2**31 - 1, 2**31 - 1)])
async def test_a_pixel_bomb_is_refused_before_it_unfolds(user, size):
    """It is small to send and would take gigabytes to decode."""
    content = bomb(*size)
    assert len(content) < 20_000
    before = most_memory()

    answer = await user(content)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "AvatarNotValid")
    assert most_memory() - before < 100_000_000


async def test_a_picture_of_as_many_pixels_as_allowed_is_taken_and_of_one_more_is_not(start_on_sqlite):
    async with start_on_sqlite(avatars={"max_pixels": 100}) as api:
        user = await api.user()
        answers = [
            await api.http.post(PATH, files={"file": ("a.png", picture(size=size))}, headers=user)
            for size in ((10, 10), (101, 1))
        ]

    assert [answer.status_code for answer in answers] == [204, 400]
    assert "100 pixels" in answers[1].json()["error"]["message"]


async def test_a_file_that_is_too_large_is_refused_by_what_its_head_says(user):
    """Nothing of the body is read."""
    read = []

    async def body():
        read.append(1)
        yield b"x"

    headers = {**user.headers, "Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(6_000_000)}
    answer = await user.http.post(PATH, content=body(), headers=headers)

    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "AvatarTooLarge")
    assert answer.json()["error"]["max_bytes"] == 5_242_880


async def test_a_file_that_does_not_say_how_large_it_is_is_refused_while_it_arrives(user):
    sent = 0

    async def endless():
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        while True:
            sent += 65_536
            yield b"\0" * 65_536

    headers = {**user.headers, "Content-Type": "multipart/form-data; boundary=x"}
    async with asyncio.timeout(60):
        answer = await user.http.post(PATH, content=endless(), headers=headers)

    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "AvatarTooLarge")
    assert sent <= 5_242_880 + 2 * 65_536


@pytest.mark.parametrize(
    ("content_type", "body", "status", "kind"),
    [
        ("image/png", picture(), 415, "UnsupportedMediaType"),
        ("application/json", b"{}", 415, "UnsupportedMediaType"),
        ("application/x-www-form-urlencoded", b"file=x", 415, "UnsupportedMediaType"),
        ("multipart/mixed; boundary=x", b"--x--", 415, "UnsupportedMediaType"),
        ("multipart/form-data", b"--x--", 415, "UnsupportedMediaType"),
        ("multipart/form-data; boundary=", b"----", 415, "UnsupportedMediaType"),
        (f"multipart/form-data; boundary={'x' * 300}", b"--x--", 400, "AvatarNotValid"),
        ("multipart/form-data; boundary=x", b"", 400, "AvatarNotValid"),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400, "AvatarNotValid"),
        ("multipart/form-data; boundary=x", b"no form at all", 400, "AvatarNotValid"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno head\r\n--x--\r\n", 400, "AvatarNotValid"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\n' + picture() + b"\r\n--x--\r\n",
            400,
            "AvatarNotValid",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + picture(),
            400,
            "AvatarNotValid",
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A" * 15_000 + b": b\r\n", 400, "AvatarNotValid"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n" * 1_000, 400, "AvatarNotValid"),
    ],
)
async def test_a_body_that_is_no_form_with_a_file_is_refused(user, content_type, body, status, kind):
    answer = await user.http.post(PATH, content=body, headers={**user.headers, "Content-Type": content_type})

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


async def test_a_file_that_is_refused_leaves_the_picture_that_was_there(user):
    await user(picture())
    before = await user.shown()

    for content in (b"", SVG, bomb(30_000, 30_000)):
        assert (await user(content)).status_code == 400

    assert await user.shown() == before
    assert len([path for path in (user.folder / "data/avatars").rglob("*") if path.is_file()]) == 1
