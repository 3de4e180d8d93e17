// As whom a stored operation acts: what Directus makes of its `permissions` (api/src/utils/get-accountability-for-role.ts
// and permissions/modules/fetch-global-access; neither is open to extensions).

import { rejection } from './errors.ts';

export interface Accountability {
	user: string | null;
	role: string | null;
	roles: string[];
	admin: boolean;
	app: boolean;
	ip: string | null;
	userAgent?: string;
}

const nobody: Accountability = { user: null, role: null, roles: [], admin: false, app: false, ip: null };

/** The role and those above it. */
async function rolesFrom(start: string | null, knex: any): Promise<string[]> {
	const roles: string[] = [];
	for (let at = start; at && !roles.includes(at); ) {
		const row = await knex('directus_roles').select('id', 'parent').where({ id: at }).first();
		if (!row) break;
		roles.push(row.id);
		at = row.parent;
	}
	return roles;
}

/** Admin and app access through any policy of the roles or the user. One bound to addresses does not count: the worker has
 * not the user's. */
async function access(roles: string[], user: string | null, knex: any): Promise<{ admin: boolean; app: boolean }> {
	const rows: { admin_access: unknown; app_access: unknown; ip_access: string | null }[] = await knex('directus_access')
		.join('directus_policies', 'directus_policies.id', 'directus_access.policy')
		.select('admin_access', 'app_access', 'ip_access')
		.where((either: any) => {
			either.whereIn('directus_access.role', roles);
			if (user) either.orWhere('directus_access.user', user);
		});
	const usable = rows.filter((row) => !row.ip_access);
	return {
		admin: usable.some((row) => Boolean(row.admin_access)),
		app: usable.some((row) => Boolean(row.admin_access) || Boolean(row.app_access)),
	};
}

async function ofRole(role: string, knex: any): Promise<Accountability> {
	const roles = await rolesFrom(role, knex);
	if (roles.length === 0) throw rejection('INVALID_PAYLOAD', 400, `Configured role "${role}" isn't a valid role ID or doesn't exist.`);
	return { ...nobody, role, roles, ...(await access(roles, null, knex)) };
}

async function ofUser(user: string, knex: any): Promise<Accountability> {
	const row = await knex('directus_users').select('id', 'role', 'status').where({ id: user }).first();
	if (!row || row.status !== 'active') throw rejection('FORBIDDEN', 403, `User ${user} is not active or does not exist.`);
	const roles = await rolesFrom(row.role, knex);
	return { ...nobody, user, role: row.role, roles, ...(await access(roles, user, knex)) };
}

const NOBODY = '$none';
const WORKER = '$worker';

export interface Acting {
	permissions: unknown;
	/** An id; null: somebody without one; NOBODY: nobody caused it, a schedule did; WORKER: who asks, with its own rights. */
	user: string | null;
	/** Who asks: the worker's user, as Directus knows it. */
	worker: Accountability;
	signed: boolean;
	userAgent: string;
}

/** null: no permissions are checked, as Directus does it in flows on a schedule. */
export async function accountabilityOf(acting: Acting, knex: any): Promise<Accountability | null> {
	const { permissions, userAgent } = acting;
	const made = async (): Promise<Accountability | null> => {
		if (permissions === '$public') return nobody;
		if (permissions === '$full') return { ...nobody, admin: true, app: true };
		if (permissions && permissions !== '$trigger') return ofRole(String(permissions), knex);
		if (acting.user === WORKER) return acting.worker;
		if (!acting.signed) {
			throw rejection('FORBIDDEN', 403, 'The operation acts as the user who triggered the flow; that needs a job signed with FLOW_WORKER_JOB_SECRET.');
		}
		if (acting.user === NOBODY) return null;
		if (acting.user) return ofUser(acting.user, knex);
		return nobody;
	};
	const accountability = await made();
	return accountability && { ...accountability, userAgent };
}
