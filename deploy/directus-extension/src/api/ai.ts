// The AI operations: the stored options and the chain become a job; "Save result to" becomes its second step.

import { send, storedOperation, surroundings, type Context, type WaitOptions } from './operation.ts';
import { rejection } from './errors.ts';
import type { Node, Options } from './raw-options.ts';

interface FormOptions extends WaitOptions, Options {
	saveCollection?: string | null;
	saveKey?: string | null;
	saveField?: string | null;
	dedupeKey?: string;
	/** A repeater: each line has a picked file or a text that gives an id or an address. */
	attachments?: unknown;
}

const FORM_ONLY = new Set(['wait', 'waitTimeout', 'saveCollection', 'saveKey', 'saveField', 'advanced', 'blockingNotice', 'saveNotice']);

/** {file: {key, collection}} is what the file picker leaves, {fileId} and {url} are texts. */
function attachment(line: unknown): unknown {
	if (typeof line !== 'object' || line === null) return line;
	const { file, fileId, url, type, ...rest } = line as Record<string, any>;
	const id = file?.key ?? fileId;
	if (id) return { ...rest, type: 'file', fileId: id };
	return url ? { ...rest, type: 'url', url } : { ...rest, type: type ?? 'file' };
}

export function jobOptions(options: FormOptions): Options {
	const job: Options = {};
	for (const [name, value] of Object.entries(options)) {
		if (FORM_ONLY.has(name) || value === null || value === undefined || value === '') continue;
		job[name] = name === 'attachments' && Array.isArray(value) ? value.map(attachment) : value;
	}
	return job;
}

/** The item that started the flow: chosen by hand in the Studio, or that of the event ($trigger.id is the worker's name for
 * key or the first of keys). */
const itemOf = (trigger: unknown): string =>
	Array.isArray((trigger as any)?.body?.keys) ? '{{$trigger.body.keys[0]}}' : '{{$trigger.id}}';

/** A job that also writes the answer into a field. */
function withSave(type: string, step: { key: string; options: Options }, options: FormOptions, trigger: unknown): object {
	const save = `${step.key}_save`;
	return {
		operations: [
			{ type, ...step, resolve: save },
			{
				type: 'item-update', key: save,
				options: {
					collection: options.saveCollection, key: options.saveKey || itemOf(trigger),
					payload: { [options.saveField!]: '{{$last.content}}' },
				},
			},
		],
		return: step.key,
	};
}

function jobOf(type: string, stored: Node | null, rendered: FormOptions, trigger: unknown): object {
	const options = (stored?.options ?? rendered) as FormOptions;
	const step = { key: stored?.key ?? 'answer', options: jobOptions(options) };
	const saves = Boolean(options.saveCollection && options.saveField);
	if (stored) return saves ? withSave(type, step, options, trigger) : { operation: type, ...step };
	// Without the stored text nothing may be rendered a second time, and a step that saves could not be.
	if (saves) throw rejection('INVALID_PAYLOAD', 400, '"Save result to" cannot be used here: the stored operation was not found.');
	return { operation: type, ...step, rendered: true };
}

export function aiOperation(type: string) {
	return {
		id: type,
		handler: async (rendered: FormOptions, handed: unknown): Promise<unknown> => {
			const context = handed as Context;
			const stored = await storedOperation(type, rendered, context);
			const { wait, waitTimeout, dedupeKey } = rendered;
			const job = { ...jobOf(type, stored, rendered, context.data['$trigger']), ...surroundings(context) };
			return send({ job, wait, waitTimeout, dedup: dedupeKey || undefined }, context);
		},
	};
}
