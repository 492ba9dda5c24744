// One request to the public API. Whatever goes wrong is a Problem with a sentence for a person.
import { setBy } from './clock.js';
import { Problem } from './problem.js';
import { current, keep, kept } from './session.js';

// How long an answer may take; the server gives up at 30 s itself.
const PATIENCE = 35e3;
const UNANSWERED = 'unanswered';
// For so long the same write is the one that was not answered: whoever presses a button again does it soon. The same
// words to the same client hours later are said once more.
const SAME_WITHIN = 5 * 60e3;

export const read = async (path, options) => (await ask('GET', path, options)).said;
export const write = async (method, path, body) => (await act(method, path, body)).said;

// A write with whether its answer is an old one: it was done before, and `said` is how things stood then.
export const act = (method, path, body) => ask(method, path, { body });

// The same, where a server of another release may not have it yet: then it is as if it were empty.
export async function readIfThere(path, empty) {
    try {
        return await read(path);
    } catch (problem) {
        if (problem.status === 404) return empty;
        throw problem;
    }
}

// The bytes of a file that only a token opens.
export async function download(path) {
    return (await answered('GET', path, {})).blob();
}

async function ask(method, path, { body, signal } = {}) {
    const headers = {};
    let key;
    if (method !== 'GET') {
        key = keyOf(`${method} ${path} ${JSON.stringify(body ?? null)}`);
        headers['idempotency-key'] = key.value;
    }
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
        const answer = await answered(method, path, { headers, body: body && JSON.stringify(body), signal });
        const said = answer.status === 204 ? null : await whole(answer);
        key?.settle();
        return { said, isOld: answer.headers.has('idempotency-replayed') };
    } catch (problem) {
        // 409 to a repeated write may mean that the first one is still being done.
        if (problem instanceof Problem && !problem.isOpen && !(problem.status === 409 && key?.again)) key?.settle();
        throw problem;
    }
}

// An answer that broke off is none.
async function whole(answer) {
    try {
        return await answer.json();
    } catch {
        throw new Problem(0);
    }
}

async function answered(method, path, { headers = {}, body, signal }) {
    const late = AbortSignal.timeout(PATIENCE);
    let answer;
    try {
        answer = await fetch(path, {
            method,
            body,
            headers: { ...headers, authorization: `Bearer ${current()}` },
            signal: signal ? AbortSignal.any([signal, late]) : late,
            cache: 'no-store',
            credentials: 'omit',
        });
    } catch {
        throw new Problem(0);
    }
    setBy(answer);
    if (answer.ok) return answer;
    let said = {};
    try {
        said = await answer.json();
    } catch {
        // Not ours: a proxy's page. The status has to do.
    }
    throw new Problem(answer.status, said);
}

// What makes a write be done once, however often it is sent. The key of a write whose answer never came is kept
// over a reload, so that pressing the button again is the same write again.
function keyOf(signature) {
    const open = unanswered();
    const again = signature in open;
    open[signature] ??= { value: random(), at: Date.now() };
    keep(UNANSWERED, JSON.stringify(open));
    const { value } = open[signature];
    const settle = () => {
        const open = unanswered();
        delete open[signature];
        keep(UNANSWERED, JSON.stringify(open));
    };
    return { value, again, settle };
}

// Those of which it is not known, and which are not long ago; also by a clock that was set meanwhile.
function unanswered() {
    const open = Object.entries(JSON.parse(kept(UNANSWERED) ?? '{}'));
    return Object.fromEntries(open.filter(([, { at }]) => Math.abs(Date.now() - at) < SAME_WITHIN));
}

const random = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
