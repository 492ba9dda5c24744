// The page, from its beginning: who we are, what is known, what is drawn.
//
// Order of reading: `session` and `api` (one request), `sse` and `live` (the line), `desk` (what is known), `sync`
// (keeping it so, by what it `reads` and what is `heard`), `acts` (what an agent does), `route`, `keys`; then `views`,
// `app` first.
import { forget, desk, onChange, changed } from './desk.js';
import { html, render } from './html.js';
import { listen } from './keys.js';
import { readMe } from './reads.js';
import { begin, current, drop, keep, kept, keptNames, leave } from './session.js';
import { start, stop } from './sync.js';
import { t } from './words.js';
import { App } from './views/app.js';
import { SignIn } from './views/signin.js';

// Why we are at the door, where we are.
let why = null;
const root = document.getElementById('app');

function draw() {
    if (desk.link === 'refused') {
        stop();
        why = t('token_refused');
        forget();
        // What was being written stays for when they come back.
        drop();
        inside = false;
    }
    const waiting = desk.offers.size + desk.rings.length;
    document.title = `${waiting ? `(${waiting}) ` : ''}Frontdesk`;
    render(inside ? html`<${App} signOut=${signOut} />` : html`<${SignIn} why=${why} come=${come} />`, root);
}

let inside = false;

// Tries the token; throws what is wrong with it.
async function come() {
    await readMe();
    // What somebody else was writing on this computer is not theirs.
    if (kept('whose') !== null && kept('whose') !== desk.me.name) {
        for (const name of keptNames('draft.')) keep(name, null);
    }
    keep('whose', desk.me.name);
    enter();
}

function enter() {
    inside = true;
    why = null;
    start();
    changed();
}

function signOut() {
    stop();
    leave();
    forget();
    inside = false;
    history.replaceState(null, '', location.pathname);
    draw();
}

onChange(draw);
window.addEventListener('hashchange', () => {
    // A link with a token signs in, also where somebody is signed in already.
    if (location.hash.startsWith('#token=')) {
        stop();
        forget();
        inside = false;
        arrive();
        return;
    }
    document.body.classList.remove('shows-card');
    draw();
});
listen(() => inside);
arrive();

async function arrive() {
    begin();
    if (!current()) {
        draw();
        return;
    }
    try {
        await come();
    } catch (problem) {
        if (problem.status === 401 || problem.status === 403) {
            why = t('token_wrong');
            drop();
            draw();
            return;
        }
        // The server is away: we wait inside, and go on when it is back.
        enter();
    }
}
