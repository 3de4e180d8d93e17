// The way to the worker and back: jobs go in by XADD, answers come over one stream for this Directus.
//
// Two connections for the whole process, however many flows wait: one for commands, and one that blocks on the stream of
// replies while anybody waits. A reply only names the job; its result is a key of its own, so nothing is lost when a
// reply is: every few seconds the results of all waiting jobs are looked for.

import { createHmac } from 'node:crypto';
import { Redis } from 'ioredis';
import { rejection, rejectionOf } from './errors.ts';
import type { Settings } from './settings.ts';

export interface Result {
	status: string;
	last?: unknown;
	return?: unknown;
	error?: unknown;
}

interface Logger {
	warn(message: string): void;
}

interface Waiter {
	settle(result: Result): void;
	/** Another job that does the same work (`dedup`, "duplicate of <id>"): its result is ours. */
	sameAs?: string;
}

const WAITING_MAX = 200;
const ENQUEUE_WITHIN_MS = 5000;
const BLOCK_MS = 3000;
const DUPLICATE = 'duplicate of ';
const REPLICAS_WITHIN_MS = 500;
const REPLIES_KEPT_S = 7 * 24 * 3600;

class TooFewReplicas extends Error {
	constructor(have: number, wanted: number) {
		super(`The job is in the worker's Redis, but only ${have} of ${wanted} replicas (FLOW_WORKER_WAIT_REPLICAS) have it; it may run all the same.`);
	}
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export function sign(job: object, secret: string | null): string {
	const text = JSON.stringify(job);
	if (!secret) return text;
	return `${text.slice(0, -1)},"sign":"${createHmac('sha256', secret).update(text).digest('hex')}"}`;
}

function parse(text: string): Result {
	try {
		return JSON.parse(text) as Result;
	} catch {
		return { status: 'dead', error: { code: 'INVALID_RESPONSE', message: 'The job\'s result is not JSON.' } };
	}
}

export class Queue {
	readonly #settings: Settings;
	readonly #logger: Logger;
	readonly #waiting = new Map<string, Waiter>();
	#commands: Redis | null = null;
	#replies: Redis | null = null;
	#listening = false;
	#lastId: string | null = null;
	#reserved = 0;
	#blocking = 0;
	#lookedAt = 0;

	constructor(settings: Settings, logger: Logger) {
		this.#settings = settings;
		this.#logger = logger;
	}

	#key(name: string): string {
		return this.#settings.prefix + name;
	}

