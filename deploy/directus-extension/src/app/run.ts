import { defineOperationApp } from '@directus/extensions-sdk';
import { code, field, waiting, type Values } from './fields.ts';
import { flowName, runnableFlows } from './offer.ts';
import { t } from './texts.ts';

export default defineOperationApp({
	id: 'flow-worker-run',
	name: t('run_name'),
	icon: 'rocket_launch',
	description: t('run_description'),
	overview: ({ flow }: Values) => [{ label: t('flow'), text: flowName(flow) }],
	options: (values: Values): any => [
		field('flow', 'string', t('flow'), { width: 'full', interface: 'select-dropdown', required: true, options: { choices: runnableFlows(), allowOther: true, iconRight: 'bolt' } }),
		field('payload', 'json', t('payload'), { width: 'full', interface: 'input-code', note: t('payload_note'), options: code({ id: '{{ $trigger.key }}' }) }),
		...waiting(values),
	],
});
