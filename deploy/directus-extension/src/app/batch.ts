import { defineOperationApp } from '@directus/extensions-sdk';
import { field, type Values } from './fields.ts';
import { flowName, runnableFlows } from './offer.ts';
import { t } from './texts.ts';

export default defineOperationApp({
	id: 'flow-worker-batch',
	name: t('batch_name'),
	icon: 'dynamic_feed',
	description: t('batch_description'),
	overview: ({ collection, flow, budget }: Values) => [
		{ label: t('collection'), text: collection ?? '–' },
		{ label: t('flow'), text: flowName(flow) },
		...(budget ? [{ label: t('budget'), text: String(budget) }] : []),
	],
	options: (values: Values): any => [
		field('collection', 'string', t('collection'), { interface: 'system-collection', required: true }),
		field('flow', 'string', t('flow'), { interface: 'select-dropdown', required: true, options: { choices: runnableFlows(), allowOther: true, iconRight: 'bolt' } }),
		field('filter', 'json', t('filter'), { width: 'full', interface: 'system-filter', options: { collectionName: values['collection'] } }),
		field('keys', 'string', t('keys'), { interface: 'input', note: t('keys_note'), options: { font: 'monospace', iconRight: 'vpn_key' } }),
		field('limit', 'integer', t('limit'), { interface: 'input', options: { min: 1 } }),
		field('budget', 'float', t('budget'), { interface: 'input', note: t('budget_note'), options: { min: 0, step: 0.01, iconRight: 'payments' } }),
		field('concurrency', 'integer', t('concurrency'), { interface: 'input', options: { min: 1 } }),
		field('name', 'string', t('name'), { interface: 'input' }),
		field('onlyChanged', 'boolean', t('only_changed'), { interface: 'boolean', options: { label: t('only_changed_label') } }),
		field('ifUnchanged', 'boolean', t('if_unchanged'), { interface: 'boolean', options: { label: t('if_unchanged_label') } }),
		field('notify', 'boolean', t('notify'), { interface: 'boolean', options: { label: t('notify_label') } }, true),
	],
});
