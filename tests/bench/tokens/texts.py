#!/usr/bin/python3
"""Real texts for vectors.mjs: tests/vectors/past-calls.json keeps what was counted of them, not the texts.

    apt-get install manpages-de manpages-ja && cd FOLDER &&
    apt-get download libreoffice-help-{en-us,de,fr,es,ru,ja,zh-cn,ko} iso-codes && for d in *.deb; do dpkg -x $d docs; done
    tests/bench/tokens/texts.py FOLDER MODULES      writes FOLDER/texts.json; MODULES: a node_modules folder with a few hundred packages

A step has 150 texts of one kind, in pieces of 120 bytes to 6 kB; short ones as they are. Other versions of the packages give
other texts, and figures that are some points off."""

import glob
import html
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import uuid

FOLDER, MODULES = sys.argv[1:3]
COUNT = 150
LANGUAGES = ["en-US", "de", "fr", "es", "ru", "ja", "zh-CN", "ko"]
source = random.Random(7)


def piece(text, least, most):
    """Of a size whose logarithm is evenly spread, from the beginning of a sentence to the end of a word."""
    size = int(least * (most / least) ** source.random())
    if len(text.encode()) <= size:
        return text.strip()
    begin = re.compile(r"[\n.。]\s*").search(text, source.randrange(max(1, len(text) - size // 3)))
    part = text[begin.end() if begin else 0:].encode()[:size].decode("utf-8", "ignore")
    end = max(part.rfind(c) for c in "\n .。、")
    return (part[:end] if end > len(part) // 2 else part).strip()


def pieces(pattern, read, least=120, most=6000):
    files = sorted(glob.glob(pattern, recursive=True))
    source.shuffle(files)
    out = []
    for file in files * 3:
        try:
            text = piece(read(file), least, most)
        except (UnicodeDecodeError, AttributeError, OSError, ValueError):
            continue
        if len(text.encode()) >= 80:
            out.append(text)
        if len(out) == COUNT:
            return out
    sys.exit(f"{pattern}: only {len(out)} texts")


def plain(file):
    return pathlib.Path(file).read_text(encoding="utf-8")


def markup(file):
    return re.search(r"<body[^>]*>(.*)</body>", plain(file), re.S)[1]


def prose(file):
    text = re.sub(r"<(script|style|select|nav|header|footer)\b.*?</\1>", "", markup(file), flags=re.S)
    text = re.sub(r"</(p|h\d|li|tr|div)>|<br/?>", "\n", text)
    text = re.sub(r"[ \t]+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))
    return re.sub(r"\n\s*\n+", "\n", text).strip()


def manual(file):
    env = dict(os.environ, MANWIDTH="2000", MANROFFOPT="-c", LC_ALL="C.UTF-8")
    page = subprocess.run(["man", "-l", "-E", "UTF-8", file], capture_output=True, env=env).stdout.decode()
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in re.sub(".\x08", "", page).split("\n"))
    return "\n".join(line for line in lines if line)


def records():
    files = sorted(glob.glob(f"{FOLDER}/docs/usr/share/iso-codes/json/*.json"))
    all_records = [record for file in files for record in next(iter(json.loads(plain(file)).values()))]
    for _ in range(COUNT):
        count = int(60 ** source.random())
        begin = source.randrange(len(all_records) - count)
        yield json.dumps(all_records[begin:begin + count], ensure_ascii=False, indent=source.choice([None, 2]))


def items(texts):
    """As a collection's items come: prose within data."""
    def item():
        words = source.choice(texts).split()
        return {"id": str(uuid.UUID(int=source.getrandbits(128))), "status": source.choice(["draft", "published", "archived"]),
                "title": " ".join(words[:source.randint(3, 9)]), "slug": "-".join(word.lower() for word in words[:4]),
                "price": round(source.uniform(0, 900), 2), "stock": source.randint(0, 9999),
                "date_created": f"2026-{source.randint(1, 12):02}-{source.randint(1, 28):02}T09:00:00.000Z",
                "body": "<p>" + html.escape(" ".join(words[:int(5 * 30 ** source.random())])) + "</p>",
                "author": None if source.random() < 0.3 else source.randint(1, 99)}

    for _ in range(COUNT):
        yield json.dumps([item() for _ in range(int(12 ** source.random()))], ensure_ascii=False)


def rows():
    for _ in range(COUNT):
        yield "\n".join(f"{source.randint(0, 10 ** source.randint(1, 9))};{source.uniform(0, 5000):.2f};"
                        f"2026-{source.randint(1, 12):02}-{source.randint(1, 28):02}" for _ in range(int(3 * 60 ** source.random())))


help_pages = FOLDER + "/docs/usr/share/libreoffice/help/{}/text/**/*.html"
steps = {f"help {language}": pieces(help_pages.format(language), prose) for language in LANGUAGES}
steps["html de"] = pieces(help_pages.format("de"), lambda file: re.sub(r"\s*\n\s*", "\n", markup(file)))
for language in ["", "de", "ja"]:
    steps[f"manual {language or 'en'}"] = pieces(f"/usr/share/man/{language}/man[1578]/*.gz".replace("//", "/"), manual)
steps["json records"] = list(records())
steps["json package"] = pieces(f"{MODULES}/*/package.json", plain, 3000, 8000)
steps["json compact"] = pieces(f"{MODULES}/*/package.json", lambda file: json.dumps(json.loads(plain(file)), separators=(",", ":")), 300, 8000)
steps["json items"] = list(items(steps["help en-US"] + steps["help de"]))
steps["code c"] = pieces("/usr/include/**/*.h", plain)
steps["code js"] = pieces(f"{MODULES}/*/lib/*.js", plain)
steps["markdown"] = pieces(f"{MODULES}/*/README.md", plain)
steps["csv"] = list(rows())
steps["mixed all"] = [source.choice(source.choice(list(steps.values()))) for _ in range(COUNT)]
pathlib.Path(FOLDER, "texts.json").write_text(json.dumps(steps, ensure_ascii=False), encoding="utf-8")