	get #replyStream(): string {
		return this.#key(`rep:${this.#settings.instance}`);
	}

	#connect(blocking: boolean): Redis {
		if (!this.#settings.redis) {
			throw rejection('SERVICE_UNAVAILABLE', 503, 'FLOW_WORKER_REDIS is not set in Directus\' environment.');
		}
		const redis = new Redis(this.#settings.redis, {
			// A command that could not be sent fails at once and is sent again here, as long as there is time: nothing
			// waits unseen inside the client and arrives after its flow has given up.
			enableOfflineQueue: false,
			autoResendUnfulfilledCommands: false,
			maxRetriesPerRequest: 0,
			connectTimeout: 3000,
			commandTimeout: blocking ? BLOCK_MS + 5000 : 5000,
			retryStrategy: (times) => Math.min(50 * 2 ** times, 2000),
			connectionName: `directus-flow-worker${blocking ? '-replies' : ''}`,
		});
		let told = false;
		redis.on('error', (error: Error) => {
			if (!told) this.#logger.warn(`flow-worker: Redis: ${error.message}`);
			told = true;
		});
		redis.on('ready', () => (told = false));
		return redis;
	}

	/** Runs a command, again and again until it works or time is up. Every command sent here may be repeated. */
	async #command<T>(run: (redis: Redis) => Promise<T>, withinMs = ENQUEUE_WITHIN_MS): Promise<T> {
		const end = Date.now() + withinMs;
		this.#commands ??= this.#connect(false);
		for (;;) {
			try {
				return await run(this.#commands);
			} catch (error) {
				if ((error as Error).name === 'ReplyError') {
					throw rejection('SERVICE_UNAVAILABLE', 503, `The worker's Redis refused: ${(error as Error).message}`);
				}
				if (Date.now() > end && error instanceof TooFewReplicas) {
					throw rejection('SERVICE_UNAVAILABLE', 503, error.message);
				}
				if (Date.now() > end) {
					throw rejection('SERVICE_UNAVAILABLE', 503, 'The worker\'s Redis cannot be reached (FLOW_WORKER_REDIS).');
				}
				await pause(100);
			}
		}
	}

	/** The same id again is the same job: safe to repeat. */
	async enqueue(id: string, job: object, fields: Record<string, string>): Promise<void> {
		if (Number.isNaN(this.#settings.waitReplicas)) {
			throw rejection('SERVICE_UNAVAILABLE', 503, 'FLOW_WORKER_WAIT_REPLICAS in Directus\' environment is no whole number.');
		}
		const words = Object.entries(fields).flat();
		// A copy of it under another id, or much later, counts for nothing. With "latest" it may run under another id.
		const once = this.#settings.secret && fields['dedup_mode'] !== 'latest' ? { once: { id, at: Date.now() } } : {};
		const body = sign({ ...job, ...once }, this.#settings.secret);
		await this.#command((redis) => this.#put(redis, ['body', body, 'id', id, ...words]));
	}

	/** With FLOW_WORKER_WAIT_REPLICAS a job counts only when so many replicas have it: a failover does not lose it then. */
	async #put(redis: Redis, words: string[]): Promise<void> {
		const replicas = this.#settings.waitReplicas;
		const added = redis.xadd(this.#key('in'), '*', ...words);
		if (replicas === 0) return void (await added);
		const [, have] = await Promise.all([added, redis.wait(replicas, REPLICAS_WITHIN_MS)]);
		if (have < replicas) throw new TooFewReplicas(have, replicas);
	}

	get replyTo(): string {
		return this.#replyStream;
	}

	/** What the worker told last about itself, e.g. which models it offers. */
	async read(name: string): Promise<string | null> {
		return this.#command((redis) => redis.get(this.#key(name)), 1000);
	}

	/** Takes a place among those who wait; call the returned function when done. */
	reserve(blocking: boolean): () => void {
		if (this.#reserved >= WAITING_MAX || (blocking && this.#blocking >= this.#settings.blockingSlots)) {
			throw rejection(
				'SERVICE_UNAVAILABLE', 503,
				blocking
					? `${this.#blocking} blocking flows already wait for answers; more would hold up the database. Use a flow of type "action".`
					: `${WAITING_MAX} flows already wait for answers. Switch "Wait for the answer" off, or let the worker run the whole flow.`,
			);
		}
		this.#reserved++;
		if (blocking) this.#blocking++;
		return () => {
			this.#reserved--;
			if (blocking) this.#blocking--;
		};
	}

	/** Waits for the end of a job; WAIT_TIMEOUT after `ms`. Start it before the job is enqueued. */
	async wait(id: string, ms: number, enqueue: () => Promise<void>): Promise<Result> {
		let timer: NodeJS.Timeout | undefined;
		const settled = new Promise<Result>((settle, reject) => {
			this.#waiting.set(id, { settle });
			timer = setTimeout(
				() => reject(rejection('WAIT_TIMEOUT', 504, `No answer within ${ms / 1000} s; job ${id} goes on.`, { jobId: id })), ms,
			);
		});
		settled.catch(() => undefined);
		try {
			this.#lastId ??= await this.#command(async (redis) => (await redis.xrevrange(this.#replyStream, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0-0');
			void this.#listen();
			await enqueue();
			return await settled;
		} finally {
			clearTimeout(timer);
			this.#waiting.delete(id);
		}
	}

	async #listen(): Promise<void> {
		if (this.#listening) return;
		this.#listening = true;
		try {
			this.#replies ??= this.#connect(true);
			let expire = true;
			while (this.#waiting.size > 0) {
				try {
					if (expire) await this.#replies.expire(this.#replyStream, REPLIES_KEPT_S);
					expire = false;
					const got = await this.#replies.xread('COUNT', 200, 'BLOCK', BLOCK_MS, 'STREAMS', this.#replyStream, this.#lastId ?? '0-0');
					if (got) await this.#readReplies(got[0]![1]);
					if (Date.now() - this.#lookedAt >= BLOCK_MS) await this.#look([...this.#waiting.keys()]);
				} catch {
					expire = true;
					await pause(200); // the connection comes back by itself
				}
			}
		} finally {
			this.#listening = false;
		}
	}

	async #readReplies(entries: [string, string[]][]): Promise<void> {
		const ended: string[] = [];
		for (const [entryId, words] of entries) {
			this.#lastId = entryId;
			const reply: Record<string, string> = {};
			for (let i = 0; i + 1 < words.length; i += 2) reply[words[i]!] = words[i + 1]!;
			if (reply['status'] === 'piece') continue;
			for (const [id, waiter] of this.#waiting) if (id === reply['id'] || waiter.sameAs === reply['id']) ended.push(id);
		}
		await this.#look(ended);
	}

	/** Looks for the results of these jobs, and settles those that have one. */
	async #look(ids: string[]): Promise<void> {
		if (ids.length === this.#waiting.size) this.#lookedAt = Date.now();
		if (ids.length === 0) return;
		const keys = ids.map((id) => this.#key(`res:${this.#waiting.get(id)?.sameAs ?? id}`));
		const found = await this.#command((redis) => redis.mget(keys));
		ids.forEach((id, i) => {
			const text = found[i];
			const waiter = this.#waiting.get(id);
			if (!text || !waiter) return;
			const result = parse(text);
			// Its own result only says whose to wait for.
			if (result.status.startsWith(DUPLICATE)) waiter.sameAs = result.status.slice(DUPLICATE.length);
			else waiter.settle(result);
		});
	}

	close(): void {
		this.#commands?.disconnect();
		this.#replies?.disconnect();
	}
}

/** What the operation resolves with, or the throw that makes it reject. */
export function outcome(result: Result, jobId: string): unknown {
	if (result.status !== 'done') throw rejectionOf(result.error, jobId);
	return result.return ?? result.last ?? null;
}
