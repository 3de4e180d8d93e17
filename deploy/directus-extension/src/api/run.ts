// "Run flow in worker": a whole flow, stored in Directus, carried out by the worker. It is logged like any other run.

import { defineOperationApi } from '@directus/extensions-sdk';
import { jsonOption, required, send, surroundings, type Context, type WaitOptions } from './operation.ts';
import { scrub } from './scrub.ts';

interface RunOptions extends WaitOptions {
	flow?: string | null;
	payload?: unknown;
}

export default defineOperationApi<RunOptions>({
	id: 'flow-worker-run',
	handler: async ({ flow, payload, wait, waitTimeout }, handed) => {
		const context = handed as unknown as Context;
		const id = required(flow, 'The flow to run');
		const { accountability, trigger, chain } = surroundings(context);
		const given = jsonOption(payload, 'The payload');
		return send(
			{ job: { flow: id, trigger: given === undefined ? trigger : scrub(given), accountability, chain }, tenant: id, wait, waitTimeout },
			context,
		);
	},
});
