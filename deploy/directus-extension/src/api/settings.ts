// What Directus' environment says about the worker.

export type Env = Record<string, unknown>;

export interface Settings {
	redis: string | null;
	prefix: string;
	secret: string | null;
	user: string | null;
	/** How many replicas must have a job before it counts as enqueued; NaN: what is set is no such number. */
	waitReplicas: number;
	/** Names this Directus among those that share the Redis: its stream of replies. */
	instance: string;
	/** How many blocking flows may wait at once: each holds a connection of the database's pool. */
	blockingSlots: number;
}

const text = (value: unknown): string | null => (value === undefined || value === null || value === '' ? null : String(value));

const wholeNumber = (value: string): number => (/^\d{1,3}$/.test(value) ? Number(value) : NaN);

export function readSettings(env: Env, instance: string): Settings {
	const pool = Number(env['DB_POOL__MAX'] ?? 10);
	return {
		redis: text(env['FLOW_WORKER_REDIS']),
		prefix: text(env['FLOW_WORKER_PREFIX']) ?? '{flow-worker}:',
		secret: text(env['FLOW_WORKER_JOB_SECRET']),
		user: text(env['FLOW_WORKER_USER']),
		waitReplicas: wholeNumber(text(env['FLOW_WORKER_WAIT_REPLICAS']) ?? '0'),
		instance,
		blockingSlots: Math.max(1, Math.floor((Number.isFinite(pool) ? pool : 10) / 2)),
	};
}
