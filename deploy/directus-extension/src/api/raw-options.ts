// The options of the operation that is running, as they are stored.
//
// Directus resolves {{ }} before it calls an operation and does not say which operation it is. The worker wants the
// stored text: a title that contains {{ or << must stay a title and not become a template of its own. So the
// operation is found again: of the same type, and its stored options rendered with this very chain give what was handed
// over. First along the way this flow has taken; then, since a flow started by another flow's "trigger" operation sees
// the other one here, among all stored operations of the type.

import { isDeepStrictEqual } from 'node:util';
import { applyOptionsData } from '@directus/utils';

export type Chain = Record<string, unknown>;
export type Options = Record<string, unknown>;

/** An operation in the tree that Directus keeps of a flow in memory. */
export interface Node {
	id: string;
	key: string;
	type: string;
	options: Options | null;
	resolve?: Node | null;
	reject?: Node | null;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

function renders(node: Node, rendered: Options, chain: Chain): boolean {
	try {
		return isDeepStrictEqual(plain(applyOptionsData(node.options ?? {}, chain)), plain(rendered));
	} catch {
		return false;
	}
}

/** The operations that can be next: behind those that have left something in the chain. */
function* onTheWay(node: Node | null | undefined, chain: Chain): Generator<Node> {
	if (!node) return;
	yield node;
	if (node.key in chain) {
		yield* onTheWay(node.resolve, chain);
		yield* onTheWay(node.reject, chain);
	}
}

/** Among several that fit: rather one with templates, so that text which came from data is not read as one. */
function best(found: Node[], rendered: Options): Node | null {
	return found.find((node) => !isDeepStrictEqual(plain(node.options), plain(rendered))) ?? found[0] ?? null;
}

export function findOnTheWay(first: Node | null | undefined, type: string, rendered: Options, chain: Chain): Node | null {
	const found = [...onTheWay(first, chain)].filter((node) => node.type === type && renders(node, rendered, chain));
	// The last one: an operation that was already passed has its key in the chain.
	return best(found.filter((node) => !(node.key in chain)), rendered) ?? best(found, rendered);
}

export function findAmong(stored: Node[], type: string, rendered: Options, chain: Chain): Node | null {
	return best(stored.filter((node) => node.type === type && renders(node, rendered, chain)), rendered);
}
