// What can be chosen in the forms: the providers and models that a worker offers, the flows, and whether the flow at hand
// blocks. Asked once per page; until the answer is there, and without a worker, the models that flow-worker knows.

import { ref } from 'vue';

export interface Choice {
	text: string;
	value: string;
}

interface Offer {
	providers: { id: string; name?: string; models: { id: string; name?: string }[] }[];
}

interface Flow {
	id: string;
	name: string;
	status: string;
	trigger: string;
	options: { type?: string } | null;
}

const NAMES: Record<string, string> = { openai: 'OpenAI', anthropic: 'Anthropic', google: 'Google', 'openai-compatible': 'OpenAI-compatible' };

const KNOWN: Record<string, [string, string][]> = {
	openai: [
		['gpt-4o-mini', 'GPT-4o Mini'],
		['gpt-4.1-nano', 'GPT-4.1 Nano'],
		['gpt-4.1-mini', 'GPT-4.1 Mini'],
		['gpt-4.1', 'GPT-4.1'],
		['gpt-5-nano', 'GPT-5 Nano'],
		['gpt-5-mini', 'GPT-5 Mini'],
		['gpt-5', 'GPT-5'],
		['gpt-5.2', 'GPT-5.2'],
		['gpt-5.2-chat-latest', 'GPT-5.2 Chat'],
		['gpt-5.2-pro', 'GPT-5.2 Pro'],
		['gpt-5.4', 'GPT-5.4'],
		['gpt-5.4-pro', 'GPT-5.4 Pro'],
		['gpt-5.1', 'GPT-5.1'],
		['gpt-5.1-chat-latest', 'GPT-5.1 Chat'],
		['gpt-5.4-nano', 'GPT-5.4 Nano'],
		['gpt-5.4-mini', 'GPT-5.4 Mini'],
		['gpt-5.5', 'GPT-5.5'],
		['gpt-5.5-pro', 'GPT-5.5 Pro'],
	],
	anthropic: [
		['claude-haiku-4-5', 'Claude Haiku 4.5'],
		['claude-sonnet-4-6', 'Claude Sonnet 4.6'],
		['claude-opus-4-6', 'Claude Opus 4.6'],
		['claude-opus-4-7', 'Claude Opus 4.7'],
	],
	google: [
		['gemini-3-pro-preview', 'Gemini 3 Pro Preview'],
		['gemini-3-flash-preview', 'Gemini 3 Flash Preview'],
		['gemini-2.5-pro', 'Gemini 2.5 Pro'],
		['gemini-2.5-flash', 'Gemini 2.5 Flash'],
		['gemini-3.1-pro-preview', 'Gemini 3.1 Pro Preview'],
		['gemini-3.1-flash-lite-preview', 'Gemini 3.1 Flash Lite Preview'],
		['gemini-2.5-flash-lite', 'Gemini 2.5 Flash Lite'],
	],
};

const offer = ref<Offer | null>(null);
const flows = ref<Flow[]>([]);
let asked = false;

async function get<T>(path: string): Promise<T | null> {
	const root = window.location.pathname.split('/admin')[0];
	const response = await fetch(root + path, { credentials: 'include' });
	return response.ok ? ((await response.json()) as { data: T }).data : null;
}

/** Called by forms and overviews: what they read of the refs below makes them draw again when it arrives. */
function ask(): void {
	if (asked) return;
	asked = true;
	get<Offer>('/flow-worker/offer').then((data) => (offer.value = data), () => undefined);
	get<Flow[]>('/flows?limit=-1&fields=id,name,status,trigger,options&sort=name').then((data) => (flows.value = data ?? []), () => undefined);
}

export function providers(): Choice[] {
	ask();
	if (offer.value) return offer.value.providers.map(({ id, name }) => ({ value: id, text: (name === id ? undefined : name) ?? NAMES[id] ?? id }));
	return Object.entries(NAMES).map(([value, text]) => ({ value, text }));
}

export function models(provider: unknown): Choice[] {
	ask();
	const offered = offer.value?.providers.filter(({ id }) => !provider || id === provider).flatMap((p) => p.models);
	if (offered) return offered.map(({ id, name }) => ({ value: id, text: name ?? id }));
	const known = provider ? (KNOWN[String(provider)] ?? []) : Object.values(KNOWN).flat();
	return known.map(([value, text]) => ({ value, text }));
}

export function runnableFlows(): Choice[] {
	ask();
	return flows.value.filter((flow) => flow.status === 'active').map(({ id, name }) => ({ value: id, text: name }));
}

export function flowName(id: unknown): string {
	ask();
	return flows.value.find((flow) => flow.id === id)?.name ?? String(id ?? '');
}

/** The flow whose form is open runs inside a request that waits for it. */
export function isBlockingFlow(): boolean {
	ask();
	const flow = flows.value.find(({ id }) => window.location.pathname.includes(id));
	return flow?.trigger === 'event' && flow.options?.type === 'filter';
}
