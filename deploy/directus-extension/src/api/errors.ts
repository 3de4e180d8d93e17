// How an operation rejects: a plain object, so that templates see all of it ({{ operation.message }}), and with the
// name by which Directus knows its own errors, so that a blocking flow answers with this code and message.

export interface Rejection {
	name: 'DirectusError';
	message: string;
	code: string;
	status: number;
	extensions: Record<string, unknown>;
	[more: string]: unknown;
}

export function rejection(code: string, status: number, message: string, extensions: Record<string, unknown> = {}): Rejection {
	return { name: 'DirectusError', message, code, status, extensions };
}

/** The error of a job's result, as the worker wrote it. */
export function rejectionOf(error: unknown, jobId: string): Rejection {
	const from = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
	const code = typeof from['code'] === 'string' ? from['code'] : 'INTERNAL_SERVER_ERROR';
	const status = Number(from['status']);
	return {
		...from,
		name: 'DirectusError',
		message: typeof from['message'] === 'string' ? from['message'] : 'The job failed without saying why.',
		code,
		status: status >= 400 && status < 600 ? status : 500,
		extensions: { ...(from['extensions'] as object | undefined), jobId },
	};
}
