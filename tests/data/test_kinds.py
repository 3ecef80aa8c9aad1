"""Every kind of image file: what data.check passes, both backends load alike."""

import io
import re
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import data.check
from data.backends import decodable
from data.interface import STD
from foundation.errors import run_command
from tests.conftest import write_images
from tests.data.test_data import every_batch, joined

SIZE = (45, 36)


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def picture(size=SIZE, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def by_mode():
    """Return the same picture in every mode of PIL that some format saves."""
    rgb = picture()
    grey = rgb.convert("L")
    levels = np.asarray(grey)
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    images = {mode: rgb.convert(mode) for mode in ("L", "1", "CMYK", "YCbCr", "HSV", "RGBX", "LA")}
    images |= {"RGB": rgb, "P": rgb.quantize(64), "RGBA": rgb.convert("RGBA")}
    images["LAB"] = ImageCms.profileToProfile(rgb, srgb, lab, outputMode="LAB")
    images["PA"] = images["P"].convert("PA")
    for mode in ("RGBA", "LA"):
        images[mode].putalpha(grey)
    images["I;16"] = Image.fromarray(levels.astype(np.uint16) * 257)
    images["I;16 dark"] = Image.fromarray(levels.astype(np.uint16))
    images["I"] = Image.fromarray(levels.astype(np.int32) * 100)
    images["F"] = Image.fromarray(levels.astype(np.float32))
    images["F to 1"] = Image.fromarray(levels.astype(np.float32) / 255)
    return images


def png(pixels, depth, color):
    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", *SIZE, depth, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def ppms(rgb):
    """Return P2, P3, P5 and P6 files of many maxima."""
    files = {}
    for most in (1, 15, 100, 127, 200, 254, 255, 256, 1023, 32768, 65535):
        values = rgb.astype(np.int64) * most // 255
        for kind, plane in (("6", values), ("5", values[..., 0])):
            head = f"{SIZE[0]} {SIZE[1]} {most}\n".encode()
            raw = plane.astype(">u2" if most > 255 else np.uint8).tobytes()
            files[f"P{kind} of {most}.ppm"] = b"P%s\n" % kind.encode() + head + raw
            plain = b" ".join(b"%d" % value for value in plane.reshape(-1))
            number = str(int(kind) - 3).encode()
            files[f"P{number.decode()} of {most}.ppm"] = b"P%s\n" % number + head + plain
    return files


def bmp(bits, method, pixels, masks=b""):
    head = struct.pack("<IiiHHIIiiII", 40, *SIZE, 1, bits, method, len(pixels), 1, 1, 0, 0) + masks
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + pixels


def zoo():
    rgb = picture()
    files = {}
    for mode, image in by_mode().items():
        for form in ("JPEG", "PNG", "BMP", "TIFF", "PPM", "WEBP"):
            try:
                files[f"{mode} as {form}.{form.lower()}"] = encoded(image, form)
            except (OSError, KeyError, ValueError):
                continue  # there is no such file
        for method in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "group4"):
            try:
                name = f"{mode} by {method}.tiff"
                files[name] = encoded(image, "TIFF", compression=method)
            except (OSError, KeyError, ValueError):
                continue
    for turned in range(1, 9):
        exif = Image.Exif()
        exif[274] = turned
        files[f"turned {turned}.tiff"] = encoded(rgb, "TIFF", tiffinfo={274: turned})
        files |= {
            f"turned {turned}.{form.lower()}": encoded(rgb, form, exif=exif)
            for form in ("JPEG", "PNG", "WEBP")
        }
    pixels = np.asarray(rgb)
    noise = np.random.default_rng(1).integers(0, 256, (*pixels.shape[:2], 4))
    deep = (np.dstack([pixels, pixels[..., 0]]).astype(int) * 256 + noise).astype(">u2")
    files["16 bits RGB.png"] = png(deep[..., :3], 16, 2)
    files["16 bits RGBA.png"] = png(deep, 16, 6)
    files["16 bits grey.png"] = png(deep[..., 0], 16, 0)
    files["16 bits grey, alpha.png"] = png(deep[..., :2], 16, 4)
    files |= ppms(pixels)
    up = pixels[::-1].astype(np.uint16) >> 3
    padded = np.pad(up, ((0, 0), (0, SIZE[0] % 2), (0, 0)))
    low = padded[..., 0] << 10 | padded[..., 1] << 5 | padded[..., 2]
    files["555.bmp"] = bmp(16, 0, low.astype("<u2").tobytes())
    masks = struct.pack("<III", 0x7C00, 0x3E0, 0x1F)
    files["masked.bmp"] = bmp(16, 3, low.astype("<u2").tobytes(), masks)
    second = picture((30, 20), seed=1)
    files["two sizes.tiff"] = encoded(rgb, "TIFF", save_all=True, append_images=[second])
    files["moves.webp"] = encoded(rgb, "WEBP", save_all=True, append_images=[picture(seed=1)])
    files["moves.png"] = encoded(rgb, "PNG", save_all=True, append_images=[picture(seed=1)])
    files["a pair.jpeg"] = encoded(rgb, "MPO", save_all=True, append_images=[picture(seed=1)])
    files["a gif.jpeg"] = encoded(rgb, "GIF")
    return files


