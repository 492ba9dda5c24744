// What the widget talks to: the stand-in, or the built `frontdesk` where FRONTDESK names it.
// Both can be started, killed as the power goes, and started again; both tell which lines they hold.
import { spawn, execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './wait.mjs';

export const SOURCE = 'site';
export const SECRET = 'tested-identity-secret-0123456789abcdef';

// What the site gives who is signed in there: a JWT (HS256), good for an hour or until `exp`.
export function token(sub, exp = Math.floor(Date.now() / 1000) + 3600) {
    const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp })}`;
    return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

// A port nobody uses at this moment: below those that outgoing connections take, for one of them could have it
// while a server is killed and started again; and above those that the houses of other tests here share out among
// themselves (`tests/harness/ports.rs`).
export async function freePort() {
    for (;;) {
        const port = 20_000 + Math.floor(Math.random() * 12_000);
        const free = await new Promise(done => {
            const probe = createServer().on('error', () => done(false));
            probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
        });
        if (free) return port;
    }
}

// What was on its way when a broker was killed may take this long to be recorded.
const ARRIVAL = 90e3;

class Desk {
    static async of(kind, origins) {
        const desk = new kind();
        desk.folder = mkdtempSync(join(tmpdir(), 'frontdesk-browser-'));
        for (let tries = 1; ; tries += 1) {
            desk.port = await freePort();
            desk.url = `http://127.0.0.1:${desk.port}`;
            desk.origins = [...origins, desk.url];
            try {
                await desk.start();
                return desk;
            } catch (error) {
                // Somebody was faster.
                if (tries === 3 || !/in use/.test(desk.log())) throw error;
            }
        }
    }

    async start() {
        const log = openSync(join(this.folder, 'log'), 'a');
        const [program, words, environment] = this.command();
        this.child = spawn(program, words, {
            cwd: this.folder,
            stdio: ['pipe', log, log],
            env: { PATH: process.env.PATH, ...environment },
        });
        this.ended = new Promise(done => this.child.once('exit', done));
        await eventually(`${program} is ready`, async () => {
            if (this.child.exitCode !== null) throw Object.assign(new Error(`it ended: ${this.log()}`), { isFinal: true });
            return (await fetch(this.url + this.readiness())).ok;
        });
    }

    async kill9() {
        this.child.kill('SIGKILL');
        await this.ended;
    }

    // It stands still with everything in its hands, and goes on. A signal stops the threads of a process one by
    // one, each when it next looks.
    async freeze() {
        this.child.kill('SIGSTOP');
        const tasks = `/proc/${this.child.pid}/task`;
        await eventually('it stands still', () =>
            readdirSync(tasks).every(task => /\) [TtZX]/.test(readFileSync(join(tasks, task, 'stat'), 'utf8'))),
        );
    }
    thaw() {
        this.child.kill('SIGCONT');
    }

    async end() {
        // As an operator stops it, so that its own children are gone before their folder is.
        this.child.kill('SIGTERM');
        this.child.kill('SIGCONT');
        await this.ended;
        rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }

    log() {
        return readFileSync(join(this.folder, 'log'), 'utf8').slice(-4000);
    }

    // The visitors' lines, as texts in the order they are held.
    async texts() {
        return (await this.lines()).filter(line => line.from === 'visitor').map(line => line.text);
    }

    // Waits until it holds exactly these lines of visitors, in this order: each is there once, however long
    // ago it was acknowledged.
    async holds(...texts) {
        await eventually(
            `the desk holds ${JSON.stringify(texts)}`,
            async () => {
                const held = await this.texts();
                if (JSON.stringify(held) !== JSON.stringify(texts))
                    throw new Error(`it holds ${JSON.stringify(held)}`);
                return true;
            },
            ARRIVAL,
        );
    }
}

export class StandIn extends Desk {
    readiness() {
        return '/seen';
    }

    command() {
        const program = new URL('stand-in.mjs', import.meta.url).pathname;
        const policy = { DEMO_POLICY: DEMO_POLICY };
        return [process.execPath, [program, String(this.port), join(this.folder, 'journal')], policy];
    }

    async control(order) {
        await fetch(this.url + '/control', { method: 'POST', body: JSON.stringify(order) });
    }
    async seen() {
        return (await fetch(this.url + '/seen')).json();
    }
    async lines() {
        return (await this.seen()).lines;
    }
    async say(text) {
        await this.control({ say: { text } });
    }
}

// What the demo page is served with.
export const DEMO_POLICY =
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

export class Frontdesk extends Desk {
    readiness() {
        return '/readyz';
    }

    command() {
        return [process.env.FRONTDESK, ['up'], this.environment()];
    }

    environment() {
        return {
            FRONTDESK__HTTP__LISTEN: `127.0.0.1:${this.port}`,
            [`FRONTDESK__CHAT__${SOURCE.toUpperCase()}__ORIGINS`]: this.origins.join(','),
            [`FRONTDESK__CHAT__${SOURCE.toUpperCase()}__IDENTITY_SECRET`]: SECRET,
        };
    }

    async ask(path, body) {
        if (!this.token) {
            const words = ['token', 'create', '--role', 'agent', '--name', 'browser'];
            const env = { PATH: process.env.PATH, ...this.environment() };
            this.token = (
                await promisify(execFile)(process.env.FRONTDESK, words, { cwd: this.folder, env })
            ).stdout.trim();
        }
        const headers = { authorization: `Bearer ${this.token}` };
        if (body)
            Object.assign(headers, {
                'content-type': 'application/json',
                'idempotency-key': `browser-${Math.random()}`,
            });
        const answer = await fetch(this.url + path, {
            method: body ? 'POST' : 'GET',
            headers,
            body: body && JSON.stringify(body),
        });
        if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
        return answer.status === 204 ? null : answer.json();
    }

    // As an integrator reads them: every client's timeline, oldest first.
    async lines() {
        const all = [];
        for (const client of (await this.ask('/v1/clients?limit=200')).items) {
            const { items } = await this.ask(`/v1/clients/${client.id}/timeline?channel=chat&limit=200`);
            for (const { content, direction } of items.reverse()) {
                all.push({ from: direction === 'inbound' ? 'visitor' : 'agent', text: content.text });
            }
        }
        return all;
    }

    // Answers the one conversation there is.
    async say(text) {
        const [{ id }] = await eventually('there is a conversation', async () => {
            const { items } = await this.ask('/v1/conversations');
            return items.length === 1 && items;
        });
        await this.ask(`/v1/conversations/${id}/replies`, { text });
    }
}

// The one the stories are told to.
export const standing = origins => Desk.of(process.env.FRONTDESK ? Frontdesk : StandIn, origins);
export const standIn = origins => Desk.of(StandIn, origins);
