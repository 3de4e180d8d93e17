// What must never leave Directus: the headers of requests, cookies, tokens and passwords.
//
// Webhook and manual triggers carry the caller's headers with his token in clear, and a request operation may have
// answered with a cookie. Directus hides these in its own flow log (flows.ts: the list of redacted paths), but
// operations see them.

/** Whole headers go where a trigger put them; a response keeps its harmless ones. */
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie|set-cookie|x-api-key|api-key|x-goog-api-key|x-csrf-token|x-xsrf-token|.*-token|.*-secret)$/i;
const SECRET_QUERY = new Set(['access_token', 'token']);
const SECRET_FIELD = new Set([
	'password', 'token', 'access_token', 'refresh_token', 'tfa_secret', 'external_identifier', 'auth_data', 'credentials',
	'ai_openai_api_key', 'ai_anthropic_api_key', 'ai_google_api_key', 'ai_openai_compatible_api_key',
]);
/** Under these keys lies what somebody sent; a field named `password` elsewhere is content. */
const SENT = new Set(['payload', 'body']);
const DEPTH_MAX = 100;

type Rule = 'none' | 'headers' | 'query' | 'sent';

const ruleOf = (key: string, outer: Rule): Rule => {
	if (key === 'headers') return 'headers';
	if (key === 'query') return 'query';
	return SENT.has(key) ? 'sent' : outer === 'sent' ? 'sent' : 'none';
};

const isSecret = (key: string, rule: Rule): boolean =>
	(rule === 'headers' && SECRET_HEADER.test(key)) ||
	(rule === 'query' && SECRET_QUERY.has(key)) ||
	(rule === 'sent' && SECRET_FIELD.has(key));

/** A webhook or manual trigger, wherever it lies ($trigger, $last, the payload of another flow). */
const isRequest = (value: Record<string, unknown>): boolean => 'method' in value && 'path' in value && 'headers' in value;

function walk(value: unknown, rule: Rule, depth: number): unknown {
	if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return depth > DEPTH_MAX ? null : value;
	if (Array.isArray(value)) return value.map((item) => walk(item, rule, depth + 1));
	if (value instanceof Date) return value.toISOString();
	if (value instanceof Error) return { name: value.name, message: value.message, ...(walk({ ...value }, rule, depth + 1) as object) };
	const from = value as Record<string, unknown>;
	const to: Record<string, unknown> = {};
	for (const [key, item] of Object.entries(from)) {
		if (isSecret(key, rule) || (key === 'headers' && isRequest(from))) continue;
		to[key] = walk(item, ruleOf(key, rule), depth + 1);
	}
	return to;
}

/** A copy that may leave. */
export function scrub(value: unknown): unknown {
	return walk(value, 'none', 0);
}

const PERSON = ['user', 'role', 'roles', 'admin', 'app', 'ip', 'userAgent', 'origin'];

/** Who caused the run, without what he could be impersonated with (session, share, oauth). */
export function scrubAccountability(accountability: unknown): Record<string, unknown> | null {
	if (typeof accountability !== 'object' || accountability === null) return null;
	const from = accountability as Record<string, unknown>;
	return Object.fromEntries(PERSON.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));
}