@pytest.fixture(scope="module")
def kinds():
    return zoo()


@pytest.fixture
def zoo_folder(kinds, tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path / "set" / split / "a", [SIZE], seed=1)
    for name, content in kinds.items():
        (tmp_path / "set" / "val" / "a" / name).write_bytes(content)
    return tmp_path / "set"


@pytest.mark.parametrize("has_dali", [True, False])
def test_what_check_passes_is_loaded_alike(zoo_folder, tmp_path, main_of, monkeypatch, has_dali):
    if not has_dali:  # then the rule by format and mode must do
        monkeypatch.setattr(decodable, "_dali", lambda: None)
    listed = tmp_path / "bad.txt"
    arguments = [zoo_folder, "--out", listed, "--workers", 1]
    code, out, _ = main_of(lambda: run_command(data.check.main), *arguments)
    assert code == 1, out
    rows = [line.split("\t") for line in listed.read_text().splitlines()[1:]]
    bad = {path.removeprefix("val/a/"): reason for path, reason in rows}
    settings = ["model.num_classes=1", f"data.exclude={listed}"]
    settings += ["data.image_size=32", "data.eval_resize=36"]  # the shorter side: no resize
    ours, theirs = (
        joined(every_batch(zoo_folder, backend, 0, 1, "val", *settings, classes=1)[0])[0]
        for backend in ("dali", "torchvision")
    )
    apart = (ours - theirs).abs() * torch.tensor(STD)[:, None, None] * 255
    assert apart.max() <= 1.01
    assert len(ours) == 1 + sum(1 for _ in (zoo_folder / "val" / "a").iterdir()) - 1 - len(bad)
    for kind in ("I;16 as PNG.png", "F as TIFF.tiff", "LAB as TIFF.tiff", "turned 6.tiff"):
        assert kind in bad
    for kind in ("P6 of 100.ppm", "P5 of 1023.ppm", "555.bmp", "a gif.jpeg", "turned 3.tiff"):
        assert kind in bad
    for kind in ("RGB as JPEG.jpeg", "CMYK as JPEG.jpeg", "turned 6.jpeg", "P as PNG.png"):
        assert kind not in bad
    for kind in ("16 bits RGB.png", "RGBA as WEBP.webp", "a pair.jpeg", "P6 of 255.ppm"):
        assert kind not in bad
    assert all(reason and "\n" not in reason for reason in bad.values())


@pytest.mark.parametrize(
    "kind",
    ["I as TIFF.tiff", "F as PPM.ppm", "RGB by lzma.tiff", "P3 of 255.ppm", "turned 6.tiff"],
)
def test_a_failure_of_dali_names_its_file(kinds, tmp_path, kind):
    for split in ("train", "val"):
        for label in "abc":
            write_images(tmp_path / split / label, [SIZE] * 3, seed=1)
    (tmp_path / "val" / "b" / kind).write_bytes(kinds[kind])
    with pytest.raises(ValueError, match=f"^{tmp_path}/val/b/{kind}: .*data.check") as caught:
        every_batch(tmp_path, "dali", 0, 1, "val")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"restart_marker_blocks": 2},
        {"mode": "L"},
        {"mode": "CMYK"},
        {"mode": "CMYK", "progressive": True},
        {"subsampling": 0, "optimize": True},
    ],
)
def test_a_jpeg_cut_anywhere_is_found(options):
    image = picture((33, 26)).convert(options.get("mode", "RGB"))
    content = encoded(image, "JPEG", **{k: v for k, v in options.items() if k != "mode"})
    assert decodable.why_undecodable(content, (26, 33)) is None
    assert decodable.why_undecodable(content + b"after the end", (26, 33)) is None
    passed = [
        n for n in range(len(content)) if not decodable.why_undecodable(content[:n], (26, 33))
    ]
    assert passed == []


def test_a_jpeg_that_lost_its_last_bytes_alone():
    """PIL and DALI decode some of these to the same pixels as the whole file."""
    thumbnail = encoded(picture((16, 12)), "JPEG")  # has an end of its own
    exif = b"Exif\0\0" + thumbnail
    by_pil = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).integers(0, 256, (60 + seed, 80, 3), dtype=np.uint8)
        content = encoded(Image.fromarray(noise), "JPEG", exif=exif)
        for lost in (1, 2):
            reason = decodable.why_undecodable(content[:-lost], noise.shape[:2])
            assert re.search("cut|truncated", reason)
            with suppress(OSError):
                Image.open(io.BytesIO(content[:-lost])).convert("RGB")
                by_pil += 1
    assert by_pil  # or the end marker need not be looked for
