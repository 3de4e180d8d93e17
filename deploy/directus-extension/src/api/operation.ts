// What the operations share: from the handler's arguments to a job, and from its result to what the flow goes on with.

import { randomUUID, createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { rejection } from './errors.ts';
import { Queue, outcome } from './queue.ts';
import { findAmong, findOnTheWay, type Chain, type Node, type Options } from './raw-options.ts';
import { scrub, scrubAccountability } from './scrub.ts';
import { readSettings, type Env, type Settings } from './settings.ts';

/** A flow as Directus keeps it in memory. */
export interface RunningFlow {
	id: string;
	name: string;
	trigger: string;
	options: Record<string, unknown> | null;
	operation: Node | null;
}

// Directus passes all of this (flows.ts); its own types leave half of it out.
export interface Context {
	data: Chain;
	env: Env;
	flow?: RunningFlow;
	accountability: unknown;
	logger: { warn(message: string): void };
	services: Record<string, any>;
	database: any;
	getSchema: (options?: object) => Promise<any>;
}

/** The options that are ours and not the worker's. */
export interface WaitOptions {
	wait?: boolean | null;
	waitTimeout?: number | string | null;
}

const BLOCKING_WAIT_MAX_S = 10;
const WAIT_DEFAULT_S = 60;
const WAIT_MAX_S = 3600;

// One queue per process: Directus loads this file anew when extensions are reloaded.
const place = globalThis as { [key: symbol]: { queue: Queue; settings: Settings } | undefined };
const PLACE = Symbol.for('directus-extension-flow-worker');

export function shared(context: Pick<Context, 'env' | 'logger'>): { queue: Queue; settings: Settings } {
	return (place[PLACE] ??= ((): { queue: Queue; settings: Settings } => {
		const { env, logger } = context;
		const name = createHash('sha256').update(`${hostname()} ${env['PORT']} ${env['PUBLIC_URL']}`).digest('hex').slice(0, 12);
		const settings = readSettings(env, name);
		return { settings, queue: new Queue(settings, logger) };
	})());
}

/** A filter flow holds a transaction and the user's request until it ends. */
const isBlocking = (flow: RunningFlow | undefined): boolean => flow?.trigger === 'event' && flow.options?.['type'] === 'filter';

function waitSeconds(options: WaitOptions, blocking: boolean): number {
	const wanted = Number(options.waitTimeout ?? WAIT_DEFAULT_S);
	const seconds = Number.isFinite(wanted) && wanted > 0 ? Math.min(wanted, WAIT_MAX_S) : WAIT_DEFAULT_S;
	return blocking ? Math.min(seconds, BLOCKING_WAIT_MAX_S) : seconds;
}

/** The stored operation that is running; null: it cannot be told. */
export async function storedOperation(type: string, rendered: Options, context: Context): Promise<Node | null> {
	const near = findOnTheWay(context.flow?.operation, type, rendered, context.data);
	if (near) return near;
	const { OperationsService } = context.services;
	const operations = new OperationsService({ schema: await context.getSchema({ database: context.database }), knex: context.database });
	const stored: Node[] = await operations.readByQuery({
		filter: { type: { _eq: type }, flow: { status: { _eq: 'active' } } },
		fields: ['id', 'key', 'type', 'options'],
		limit: -1,
	});
	return findAmong(stored, type, rendered, context.data);
}

// A write of the worker that started this flow says so in its user agent; the worker breaks chains that do not end.
const USER_AGENT = /^flow-worker\/\S+ \(.*?chain ([^;)]+); depth (\d+)\)/;

function cause(accountability: Record<string, unknown> | null): { id: string; depth: number } | undefined {
	const found = USER_AGENT.exec(String(accountability?.['userAgent'] ?? ''));
	return found ? { id: found[1]!, depth: Number(found[2]) + 1 } : undefined;
}

/** What every job says about the run it comes from. */
export function surroundings(context: Context): { trigger: unknown; accountability: Record<string, unknown> | null; data: Chain; chain?: object } {
	const { $trigger, $accountability, $env: _, ...rest } = context.data;
	const accountability = scrubAccountability($accountability);
	return { trigger: scrub($trigger ?? null), accountability, data: scrub(rest) as Chain, chain: cause(accountability) };
}

export interface Sending extends WaitOptions {
	job: object;
	tenant?: string | undefined;
	/** The door's field of the same name. */
	dedup?: string | undefined;
	/** 0 before, 2 behind the others; 0 for a flow that waits, else 1. */
	lane?: string;
}

/** Enqueues, and waits unless told otherwise. -> the result, or {jobId}. */
export async function send(sending: Sending, context: Context): Promise<unknown> {
	const { queue } = shared(context);
	const id = randomUUID();
	const wait = sending.wait ?? true;
	const fields: Record<string, string> = { lane: sending.lane ?? (wait ? '0' : '1') };
	const tenant = sending.tenant ?? context.flow?.id;
	if (tenant) fields['tenant'] = tenant;
	if (sending.dedup) fields['dedup'] = sending.dedup;
	if (!wait) {
		await queue.enqueue(id, sending.job, fields);
		return { jobId: id };
	}
	const blocking = isBlocking(context.flow);
	const release = queue.reserve(blocking);
	try {
		fields['reply_to'] = queue.replyTo;
		const ms = waitSeconds(sending, blocking) * 1000;
		return outcome(await queue.wait(id, ms, () => queue.enqueue(id, sending.job, fields)), id);
	} finally {
		release();
	}
}

export function required(value: unknown, what: string): string {
	if (typeof value === 'string' && value !== '') return value;
	throw rejection('INVALID_PAYLOAD', 400, `${what} is missing.`);
}

/** Options of forms that hold JSON may come as text. */
export function jsonOption(value: unknown, what: string): unknown {
	if (typeof value !== 'string') return value ?? undefined;
	if (value.trim() === '') return undefined;
	try {
		return JSON.parse(value);
	} catch (error) {
		throw rejection('INVALID_PAYLOAD', 400, `${what} is not JSON: ${(error as Error).message}`);
	}
}
