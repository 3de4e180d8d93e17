import { defineOperationApp } from '@directus/extensions-sdk';
import { advanced, attachments, field, overview, prompt, providerAndModel, saving, waiting, type Values } from './fields.ts';
import { t } from './texts.ts';

const formats = () => [
	{ value: 'text', text: t('format_text') },
	{ value: 'markdown', text: 'Markdown' },
	{ value: 'html', text: 'HTML' },
	{ value: 'json', text: 'JSON' },
];

export default defineOperationApp({
	id: 'ai-generate',
	name: t('generate_name'),
	icon: 'auto_awesome',
	description: t('generate_description'),
	overview: (values: Values) => overview(values),
	options: (values: Values): any => [
		...providerAndModel(values),
		prompt(),
		...waiting(values),
		...saving(values),
		...advanced([
			field('outputFormat', 'string', t('format'), { interface: 'select-dropdown', options: { choices: formats(), allowNone: true } }),
			field('maxLength', 'integer', t('max_length'), { interface: 'input', options: { min: 1 } }),
			attachments(),
		]),
	],
});
