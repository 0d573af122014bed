"""Build src/sumnist/data/hands.npz: letters, signs and digits of handwriting fonts, as the reader sees them.

    mkdir sources && for p in $(python scripts/build_hands.py); do
        npm pack @fontsource/$p && mkdir -p sources/$p && tar xzf fontsource-$p-*.tgz -C sources/$p; done
    python scripts/build_hands.py sources

Training meets them beside its drawn characters. No font of the suites is among them. Each character is drawn, turned,
slanted and bent a little, put on paper, and brought by `see` to what a network gets: uint8 [N, 28, 28], 16 levels. The
result does not depend on the clock: the same sources and libraries give the same bytes. `NOTICE-HANDS.txt`, written
with it, names the fonts, whose they are and their licences.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from build_suites import LARGE, picture
from sumnist.data.outliers import HANDS as TARGET
from sumnist.images import see
from sumnist.suites.archive import LEVELS
from sumnist.suites.chance import generator
from sumnist.suites.strangers import LOOK_ALIKES

FONTS = [
    "amatic-sc", "annie-use-your-telescope", "architects-daughter", "bad-script", "beth-ellen", "calligraffitti",
    "caramel", "cedarville-cursive", "chilanka", "comic-neue", "coming-soon", "courgette", "covered-by-your-grace",
    "crafty-girls", "dancing-script", "dawning-of-a-new-day", "dekko", "delius", "edu-nsw-act-foundation",
    "edu-qld-beginner", "edu-sa-beginner", "edu-tas-beginner", "edu-vic-wa-nt-beginner", "fuzzy-bubbles",
    "give-you-glory", "gloria-hallelujah", "gluten", "gochi-hand", "grandstander", "grape-nuts", "grechen-fuemen",
    "handlee", "homemade-apple", "itim", "just-another-hand", "just-me-again-down-here", "kaushan-script", "kite-one",
    "kolker-brush", "la-belle-aurore", "league-script", "licorice", "love-ya-like-a-sister", "loved-by-the-king",
    "mali", "mansalva", "marck-script", "merienda", "mynerve", "nerko-one", "neucha", "nothing-you-could-do",
    "oooh-baby", "over-the-rainbow", "pangolin", "permanent-marker", "playpen-sans", "rancho", "reenie-beanie",
    "rock-salt", "ruge-boogie", "satisfy", "schoolbell", "sedgwick-ave", "shadows-into-light",
    "shadows-into-light-two", "short-stack", "sofia", "square-peg", "sriracha", "sue-ellen-francisco", "sunshiney",
    "swanky-and-moo-moo", "the-girl-next-door", "vibur", "waiting-for-the-sunrise", "walter-turncoat", "zeyada",
]  # fmt: skip
LETTERS = "".join(sorted(set(ascii_letters) - set(LOOK_ALIKES)))
SIGNS = "?!%&@#$+=*"
PICTURES = {**dict.fromkeys(digits, 2), **dict.fromkeys(LETTERS, 1), **dict.fromkeys(SIGNS, 0.25)}
"""Pictures of each character in each hand; of a sign, in so large a share of the hands."""


def build(sources: Path, target: Path) -> None:
    """Draw everything and write it to `target`, and the notice beside it."""
    arrays = written(sources)
    with zipfile.ZipFile(target, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array)
            name = zipfile.ZipInfo(f"{key}.npy", (1998, 11, 1, 0, 0, 0))
            archive.writestr(name, buffer.getvalue(), zipfile.ZIP_BZIP2, 9)
    target.with_name("NOTICE-HANDS.txt").write_text(notice(sources), encoding="utf-8")
    print(f"{target.name}: {len(arrays['images']):,} images, {target.stat().st_size:,} bytes")


def written(sources: Path) -> dict[str, NDArray[Any]]:
    """The images, levels 0..15, and the code of the character on each; pictures that are not read are left out."""
    images, characters = [], []
    place = 0
    for hand in FONTS:
        face = ImageFont.truetype(file_of(sources / hand), LARGE // 2)
        for character, count in PICTURES.items():
            if bytes(face.getmask(character)) in (b"", bytes(face.getmask("\uffff"))) or not any(
                face.getmask(character)
            ):
                continue  # not in this font
            for _ in range(int(count) or int(generator(0, f"sign {hand}", ord(character)).random() < count)):
                place += 1
                seen = see(picture(character, face, generator(1, "hand", place)) * np.uint8(255 // (LEVELS - 1)))
                if seen.problem is None:
                    images.append(np.rint(seen.image * (LEVELS - 1)).astype(np.uint8))
                    characters.append(ord(character))
    return {"images": np.stack(images), "characters": np.array(characters, np.uint8)}


def file_of(folder: Path) -> str:
    """The font's file with Latin letters and the weight nearest to the usual one."""
    files = list(folder.rglob("*-latin-[1-9]00-normal.woff2"))
    if not files:
        raise SystemExit(f"build_hands: {folder}: no font in it: unpack there the package that this script names")
    return str(min(files, key=lambda path: abs(int(path.stem.split("-")[-2]) - 400)))


def notice(sources: Path) -> str:
    """Whose fonts they are."""
    lines = []
    for hand in FONTS:
        package = sources / hand / "package"
        licence = json.loads((package / "package.json").read_text(encoding="utf-8"))["license"]
        named = package / "LICENSE"
        holder = named.read_text(encoding="utf-8").strip().splitlines()[0] if named.exists() else "see the package"
        lines.append(f"@fontsource/{hand}: {licence}\n    {holder}\n")
    return (
        "What hands.npz holds, made by scripts/build_hands.py: drawings of single characters in these handwriting\n"
        "fonts, turned, bent and reduced to 28x28 pixels of 16 grey levels. No font and no font program is in it.\n\n"
        + "\n".join(lines)
    )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print("\n".join(FONTS))
    elif len(sys.argv) == 2:
        build(Path(sys.argv[1]), TARGET)
    else:
        raise SystemExit("usage: python scripts/build_hands.py [FOLDER_WITH_THE_UNPACKED_PACKAGES]")
