// What happens around us, said to who cannot see it. A screen reader reads everything it is given to its end, so
// what comes in a burst is gathered and becomes one sentence of each kind: "12 new wait".
import { announce } from './desk.js';
import { t } from './words.js';

// What comes within this time of the first is said with it; and so long is nothing more said of it.
const GATHER = 1000,
    PAUSE = 5000;

// By kind, what there is to say of whom: kind → id → sentence.
const news = new Map();
let last = -Infinity;
let timer = null;

// `kind` is `waits`, `wrote`, `warned` or `breached`; `id` is what it is about.
export function tell(kind, id, sentence) {
    if (!news.has(kind)) news.set(kind, new Map());
    news.get(kind).set(id, sentence);
    if (timer !== null) return;
    const at = performance.now();
    timer = setTimeout(speak, Math.max(GATHER, last + PAUSE - at));
}

// It is not so any more, before it was said.
export function untell(kind, id) {
    news.get(kind)?.delete(id);
}

// Nothing of it concerns whoever comes next.
export function hush() {
    clearTimeout(timer);
    timer = null;
    news.clear();
}

function speak() {
    timer = null;
    const sentences = [];
    for (const [kind, told] of news) {
        if (told.size === 1) sentences.push(...told.values());
        else if (told.size > 1) sentences.push(t(`say_many_${kind}`, { n: told.size }));
    }
    news.clear();
    if (!sentences.length) return;
    last = performance.now();
    announce(sentences.join('. '));
}
