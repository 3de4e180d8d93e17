// "Run for each item": a batch over a collection, which the worker pages through. The flow goes on at once.

import { defineOperationApi } from '@directus/extensions-sdk';
import { rejection } from './errors.ts';
import { jsonOption, required, send, surroundings, type Context } from './operation.ts';

interface BatchOptions {
	collection?: string | null;
	flow?: string | null;
	filter?: unknown;
	keys?: unknown;
	fields?: unknown;
	limit?: number | string | null;
	budget?: number | string | null;
	concurrency?: number | string | null;
	name?: string | null;
	onlyChanged?: boolean | null;
	ifUnchanged?: boolean | null;
	notify?: boolean | null;
}

function positive(value: unknown, what: string): number | undefined {
	if (value === null || value === undefined || value === '') return undefined;
	const number = Number(value);
	if (Number.isFinite(number) && number > 0) return number;
	throw rejection('INVALID_PAYLOAD', 400, `${what} must be a number above 0, found ${JSON.stringify(value)}.`);
}

function list(value: unknown): (string | number)[] {
	const parsed = typeof value === 'string' && value.trim().startsWith('[') ? jsonOption(value, 'The list') : value;
	const items = Array.isArray(parsed) ? parsed.flat() : typeof parsed === 'string' ? parsed.split(',').map((item) => item.trim()) : parsed;
	return (Array.isArray(items) ? items : items === null || items === undefined ? [] : [items]).filter((item) => item !== '' && item !== null);
}

export default defineOperationApi<BatchOptions>({
	id: 'flow-worker-batch',
	handler: async (options, handed) => {
		const context = handed as unknown as Context;
		const collection = required(options.collection, 'The collection');
		const flow = required(options.flow, 'The flow to run for each item');
		const schema = await context.getSchema({ database: context.database });
		const primary = schema.collections[collection]?.primary;
		if (!primary) throw rejection('FORBIDDEN', 403, `There is no collection "${collection}".`);

		const filters: unknown[] = [jsonOption(options.filter, 'The filter')].filter((filter) => filter && Object.keys(filter).length > 0);
		if (options.keys !== null && options.keys !== undefined && options.keys !== '') filters.push({ [primary]: { _in: list(options.keys) } });
		const fields = list(options.fields);
		const { accountability, trigger, chain } = surroundings(context);
		const batch = {
			collection, flow,
			filter: filters.length > 1 ? { _and: filters } : (filters[0] ?? {}),
			fields: fields.length > 0 ? fields : undefined,
			limit: positive(options.limit, 'The limit'),
			budget: positive(options.budget, 'The budget'),
			concurrency: positive(options.concurrency, 'The concurrency'),
			name: options.name || undefined,
			onlyChanged: options.onlyChanged || undefined,
			ifUnchanged: options.ifUnchanged || undefined,
			notify: options.notify === false ? undefined : (accountability?.['user'] ?? undefined),
		};
		return send({ job: { batch, trigger, accountability, chain }, tenant: flow, lane: '2', wait: false }, context);
	},
});
