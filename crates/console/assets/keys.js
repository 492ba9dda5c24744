// The keyboard: everything an agent does often is one key away, and none of them works while one types.
import { claim, next, resolve } from './acts.js';
import { desk } from './desk.js';
import { go, route } from './route.js';

// What is shown by `?`, in this order: the keys and the word that says what they do.
export const KEYS = [
    ['j', 'key_down'],
    ['k', 'key_up'],
    ['Enter', 'key_open'],
    ['n', 'key_next'],
    ['c', 'key_claim'],
    ['r', 'key_reply'],
    ['e', 'key_resolve'],
    ['/', 'key_search'],
    ['g d', 'key_desk'],
    ['g b', 'key_board'],
    ['?', 'key_help'],
    ['Esc', 'key_escape'],
];

// The dialogs, which the page opens.
export const dialogs = { search: () => {}, help: () => {} };

// A second key follows the first one within this time.
const SEQUENCE = 1500;
let after = { key: '', at: 0 };

export function listen(isInside) {
    document.addEventListener('keydown', event => {
        if (!isInside() || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
        if (document.querySelector('dialog[open]')) return;
        if (event.key === 'Escape') return escape(event);
        if (isTyping(event.target)) return;
        const key = latin(event);
        const sequence = after.key === 'g' && event.timeStamp - after.at < SEQUENCE ? `g ${key}` : key;
        after = { key, at: event.timeStamp };
        const act = ACTS[sequence];
        if (!act) return;
        event.preventDefault();
        act();
    });
}

const ACTS = {
    j: () => step(1),
    k: () => step(-1),
    n: () => mayAct() && next(),
    c: () => onOpen(id => claim(id)),
    e: () => onOpen(id => resolve(id)),
    r: () => document.getElementById('composer')?.focus(),
    '/': () => dialogs.search(),
    '?': () => dialogs.help(),
    'g b': () => go('board'),
    'g d': () => go('desk'),
};

const mayAct = () => desk.me !== null && desk.me.role !== 'reader';

function onOpen(act) {
    const now = route();
    if (now.place === 'conversation' && mayAct()) act(now.id);
}

// From row to row, through all lists.
function step(by) {
    const rows = [...document.querySelectorAll('.list .row')];
    if (!rows.length) return;
    const from = rows.indexOf(document.activeElement);
    const open = rows.findIndex(row => row.getAttribute('aria-current') === 'page');
    const at = from >= 0 ? from : open;
    const to = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
    rows[to].focus();
    rows[to].scrollIntoView({ block: 'nearest' });
}

// Out of what one is in: a text, the card, a conversation.
function escape(event) {
    if (isTyping(event.target)) {
        event.target.blur();
        document.getElementById('main')?.focus();
    } else if (document.body.classList.contains('shows-card')) {
        document.body.classList.remove('shows-card');
        document.getElementById('main')?.focus();
    } else if (route().place !== 'desk') {
        const was = route().id;
        go('desk');
        // Back to the row one came from.
        requestAnimationFrame(() => document.querySelector(`.row[data-id="${was}"]`)?.focus());
    }
}

const isTyping = element =>
    element instanceof HTMLElement &&
    (element.isContentEditable || /^(TEXTAREA|SELECT)$/.test(element.tagName) ||
        (element.tagName === 'INPUT' && !/^(checkbox|radio|button)$/.test(element.type)));

// The key by its place where the layout writes other letters: `о` on a Ukrainian keyboard is `j`.
function latin({ key, code }) {
    if (/^[\x20-\x7e]$/.test(key) && !(code === 'Slash' && /^[.,]$/.test(key))) return key.toLowerCase();
    if (/^Key[A-Z]$/.test(code)) return code.slice(3).toLowerCase();
    if (code === 'Slash') return key === ',' ? '?' : '/';
    return key;
}
