// One item operation, as Directus' own item-* operations carry it out (12.3 and later: api/src/operations/item-update).

import { optionToObject, parseFilter, toArray } from '@directus/utils';
import { rejection } from './errors.ts';
import type { Accountability } from './accountability.ts';

export interface ItemRequest {
	type: string;
	collection: string;
	key: unknown;
	payload: unknown;
	query: unknown;
	emitEvents: boolean;
	accountability: Accountability | null;
	/** How many rows a query without a limit means (QUERY_LIMIT_DEFAULT). */
	limit: number;
}

type Key = string | number;

function keysOf(value: unknown): Key[] {
	if (value === null || value === undefined || value === '') return [];
	const keys = toArray(value as string) as unknown[];
	for (const key of keys) {
		if (typeof key !== 'string' && typeof key !== 'number') throw rejection('INVALID_PAYLOAD', 400, 'Invalid payload. "key" must be text or number, or a list of these.');
	}
	return keys as Key[];
}

function objectOf(value: unknown, name: string): any {
	const object = value === undefined || value === '' ? null : (optionToObject(value as any) ?? null);
	if (object !== null && typeof object !== 'object') throw rejection('INVALID_PAYLOAD', 400, `Invalid payload. "${name}" must be an object.`);
	return object;
}

const isEmpty = (value: object | null): boolean => value === null || Object.keys(value).length === 0;

type Clean = (value: any, request: ItemRequest) => unknown;

const list: Clean = (value) => toArray(value).map((item) => (typeof item === 'string' ? item.trim() : item));
const each = (object: any, clean: (name: string, value: unknown) => unknown): object =>
	Object.fromEntries(Object.entries(object).map(([name, value]) => [name, clean(name, value)]));

/** What may be written in more than one way, as the services want it (api/src/utils/sanitize-query.ts). */
const CLEAN: Record<string, Clean> = {
	fields: list,
	sort: list,
	group: list,
	limit: Number,
	offset: Number,
	page: Number,
	filter: (value, request) => parseFilter(optionToObject(value), request.accountability),
	aggregate: (value) => each(optionToObject(value), (_, names) => list(names, undefined as never)),
	deep: (value, request) => deepOf(optionToObject(value), request),
};

function cleanOf(query: object, request: ItemRequest, mark = ''): object {
	return each(query, (name, value) => (value === null ? value : (CLEAN[name.slice(mark.length)]?.(value, request) ?? value)));
}

/** {"translations": {"_limit": 1, "_sort": "id", "author": {…}}} */
function deepOf(deep: any, request: ItemRequest): object {
	return each(deep, (name, value) =>
		name.startsWith('_') ? Object.values(cleanOf({ [name]: value }, request, '_'))[0] : deepOf(value, request));
}

function queryOf(query: any, request: ItemRequest): any {
	const clean: any = cleanOf(query ?? {}, request);
	return { ...clean, limit: clean.limit ?? request.limit };
}

async function create(items: any, request: ItemRequest): Promise<unknown> {
	const payload = objectOf(request.payload, 'payload');
	return payload ? items.createMany(toArray(payload), { emitEvents: request.emitEvents }) : null;
}

async function read(items: any, request: ItemRequest): Promise<unknown> {
	const keys = keysOf(request.key);
	const query = objectOf(request.query, 'query');
	const options = { emitEvents: request.emitEvents };
	if (keys.length === 0) return items.readByQuery(queryOf(query, request), options);
	const { limit: _, ...rest } = queryOf(query, request);
	return keys.length === 1 ? items.readOne(keys[0], rest, options) : items.readMany(keys, rest, options);
}

async function update(items: any, request: ItemRequest): Promise<unknown> {
	const keys = keysOf(request.key);
	const query = objectOf(request.query, 'query');
	const payload = objectOf(request.payload, 'payload');
	const options = { emitEvents: request.emitEvents };
	if (keys.length > 0 && !isEmpty(query)) throw rejection('INVALID_PAYLOAD', 400, 'Invalid payload. Cannot use both "key" and "query".');
	if (Array.isArray(payload) && (keys.length > 0 || !isEmpty(query))) {
		throw rejection('INVALID_PAYLOAD', 400, 'Invalid payload. Cannot use "key" or "query" with a batch payload.');
	}
	if (isEmpty(payload)) return null;
	if (Array.isArray(payload)) return items.updateBatch(payload, options);
	if (!isEmpty(query)) return items.updateByQuery(queryOf(query, request), payload, options);
	if (keys.length === 0) return null;
	const updated = await items.updateMany(keys, payload, options);
	return keys.length === 1 ? keys[0] : updated;
}

async function remove(items: any, request: ItemRequest): Promise<unknown> {
	const keys = keysOf(request.key);
	const query = objectOf(request.query, 'query');
	const options = { emitEvents: request.emitEvents };
	if (keys.length > 0 && !isEmpty(query)) throw rejection('INVALID_PAYLOAD', 400, 'Invalid payload. Cannot use both "key" and "query".');
	if (!isEmpty(query)) return items.deleteByQuery(queryOf(query, request), options);
	if (keys.length === 0) return null;
	const deleted = await items.deleteMany(keys, options);
	return keys.length === 1 ? keys[0] : deleted;
}

const KINDS: Record<string, (items: any, request: ItemRequest) => Promise<unknown>> = {
	'item-create': create,
	'item-read': read,
	'item-update': update,
	'item-delete': remove,
};

export const isItemOperation = (type: string): boolean => type in KINDS;

/** `items` is Directus' ItemsService for the collection and the accountability. */
export function carryOut(items: any, request: ItemRequest): Promise<unknown> {
	return KINDS[request.type]!(items, request);
}
