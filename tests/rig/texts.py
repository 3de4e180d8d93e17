"""Texts of several languages and kinds, as different from each other as a collection's items are."""

import json
import random

ENGLISH = """the of and to in a is that it was for on are with as his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would other
into has more her two like him see time could no make than first been its who now people my made over did down only way find use
may water long little very after words called just where most know government development international responsibility
understanding investigation manufacturing environmental questionnaire recommendations""".split()
GERMAN = """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie
nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde
Geschäftsführung Straßenbahnhaltestelle Verantwortlichkeit Überprüfung Öffentlichkeitsarbeit Zusammenhänge größer schönsten
Krankenversicherung Umweltverträglichkeitsprüfung möglicherweise außerdem gegenüber Veröffentlichung""".split()
JAPANESE = """今日は 天気が とても よいので 公園まで 歩いて 行きました 。 新しい 製品の 説明を 日本語で 書いて ください 、 東京 大阪 京都の 歴史と
文化について 調べる データベース コンピューター を 使って 情報を 整理し ユーザーに わかりやすく 伝える ことが 重要です 「 」 価格は 三千円""".split()
TAGS = ["p", "div", "li", "h2", "span class=\"lead\"", "a href=\"/articles/2026/11/launch\"", "strong", "td"]
NAMES = ["id", "title", "status", "price", "date_created", "sku", "tags", "author", "slug", "stock"]


def _sentences(random, words, count):
    out = []
    while len(out) < count:
        sentence = [random.choice(words) for _ in range(random.randint(4, 20))]
        sentence[0] = sentence[0].capitalize()
        if random.random() < 0.3:
            sentence[len(sentence) // 2] += ","
        out += sentence[:-1] + [sentence[-1] + random.choice(".....?!")]
    return " ".join(out[:count])


def english(random, size):
    return _sentences(random, ENGLISH, size)


def german(random, size):
    return _sentences(random, GERMAN, size)


def japanese(random, size):
    return "".join(random.choice(JAPANESE) for _ in range(size))


def numbers(random, size):
    rows = ([f"{random.randint(0, 10**random.randint(1, 9))}", f"{random.uniform(0, 5000):.2f}",
             f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}"] for _ in range(size // 4 + 1))
    return "\n".join(";".join(row) for row in rows)


def html(random, size):
    out = []
    for _ in range(size // 8 + 1):
        tag = random.choice(TAGS)
        out.append(f"<{tag}>{_sentences(random, ENGLISH, random.randint(2, 14))}</{tag.split()[0]}>")
    return "\n".join(out)


def as_json(random, size):
    def value():
        return random.choice([random.randint(0, 99999), round(random.uniform(0, 900), 2), True, None,
                              _sentences(random, ENGLISH, random.randint(1, 9)), f"{random.getrandbits(64):016x}"])

    return json.dumps([{name: value() for name in random.sample(NAMES, random.randint(3, 8))} for _ in range(size // 15 + 1)],
                      indent=random.choice([None, 2]), ensure_ascii=False)


def mixed(random, size):
    """What a flow over a whole collection sees: a different kind each time."""
    return random.choice([english, german, japanese, numbers, html, as_json])(random, size)


KINDS = {"English": english, "German": german, "Japanese": japanese, "JSON": as_json, "HTML": html, "numbers": numbers,
         "mixed": mixed}


def some(kind, count, seed=1):
    """`count` texts of that kind, of 20 to 600 words or what is like them."""
    source = random.Random(f"{kind}{seed}")
    return [KINDS[kind](source, int(20 * 30 ** source.random())) for _ in range(count)]
