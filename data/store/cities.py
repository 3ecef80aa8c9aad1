"""Cityscapes' cities, and the splits by city that Section 4.2 trains and validates on."""

from typing import get_args

from configs.segmentation_keys import Split

# Finely labelled images of each city in the official train/ and val/.
OFFICIAL = {
    "train": {
        "aachen": 174,
        "bochum": 96,
        "bremen": 316,
        "cologne": 154,
        "darmstadt": 85,
        "dusseldorf": 221,
        "erfurt": 109,
        "hamburg": 248,
        "hanover": 196,
        "jena": 119,
        "krefeld": 99,
        "monchengladbach": 94,
        "strasbourg": 365,
        "stuttgart": 196,
        "tubingen": 144,
        "ulm": 95,
        "weimar": 142,
        "zurich": 122,
    },
    "val": {"frankfurt": 267, "lindau": 59, "munster": 174},
}
SPLITS = get_args(Split)
_VAL_CITIES = 3


def val_cities(split: Split) -> tuple[str, ...]:
    """Return the cities that a split validates on; it trains on the others.

    The official val cities, then the official train cities, both sorted: three in a row from
    floor(21 k / 3) on. cv0 is the official split, cv2 the paper's additional one (Table 5).
    """
    cities = (*sorted(OFFICIAL["val"]), *sorted(OFFICIAL["train"]))
    start = len(cities) * SPLITS.index(split) // len(SPLITS)
    return cities[start : start + _VAL_CITIES]


def wrong_cities(part: str, found: set[str]) -> list[str]:
    """Return what is wrong with the cities found in leftImg8bit/<part>, a line each."""
    official = set(OFFICIAL[part])
    missing = [
        f"leftImg8bit/{part}/{city}: missing or empty; the splits need all 21 cities, unpack "
        f"leftImg8bit_trainvaltest.zip again"
        for city in sorted(official - found)
    ]
    unknown = [
        f"leftImg8bit/{part}/{city}: no city of Cityscapes' {part}; move it away, the splits are "
        f"of its 21 cities"
        for city in sorted(found - official)
    ]
    return missing + unknown
