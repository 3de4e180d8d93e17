// The fields of the forms, made of the Studio's own interfaces.

import { isBlockingFlow, models, providers, type Choice } from './offer.ts';
import { t } from './texts.ts';

export type Values = Record<string, any>;
export type Field = Record<string, unknown>;

interface Meta {
	width?: 'half' | 'full';
	interface: string;
	options?: object;
	note?: string;
	required?: boolean;
	group?: string;
	hidden?: boolean;
	special?: string[];
}

export function field(name: string, type: string, label: string, meta: Meta, initial?: unknown): Field {
	// The form finds the members of a group by meta.field.
	return { field: name, type, name: label, meta: { field: name, width: 'half', ...meta }, schema: initial === undefined ? {} : { default_value: initial } };
}

const choose = (choices: Choice[]): object => ({ choices, allowOther: true, allowNone: true });

export const code = (placeholder: object): object => ({ language: 'json', lineNumber: false, placeholder: JSON.stringify(placeholder, null, 2) });

export const providerAndModel = (values: Values): Field[] => [
	field('provider', 'string', t('provider'), { interface: 'select-dropdown', options: choose(providers()) }),
	field('model', 'string', t('model'), { interface: 'select-dropdown', options: choose(models(values['provider'])) }),
];

export const prompt = (): Field =>
	field('prompt', 'text', t('prompt'), { width: 'full', interface: 'input-multiline', note: t('prompt_note'), required: true });

export const attachments = (): Field =>
	field('attachments', 'json', t('attachments'), {
		width: 'full',
		interface: 'list',
		options: {
			addLabel: t('attachment_add'),
			template: '{{ fileId }}',
			fields: [
				field('file', 'json', t('attachment_file'), { interface: 'collection-item-dropdown', options: { selectedCollection: 'directus_files', template: '{{ title }}' } }),
				field('fileId', 'string', t('attachment_id'), { interface: 'input', note: t('attachment_id_note') }),
			],
		},
	});

export const schemaField = (): Field =>
	field('outputSchema', 'json', t('schema'), {
		width: 'full', interface: 'input-code', note: t('schema_note'),
		options: code({ type: 'object', properties: { mood: { type: 'string', enum: ['good', 'bad'] } }, required: ['mood'] }),
	});

export function waiting(values: Values): Field[] {
	const waits = values['wait'] !== false;
	const blocking = isBlockingFlow();
	return [
		...(blocking
			? [field('blockingNotice', 'alias', '', { width: 'full', interface: 'presentation-notice', special: ['alias', 'no-data'], options: { color: 'warning', icon: 'hourglass_empty', text: t('blocking') } })]
			: []),
		field('wait', 'boolean', t('wait'), { interface: 'boolean', options: { label: t('wait_label') }, note: t('wait_off_note') }, true),
		// No default value: it would be taken before it is known that the flow blocks.
		...(waits
			? [field('waitTimeout', 'integer', t('wait_timeout'), { interface: 'input', options: { min: 1, placeholder: blocking ? '10' : '60' }, note: t('wait_timeout_note') })]
			: []),
	];
}

export const saving = (values: Values): Field[] => [
	field('saveNotice', 'alias', t('save'), { width: 'full', interface: 'presentation-divider', special: ['alias', 'no-data'], options: { title: t('save'), icon: 'save', inlineTitle: true } }),
	field('saveCollection', 'string', t('save_collection'), { width: 'full', interface: 'system-collection', note: t('save_note'), options: { includeSystem: false } }),
	...(values['saveCollection']
		? [
				field('saveKey', 'string', t('save_key'), { interface: 'input', note: t('save_key_note'), options: { iconRight: 'vpn_key', placeholder: t('save_key_placeholder') } }),
				field('saveField', 'string', t('save_field'), { interface: 'system-field', options: { collectionName: values['saveCollection'], allowPrimaryKey: false } }),
			]
		: []),
];

const inAdvanced = (name: string, type: string, label: string, meta: Meta, initial?: unknown): Field =>
	field(name, type, label, { ...meta, group: 'advanced' }, initial);

export const advanced = (more: Field[] = []): Field[] => [
	field('advanced', 'alias', t('advanced'), { width: 'full', interface: 'group-detail', special: ['alias', 'no-data', 'group'], options: { start: 'closed', headerIcon: 'tune' } }),
	inAdvanced('system', 'text', t('system'), { width: 'full', interface: 'input-multiline' }),
	inAdvanced('maxTokens', 'integer', t('max_tokens'), { interface: 'input', options: { min: 1 } }),
	inAdvanced('temperature', 'float', t('temperature'), { interface: 'input', options: { min: 0, max: 2, step: 0.1 } }),
	...more.map((extra) => ({ ...extra, meta: { ...(extra['meta'] as object), group: 'advanced' } })),
	inAdvanced('enableReasoning', 'boolean', t('reasoning'), { interface: 'boolean', options: { label: t('reasoning_label') } }),
	inAdvanced('maxRetries', 'integer', t('retries'), { interface: 'input', options: { min: 0, max: 20, placeholder: '5' } }),
	inAdvanced('timeout', 'integer', t('timeout'), { interface: 'input', options: { min: 1000, placeholder: '120000' } }),
	inAdvanced('dedupeKey', 'string', t('dedupe'), { interface: 'input', note: t('dedupe_note'), options: { font: 'monospace' } }),
];

/** What the tile on the canvas says. */
export const overview = (values: Values): { label: string; text: string }[] => [
	{ label: t('model'), text: [values['provider'], values['model']].filter(Boolean).join('/') || '–' },
	{ label: t('prompt'), text: values['prompt'] ?? '–' },
	...(values['saveCollection'] ? [{ label: t('save'), text: `${values['saveCollection']}.${values['saveField'] ?? '?'}` }] : []),
];
