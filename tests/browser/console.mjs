// The agents' page in a real browser, and the built program with a line, a mailbox and a widget behind it.
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Frontdesk } from './desk.mjs';
import { eventually } from './wait.mjs';

const PBX_SECRET = 'tested-auth-token-0123456789abcdef';

// A house with all three channels, and what else `settings` (TOML) say.
export class House extends Frontdesk {
    static settings = '';

    static open() {
        return this.of(this, []);
    }

    start() {
        mkdirSync(join(this.folder, 'config'), { recursive: true });
        writeFileSync(join(this.folder, 'config/frontdesk.toml'), this.constructor.settings);
        return super.start();
    }

    environment() {
        return {
            ...super.environment(),
            FRONTDESK__PHONE__LINE__PROVIDER: 'twilio',
            FRONTDESK__PHONE__LINE__REGION: 'UA',
            FRONTDESK__PHONE__LINE__ZONE: 'Europe/Kyiv',
            FRONTDESK__PHONE__LINE__AUTH_TOKEN: PBX_SECRET,
            FRONTDESK__EMAIL__HELP__ADDRESS: 'help@desk.example',
        };
    }

    // Runs a command of the program, with `input` at its standard input, and gives what it said.
    run(words, input = '') {
        const env = { PATH: process.env.PATH, ...this.environment() };
        return new Promise((done, failed) => {
            const child = execFile(process.env.FRONTDESK, words, { cwd: this.folder, env }, (error, out, said) =>
                error ? failed(new Error(`${words.join(' ')}: ${said || error.message}`)) : done(out.trim()),
            );
            child.stdin.end(input);
        });
    }

    hire(name, role = 'agent') {
        return this.run(['token', 'create', '--role', role, '--name', name]);
    }

    call(from, { story = 'missed', name, count = 1 } = {}) {
        const named = name ? ['--name', name] : [];
        return this.run(['simulate', 'phone', story, '--from', from, '--count', String(count), ...named]);
    }

    // So many others call in vain, several at once.
    async flood(count, from = 0) {
        let next = from;
        const lane = async () => {
            while (next < from + count) {
                const number = next;
                next += 1;
                const call = { CallSid: `CA${String(number).padStart(32, '0')}`, From: `+38050${1e6 + number}`, To: '+380800500500' };
                await this.hook({ ...call, Direction: 'inbound', CallStatus: 'no-answer', CallDuration: '0' });
            }
        };
        await Promise.all(Array.from({ length: 8 }, lane));
    }

    // What a telephone system tells in the middle of a call, signed as Twilio does.
    async hook(fields) {
        const url = `${this.url}/hooks/phone/line`;
        const told = { AccountSid: 'AC00000000000000000000000000000001', ...fields };
        const text = url + Object.keys(told).sort().map(name => name + told[name]).join('');
        const signature = createHmac('sha1', PBX_SECRET).update(text).digest('base64');
        const headers = { 'x-twilio-signature': signature };
        const answer = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(told) });
        if (!answer.ok) throw new Error(`the hook: ${answer.status} ${await answer.text()}`);
    }

    mail(from, { name, subject = 'A question', text = 'Good afternoon!' } = {}) {
        const named = name ? ['--name', name] : [];
        return this.run(['simulate', 'email', '--from', from, '--subject', subject, ...named, text]);
    }

    chat(text, { user, phone, email, name } = {}) {
        const given = Object.entries({ user, phone, email, name }).filter(([, value]) => value);
        return this.run(['simulate', 'chat', ...given.flatMap(([key, value]) => [`--${key}`, value]), text]);
    }
}

// An agent at a computer of their own. `complaints` is what a strict policy refused and what threw.
export class Agent {
    static async at(site, desk, token, options = {}) {
        const agent = new Agent();
        Object.assign(agent, { desk, token, complaints: [], asked: [] });
        agent.context = await site.browser.newContext({
            locale: 'en-GB',
            viewport: { width: 1280, height: 800 },
            ...options,
        });
        agent.context.setDefaultTimeout(60e3);
        await agent.tab();
        return agent;
    }

    async tab() {
        this.page = await this.context.newPage();
        this.page.on('pageerror', error => this.complaints.push(String(error)));
        this.page.on('console', message => {
            if (/Content Security|Trusted/i.test(message.text())) this.complaints.push(message.text());
        });
        this.page.on('request', request => this.asked.push(request));
    }

    // From the next page on, what the server tells of by itself can be held back, and let go.
    canBeLeftWaiting() {
        return this.page.addInitScript(() => {
            let held = Promise.resolve();
            const fetched = window.fetch;
            window.hold = () => void (held = new Promise(done => (window.letGo = done)));
            window.fetch = async (...asked) => {
                const answer = await fetched(...asked);
                if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return answer;
                const gate = new TransformStream({ transform: (piece, on) => held.then(() => on.enqueue(piece)) });
                return new Response(answer.body.pipeThrough(gate), answer);
            };
        });
    }

    // With the link that has the token in it, as it is printed for a newcomer.
    async comes(hash = `#token=${this.token}`) {
        await this.page.goto(`${this.desk.url}/console/${hash}`);
        await this.isLive();
        return this;
    }

    isLive() {
        return this.says(this.page.getByTestId('link'), /^(Live|На зв’язку|На связи)$/);
    }

    get waiting() {
        return this.page.getByTestId('waiting').locator('.row');
    }
    get mine() {
        return this.page.locator('section[aria-labelledby="mine-title"] .row');
    }
    get entries() {
        return this.page.locator('.timeline .entry');
    }
    get card() {
        return this.page.locator('#card');
    }
    get composer() {
        return this.page.locator('#composer');
    }

    async says(locator, wanted) {
        await eventually(`it says ${wanted}`, async () => {
            const text = (await locator.allTextContents()).join(' | ');
            if (wanted instanceof RegExp ? !wanted.test(text) : text !== wanted) throw new Error(`it says "${text}"`);
            return true;
        });
    }

    // Opens what waits or is ours and shows these words, once it is there.
    async opens(words) {
        const row = this.page.locator('.list .row', { hasText: words }).first();
        const id = await row.getAttribute('data-id');
        await row.click();
        await this.page.locator(`main[data-conversation="${id}"] h1`).waitFor();
    }

    leaves() {
        return this.context.close();
    }
}
