// One request to the public API. Whatever goes wrong is a Problem with a sentence for a person.
import { Problem } from './problem.js';
import { current, keep, kept } from './session.js';

// How long an answer may take; the server gives up at 30 s itself.
const PATIENCE = 35e3;
const UNANSWERED = 'unanswered';

export const read = (path, options) => ask('GET', path, options);
export const write = (method, path, body) => ask(method, path, { body });

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
        key?.settle();
        return answer.status === 204 ? null : await answer.json();
    } catch (problem) {
        // 409 to a repeated write may mean that the first one is still being done.
        if (problem instanceof Problem && !problem.isOpen && !(problem.status === 409 && key?.again)) key?.settle();
        throw problem;
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
    const open = JSON.parse(kept(UNANSWERED) ?? '{}');
    const again = signature in open;
    const value = again ? open[signature] : random();
    // Few are ever open; the oldest goes first.
    const names = Object.keys(open);
    if (names.length > 20) delete open[names[0]];
    open[signature] = value;
    keep(UNANSWERED, JSON.stringify(open));
    const settle = () => {
        const open = JSON.parse(kept(UNANSWERED) ?? '{}');
        delete open[signature];
        keep(UNANSWERED, JSON.stringify(open));
    };
    return { value, again, settle };
}

const random = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
