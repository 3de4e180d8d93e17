// Holds deploy/kubernetes/*.yaml against the schemas that their projects publish.
//     node deploy_schemas.mjs FOLDER-WITH-node_modules DEPLOY-FOLDER
// Prints one line a document; exit status 1 if one does not fit.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, deploy] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(modules, 'node_modules', path)));
const yaml = await load('js-yaml/dist/js-yaml.mjs');
let bad = 0;

function told(what, errors) {
	console.log(errors ? `${what}: does not fit: ${errors}` : `${what}: fits`);
	if (errors) bad += 1;
}

// apiVersion/kind, and the module that holds its schema
const kinds = {
	'apps/v1/Deployment': 'kubernetes-models/apps/v1/Deployment.js',
	'v1/Service': 'kubernetes-models/v1/Service.js',
	'policy/v1/PodDisruptionBudget': 'kubernetes-models/policy/v1/PodDisruptionBudget.js',
	'monitoring.coreos.com/v1/ServiceMonitor': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor.js',
	'keda.sh/v1alpha1/ScaledObject': '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject.js',
};

for (const file of readdirSync(join(deploy, 'kubernetes')).filter((f) => f.endsWith('.yaml')).sort())
	for (const document of yaml.loadAll(readFileSync(join(deploy, 'kubernetes', file), 'utf8'))) {
		const path = kinds[`${document.apiVersion}/${document.kind}`];
		const what = `kubernetes/${file} ${document.kind}`;
		if (!path) {
			told(what, `no schema for ${document.apiVersion}/${document.kind}`);
			continue;
		}
		try {
			const module = await load(path);
			const Kind = module[document.kind] ?? module.default[document.kind];
			new Kind(document).validate();
			told(what, null);
		} catch (error) {
			told(what, error.message);
		}
	}
process.exit(bad ? 1 : 0);
