import { defineOperationApp } from '@directus/extensions-sdk';
import { advanced, attachments, field, overview, prompt, providerAndModel, saving, schemaField, waiting, type Values } from './fields.ts';
import { t } from './texts.ts';

export default defineOperationApp({
	id: 'ai-analyze',
	name: t('analyze_name'),
	icon: 'troubleshoot',
	description: t('analyze_description'),
	overview: (values: Values) => overview(values),
	options: (values: Values): any => [
		...providerAndModel(values),
		prompt(),
		field('data', 'text', t('data'), { width: 'full', interface: 'input-multiline', note: t('data_note'), options: { font: 'monospace' } }),
		schemaField(),
		...waiting(values),
		...saving(values),
		...advanced([attachments()]),
	],
});
