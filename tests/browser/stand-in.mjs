// A server that speaks the chat's protocol and nothing else, so that the widget can be tested fast, and in
// moods a real server is seldom in. `node stand-in.mjs PORT JOURNAL`; ready when it prints a line.
//
// Like the real one it acknowledges a line only when it is in a file and flushed, and knows a line again by
// its id. `POST /control` sets its moods and speaks as the agent; `GET /seen` tells what it saw.
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const [port, journal] = process.argv.slice(2);
const widget = new URL('../../crates/connector-chat/widget/', import.meta.url);

// What a mood means: `deaf` answers nothing; `late` keeps lines but swallows so many acks; `refuse` answers
// so many lines with this error; `sockets: false` refuses upgrades as some proxies do.
const mood = { deaf: false, late: 0, refuse: null, refusals: 0, sockets: true };
const seen = { hellos: [], messages: [], claims: [], reads: [], pings: 0, polls: 0 };
const lines = [];
const connected = new Set();

const digest = secret => createHash('sha256').update(secret).digest('hex');
const file = openSync(journal, 'a');
if (existsSync(journal)) {
    for (const line of readFileSync(journal, 'utf8').split('\n').filter(Boolean))
        lines.push(JSON.parse(line));
}

const of = visitor => lines.filter(line => line.visitor === visitor);

function keep(visitor, line) {
    const kept = { visitor, seq: of(visitor).length + 1, at: new Date().toISOString(), ...line };
    writeSync(file, JSON.stringify(kept) + '\n');
    fsyncSync(file);
    lines.push(kept);
    return kept;
}

// What somebody connected has not been told yet, in order.
function deliver(one) {
    for (const line of of(one.visitor).filter(line => line.seq > one.after)) {
        one.after = line.seq;
        const { visitor, ...frame } = line;
        one.say({ type: 'message', name: null, ...frame });
    }
}

// A visitor behind a token is its `sub`. The stand-in believes every token but those that say otherwise.
function subject(token) {
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    return claims.exp < Date.now() / 1000 ? null : 'sub:' + claims.sub;
}

// One frame of a connection `{visitor, after, say, hang}`.
function hear(one, frame) {
    if (mood.deaf) return;
    if (frame.type === 'hello') {
        seen.hellos.push({
            visitor: frame.visitor,
            token: frame.token,
            after: frame.after,
            page: frame.page,
        });
        if (frame.token) {
            one.visitor = subject(frame.token);
            if (!one.visitor) {
                one.say({ type: 'error', code: 'expired_token', detail: 'the token has expired' });
                one.hang(4001);
                return;
            }
        }
        const secret = frame.token ? null : frame.visitor || randomBytes(32).toString('base64url');
        one.visitor ||= digest(secret);
        const last = of(one.visitor).length;
        one.after = frame.after ?? last;
        one.say({ type: 'welcome', visitor: secret, seq: last });
        deliver(one);
    } else if (!one.visitor) {
        one.say({ type: 'error', code: 'hello_first', detail: 'say hello first' });
    } else if (frame.type === 'message') {
        seen.messages.push(frame);
        if (mood.refusals > 0) {
            mood.refusals -= 1;
            one.say({ type: 'error', ...mood.refuse, id: frame.id });
            return;
        }
        if (!of(one.visitor).some(line => line.id === frame.id)) {
            keep(one.visitor, { id: frame.id, from: 'visitor', text: frame.text });
        }
        if (mood.late > 0) {
            mood.late -= 1;
            return;
        }
        one.say({ type: 'ack', id: frame.id });
        for (const other of connected) if (other.visitor === one.visitor) deliver(other);
    } else if (frame.type === 'identify') {
        seen.claims.push(frame);
        if (frame.id) one.say({ type: 'ack', id: frame.id });
    } else if (frame.type === 'read') {
        seen.reads.push(frame.seq);
        for (const other of connected) if (other.visitor === one.visitor) other.say(frame);
    } else if (frame.type === 'ping') {
        seen.pings += 1;
        one.say({ type: 'pong' });
    } else if (frame.type !== 'typing') {
        one.say({ type: 'error', code: 'unknown_type', detail: `${frame.type} is not known` });
    }
}

function control(order) {
    const { say, typing, hang, ...moods } = order;
    Object.assign(mood, moods);
    const visitors = new Set([...connected].map(one => one.visitor).filter(Boolean));
    if (say) {
        for (const visitor of visitors.size ? visitors : new Set(lines.map(line => line.visitor))) {
            keep(visitor, {
                id: `ent_${randomBytes(6).toString('hex')}`,
                from: 'agent',
                name: say.name ?? 'Оля',
                text: say.text,
                ...(say.at ? { at: say.at } : {}),
            });
        }
    }
    for (const one of [...connected]) {
        if (say && one.visitor) deliver(one);
        if (typing) one.say({ type: 'typing', name: typing });
        if (hang) one.hang(hang);
    }
}

// All frames of one request, answered at once if there is something to say, else when there is.
function poll(frames, answer) {
    seen.polls += 1;
    const out = [];
    let timer = null;
    const done = () => {
        clearTimeout(timer);
        connected.delete(one);
        answer(out);
    };
    let begun = false;
    const one = {
        visitor: null,
        after: 0,
        hang: () => {},
        say: frame => {
            out.push(frame);
            if (begun) setImmediate(done);
        },
    };
    for (const frame of frames) hear(one, frame);
    if (out.length > 1 || (!frames[0].visitor && !frames[0].token) || mood.deaf) {
        done();
        return;
    }
    begun = true;
    connected.add(one);
    timer = setTimeout(done, 25e3);
}

const server = createServer(async (request, response) => {
    const body = Buffer.concat(await read(request)).toString();
    const send = (type, text, headers) =>
        response.writeHead(200, { 'content-type': type, ...headers }).end(text);
    const demo = /^\/chat\/([a-z0-9-]+)\/demo$/.exec(request.url);
    if (request.url === '/chat/widget.js')
        send('text/javascript; charset=utf-8', readFileSync(new URL('widget.js', widget)));
    else if (demo) {
        const page = readFileSync(new URL('demo.html', widget), 'utf8').replaceAll('{{source}}', demo[1]);
        send('text/html; charset=utf-8', page, { 'content-security-policy': process.env.DEMO_POLICY });
    } else if (request.url === '/seen')
        send('application/json', JSON.stringify({ ...seen, lines, sockets: connected.size }));
    else if (request.url === '/control') {
        control(JSON.parse(body));
        send('application/json', '{}');
    } else if (request.url.endsWith('/poll')) {
        const cors = { 'access-control-allow-origin': request.headers.origin ?? '*', vary: 'Origin' };
        poll(JSON.parse(body), out => send('application/json', JSON.stringify(out), cors));
    } else response.writeHead(404).end();
});

async function read(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return chunks;
}

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
    if (!mood.sockets) {
        socket.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n');
        return;
    }
    sockets.handleUpgrade(request, socket, head, ws => {
        const one = {
            visitor: null,
            after: 0,
            hang: code => ws.close(code),
            say: frame => {
                if (!mood.deaf) ws.send(JSON.stringify(frame));
            },
        };
        connected.add(one);
        ws.on('message', data => hear(one, JSON.parse(data)));
        ws.on('close', () => connected.delete(one));
    });
});
server.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${port}`));
process.on('exit', () => closeSync(file));
// Whoever started us is gone.
process.stdin.on('end', () => process.exit()).resume();
