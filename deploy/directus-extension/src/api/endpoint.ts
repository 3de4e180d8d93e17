// /flow-worker: where the worker acts inside Directus, and where the Studio's forms ask what the worker offers.
// README.md says what each call takes and answers.

import { defineEndpoint } from '@directus/extensions-sdk';
import type { Request, Response, NextFunction } from 'express';
import { version } from '../../package.json';
import { accountabilityOf, type Accountability } from './accountability.ts';
import { rejection } from './errors.ts';
import { carryOut, isItemOperation } from './items.ts';
import { shared, type Context } from './operation.ts';
import { scrub, scrubAccountability } from './scrub.ts';

type Asked = Request & { accountability?: Accountability };
type Body = Record<string, any>;

const PROTOCOL = 1;

function text(body: Body, name: string): string {
	if (typeof body[name] === 'string' && body[name] !== '') return body[name];
	throw rejection('INVALID_PAYLOAD', 400, `Invalid payload. "${name}" must be a text that is not empty.`);
}

/** The active flow with this id and its operations. */
async function storedFlow(id: string, knex: any): Promise<{ flow: any; operations: any[] }> {
	const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
	const flow = isId ? await knex('directus_flows').where({ id }).first() : undefined;
	if (!flow || flow.status !== 'active') throw rejection('FORBIDDEN', 403, `There is no active flow "${id}".`);
	return { flow, operations: await knex('directus_operations').where({ flow: id }) };
}

const optionsOf = (operation: any): Body => {
	const options = typeof operation.options === 'string' ? JSON.parse(operation.options) : operation.options;
	return options ?? {};
};

/** The stored collection counts, unless it is a template, which only the worker can resolve. */
function collectionOf(stored: unknown, asked: unknown): string {
	const isTemplate = typeof stored === 'string' && /\{\{|<</.test(stored);
	if (isTemplate && typeof asked === 'string' && asked !== '') return asked;
	if (typeof stored === 'string' && !isTemplate && (asked === undefined || asked === null || asked === stored)) return stored;
	throw rejection('FORBIDDEN', 403, `The stored operation is for the collection "${stored}", not for "${asked}".`);
}

async function actOnItems(body: Body, request: Asked, context: Context): Promise<unknown> {
	const { database: knex, services, env } = context;
	const { flow, operations } = await storedFlow(text(body, 'flow'), knex);
	const name = text(body, 'operation');
	const operation = operations.find((o) => o.id === name) ?? operations.find((o) => o.key === name);
	if (!operation || !isItemOperation(operation.type)) {
		throw rejection('FORBIDDEN', 403, `The flow "${flow.name}" has no item operation "${name}".`);
	}
	const options = optionsOf(operation);
	const collection = collectionOf(options['collection'], body['collection']);
	const accountability = await accountabilityOf(
		{
			permissions: options['permissions'], user: body['user'] ?? null, signed: body['signed'] === true,
			worker: request.accountability!, userAgent: request.headers['user-agent'] ?? 'flow-worker',
		},
		knex,
	);
	const schema = await context.getSchema({ database: knex });
	if (!schema.collections[collection]) {
		throw rejection('FORBIDDEN', 403, `You don't have permission to access collection "${collection}" or it does not exist. Queried in root.`);
	}
	const items = new services['ItemsService'](collection, { schema, accountability, knex });
	const limit = Number(env['QUERY_LIMIT_DEFAULT'] ?? 100);
	return carryOut(items, {
		type: operation.type, collection, key: body['key'], payload: body['payload'], query: body['query'],
		emitEvents: Boolean(options['emitEvents']), accountability, limit,
	});
}

function steps(given: unknown, operations: any[]): object[] {
	if (!Array.isArray(given)) throw rejection('INVALID_PAYLOAD', 400, 'Invalid payload. "steps" must be a list.');
	return given.map((step) => {
		const { operation, key, status, options } = step as Body;
		const stored = operations.find((o) => o.id === operation) ?? operations.find((o) => o.key === key);
		return { operation: stored?.id ?? operation ?? null, key, status, options: scrub(options ?? null) };
	});
}

/** Activity and revision, as flows.ts writes them after a run of Directus' own. */
async function logRun(body: Body, request: Asked, context: Context): Promise<{ activity: unknown }> {
	const { database: knex, services } = context;
	const { flow, operations } = await storedFlow(text(body, 'flow'), knex);
	if (flow.accountability === null) return { activity: null };
	const job = text(body, 'job');
	const agent = `flow-worker run of job ${job}`;
	const known = await knex('directus_activity').select('id').where({ collection: 'directus_flows', item: flow.id, user_agent: agent }).first();
	if (known) return { activity: known.id };
	const user = typeof body['user'] === 'string' ? await knex('directus_users').select('id').where({ id: body['user'] }).first() : null;
	const data = (body['data'] ?? {}) as Body;
	const schema = await context.getSchema({ database: knex });
	const activity = await new services['ActivityService']({ schema, knex }).createOne({
		action: 'run', user: user?.id ?? null, collection: 'directus_flows', ip: request.accountability?.ip ?? null,
		user_agent: agent, item: flow.id,
	});
	if (flow.accountability === 'all') {
		await new services['RevisionsService']({ schema, knex }).createOne({
			activity, collection: 'directus_flows', item: flow.id,
			data: {
				steps: steps(body['steps'], operations),
				data: { ...(scrub(data) as Body), $accountability: scrubAccountability(data['$accountability']) },
			},
		});
	}
	return { activity };
}

export default defineEndpoint({
	id: 'flow-worker',
	handler: (router, handed) => {
		const context = handed as unknown as Context;
		const { settings, queue } = shared(context);

		const answer = (work: (request: Asked) => Promise<unknown>) => (request: Request, response: Response, next: NextFunction) => {
			work(request as Asked).then((data) => response.json({ data: data ?? null }), next);
		};
		const forWorker = (work: (request: Asked) => Promise<unknown>) =>
			answer(async (request) => {
				if (!settings.user || request.accountability?.user !== settings.user) {
					throw rejection('FORBIDDEN', 403, 'Only the worker\'s own user (FLOW_WORKER_USER) may call this.');
				}
				return work(request);
			});

		router.get('/', forWorker(async () => ({ protocol: PROTOCOL, version })));
		router.post('/items', forWorker((request) => actOnItems(request.body ?? {}, request, context)));
		router.post('/runs', forWorker((request) => logRun(request.body ?? {}, request, context)));
		router.get('/offer', answer(async (request) => {
			if (!request.accountability?.admin) throw rejection('FORBIDDEN', 403, 'Only for those who may edit flows.');
			const told = await queue.read('offer').catch(() => null);
			return told ? JSON.parse(told) : null;
		}));
	},
});
