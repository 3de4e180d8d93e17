import { defineOperationApp } from '@directus/extensions-sdk';
import { advanced, attachments, overview, prompt, providerAndModel, saving, schemaField, waiting, type Values } from './fields.ts';
import { t } from './texts.ts';

export default defineOperationApp({
	id: 'ai-analyze-image',
	name: t('image_name'),
	icon: 'image_search',
	description: t('image_description'),
	overview: (values: Values) => overview(values),
	options: (values: Values): any => [
		...providerAndModel(values),
		prompt(),
		attachments(),
		...waiting(values),
		...saving(values),
		...advanced([schemaField()]),
	],
});
