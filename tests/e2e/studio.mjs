// A person in the Studio: puts an AI operation into a flow, fills its form, saves, creates an article, reads the log.
//
//   node studio.mjs URL FLOW_ID FOLDER      for the screenshots; the last line on standard output is a JSON object
//
// Logging in goes through the API: the login page draws for half a minute without a graphics card.
import { chromium } from 'playwright-core';

const [url, flow, folder] = process.argv.slice(2);
const { ADMIN_EMAIL, ADMIN_PASSWORD } = process.env;
// Quiet, and no request of the browser's own.
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args });
const context = await browser.newContext({ viewport: { width: 1440, height: 1400 }, baseURL: url });
const page = await context.newPage();
page.setDefaultTimeout(60000);
const errors = [];
page.on('pageerror', (error) => errors.push(error.message));
const foreign = [];
page.on('request', (request) => {
	if (!request.url().startsWith(url) && /^https?:/.test(request.url())) foreign.push(request.url());
});

const shot = (name) => page.screenshot({ path: `${folder}/${name}.png` });
const field = (label) => page.locator('.field').filter({ has: page.getByText(label, { exact: true }) }).last();

async function choose(label, option) {
	await field(label).locator('.v-input').first().click();
	await page.locator('.v-list-item').filter({ hasText: new RegExp(`^\\s*${option}\\s*$`) }).last().click();
}

async function addOperation() {
	await page.goto(`/admin/flows/${flow}`);
	await page.locator('.add-resolve').first().click();
	await page.getByPlaceholder('Name of operation').fill('Write the description');
	await page.getByText('AI Generate', { exact: true }).click();
	await choose('Provider', 'OpenAI');
	await choose('Model', 'GPT-4.1');
	await field('Prompt').locator('textarea').fill('Describe in one sentence: {{$trigger.payload.title}}');
	await choose('Save to Collection', 'Articles');
	await choose('Field', 'Meta Description');
	await page.getByText('Advanced', { exact: true }).click();
	await field('Max. Tokens').locator('input').fill('160');
	await shot('form');
	await page.getByRole('button', { name: 'Done', exact: true }).click();
	await page.getByText('openai/gpt-4.1', { exact: true }).waitFor();
	await shot('canvas');
	await page.getByRole('button', { name: 'Save', exact: true }).first().click();
	await page.getByRole('button', { name: 'Edit Flow' }).waitFor();
}

async function createArticle() {
	await page.goto('/admin/content/articles/+');
	await field('Title').locator('input').fill('Sourdough & "rye" 😀');
	await page.getByRole('button', { name: /^Save/ }).first().click();
	await page.waitForURL(/content\/articles(\/\d+)?$/);
}

/** The newest run in the flow's own log, opened, and what its last step was given or gave. */
async function openRun(timeout) {
	await page.goto(`/admin/flows/${flow}`);
	await page.getByText('Logs', { exact: true }).click();
	const run = page.locator('.sidebar-detail .log, .log').first();
	await run.waitFor();
	await run.click();
	await page.getByText('Write the description').last().waitFor();
	await page.getByText('Payload', { exact: true }).last().click({ timeout });
	await page.getByText('A loaf that keeps.').first().waitFor({ timeout });
}

/** The Studio shows a run as it was when the page was loaded, and misses clicks while it is still busy. */
async function readLog() {
	for (let tries = 0; ; tries++) {
		try {
			await openRun(15_000);
			break;
		} catch (error) {
			if (tries === 4) throw error;
		}
	}
	await shot('log');
}

try {
	await context.request.post('/auth/login', { data: { email: ADMIN_EMAIL, password: ADMIN_PASSWORD, mode: 'session' } });
	const dismissed = ['license-banner-dismissed', 'license-onboarding-dismissed', 'license-login-modal-dismissed'];
	await context.addCookies(dismissed.map((name) => ({ name, value: 'true', url })));
	await addOperation();
	await createArticle();
	await readLog();
	console.log(JSON.stringify({ errors, foreign }));
} catch (error) {
	await shot('failed');
	throw error;
} finally {
	await browser.close();
}
