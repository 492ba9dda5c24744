// A customer's site with the widget on it, at an origin of its own and behind a strict policy, and visitors
// who come to it with real browsers.
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { eventually } from './wait.mjs';
import { SOURCE } from './desk.mjs';

export const WIDGET = new URL('../../crates/connector-chat/widget/widget.js', import.meta.url);
const BROWSERS = [
    process.env.CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
];

// The policy README.md tells a customer to have, and nothing more; pages that want Trusted Types get them.
const policy = desk =>
    "default-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; " +
    `script-src ${desk} 'self'; connect-src ${desk} ${desk.replace('http', 'ws')}`;

// `?data-lang=uk&html-lang=ru&twice&own-copy` shape the page; its own copy is there while the desk is not.
function page(desk, query) {
    const attributes = [...query].filter(([name, value]) => name.startsWith('data-') && value);
    const written = attributes.map(([name, value]) => `${name}="${value}"`).join(' ');
    const source = query.get('data-source') === '' ? '' : `data-source="${SOURCE}"`;
    const from = query.has('own-copy')
        ? `src="/widget.js" data-server="${desk}/chat/"`
        : `src="${desk}/chat/widget.js"`;
    const script = `<script async ${from} ${source} ${written}></script>`;
    return `<!doctype html><html lang="${query.get('html-lang') ?? 'en'}"><head><title>A customer's shop</title>
<meta name="viewport" content="width=device-width">${script}${query.has('twice') ? script : ''}</head>
<body><main><h1>A customer's shop</h1><p>Shoes and laces. <button data-frontdesk="open">Ask us</button></p></main></body></html>`;
}

export class Site {
    static async open() {
        const site = new Site();
        site.server = createServer((request, response) => {
            const { pathname, searchParams } = new URL(request.url, site.url);
            if (pathname === '/widget.js') {
                response
                    .writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' })
                    .end(readFileSync(WIDGET));
                return;
            }
            if (pathname !== '/shop') {
                response.writeHead(404).end();
                return;
            }
            const headers = {
                'content-type': 'text/html; charset=utf-8',
                'content-security-policy': policy(site.desk),
            };
            response.writeHead(200, headers).end(page(site.desk, searchParams));
        });
        await new Promise(done => site.server.listen(0, '127.0.0.1', done));
        site.url = `http://127.0.0.1:${site.server.address().port}`;
        const executablePath = BROWSERS.find(path => path && existsSync(path));
        if (!executablePath) throw new Error('no Chromium: install `chromium`, or name it in CHROMIUM');
        // Chromium's own sandbox needs rights that a container does not give.
        site.browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
        return site;
    }

    // A person at a computer of their own: `tab()` opens the site.
    async visitor(options) {
        const context = await this.browser.newContext({ locale: 'en-GB', ...options });
        context.setDefaultTimeout(60e3);
        return new Visitor(this, context);
    }

    async close() {
        await this.browser?.close();
        this.server.closeAllConnections();
        await new Promise(done => this.server.close(done));
    }
}

export class Visitor {
    constructor(site, context) {
        Object.assign(this, { site, context });
    }

    // With `clock`, the page's time can be moved.
    async tab(query = '', url = `${this.site.url}/shop?${query}`, { clock = false } = {}) {
        const tab = new Tab(await this.context.newPage());
        if (clock) await tab.page.clock.install();
        await tab.page.goto(url);
        return tab;
    }

    leave() {
        return this.context.close();
    }
}

// One tab with the widget in it, as a person sees and uses it.
export class Tab {
    constructor(page) {
        this.page = page;
        // What a strict policy refuses, and what throws; and every frame that went and came.
        this.complaints = [];
        page.on('pageerror', error => this.complaints.push(String(error)));
        page.on('console', message => {
            if (/Content Security|Trusted/.test(message.text())) this.complaints.push(message.text());
        });
        this.said = [];
        this.heard = [];
        page.on('websocket', socket => {
            socket.on('framesent', frame => this.said.push(String(frame.payload)));
            socket.on('framereceived', frame => this.heard.push(String(frame.payload)));
        });
        this.launcher = page.locator('frontdesk-chat .launch');
        this.panel = page.locator('frontdesk-chat [role=dialog]');
        this.box = this.panel.locator('textarea');
        this.state = this.panel.locator('.state');
        this.alert = this.panel.locator('.alert');
        this.log = this.panel.locator('[role=log]');
    }

    async open() {
        await this.launcher.click();
        await this.box.waitFor();
    }

    // Types and sends, without waiting for anything.
    async write(text) {
        await this.box.fill(text);
        await this.box.press('Enter');
    }

    // Every line that is shown: who, what, and how far it came.
    lines() {
        return this.panel.locator('.line').evaluateAll(nodes =>
            nodes.map(node => ({
                who: node.classList.contains('mine')
                    ? 'visitor'
                    : node.querySelector('.meta').textContent.replace(':', ''),
                text: node.querySelector('.text').textContent,
                state: node.dataset.state ?? null,
            })),
        );
    }

    // Waits until exactly these are shown, each `[text, state]` of the visitor's, or `[text]` of any.
    async shows(...wanted) {
        await eventually(`shown: ${JSON.stringify(wanted)}`, async () => {
            const shown = await this.lines();
            const same =
                shown.length === wanted.length &&
                wanted.every(
                    ([text, ...states], i) =>
                        shown[i].text === text && (!states.length || states.includes(shown[i].state)),
                );
            if (!same) throw new Error(`shown is ${JSON.stringify(shown)}`);
            return true;
        });
    }

    // Waits until a text is what is wanted.
    async says(locator, wanted) {
        await eventually(`it says ${wanted}`, async () => {
            const text = await locator.textContent();
            if (wanted instanceof RegExp ? !wanted.test(text) : text !== wanted)
                throw new Error(`it says "${text}"`);
            return true;
        });
    }

    connected() {
        return this.says(this.state, /^$|^Thank/);
    }
}
