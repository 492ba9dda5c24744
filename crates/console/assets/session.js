// Who we are to the server: the token its user gave us, and what this browser keeps for them.
const KEY = 'frontdesk.token';
const OURS = 'frontdesk.';
const PLACES = [window.sessionStorage, window.localStorage];

// Where everything of this session is kept: until the tab is closed, or on this computer if asked to.
let shelf = window.sessionStorage;
let token = null;

// Takes the token from the address (`#token=…`), which then no longer shows it, or from what was kept.
export function begin() {
    const given = /^#token=([A-Za-z0-9_-]{1,255})$/.exec(location.hash);
    if (given) {
        history.replaceState(null, '', location.pathname);
        enter(given[1], false);
        return;
    }
    for (const place of PLACES) {
        const kept = place.getItem(KEY);
        if (kept) {
            [shelf, token] = [place, kept];
            return;
        }
    }
}

// What was kept by whoever was here before stays, and goes along; `main` looks whose it is.
export function enter(given, remember) {
    drop();
    const before = shelf;
    [shelf, token] = [remember ? window.localStorage : window.sessionStorage, given];
    if (shelf !== before) {
        for (const key of ours(before)) {
            shelf.setItem(key, before.getItem(key));
            before.removeItem(key);
        }
    }
    keep('token', given);
}

// The token alone is forgotten: it is not good any more.
export function drop() {
    token = null;
    for (const place of PLACES) place.removeItem(KEY);
}

// Nothing of this session stays in the browser.
export function leave() {
    token = null;
    for (const place of PLACES) for (const key of ours(place)) place.removeItem(key);
}

const ours = place => Object.keys(place).filter(key => key.startsWith(OURS) && !key.startsWith('frontdesk.set.'));

export const current = () => token;

// What is kept for this session, by name; `null` forgets it.
export function keep(name, value) {
    try {
        if (value === null) shelf.removeItem(OURS + name);
        else shelf.setItem(OURS + name, value);
    } catch {
        // The browser's place for it is full or forbidden: it lasts as long as the page.
    }
}
export const kept = name => shelf.getItem(OURS + name);
export const keptNames = prefix =>
    Object.keys(shelf).filter(key => key.startsWith(OURS + prefix)).map(key => key.slice(OURS.length));
