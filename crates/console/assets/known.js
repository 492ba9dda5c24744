// What is kept of what we were told, and what is not: of conversations those that are ours, the one that is open,
// and of those that wait as many as were read, from the front of the list on.
import { desk, isMine, isWithinReach, waits } from './desk.js';
import { route } from './route.js';

// Of how many conversations it is remembered when they were heard of last.
const MOST_HEARD = 5000;

// Rises with every change that was heard, so that an answer that was on its way meanwhile does not undo it.
let heard = 0;
const heardOf = new Map();

export const now = () => heard;
export const hear = () => (heard += 1);
export const isNewer = (id, before) => (heardOf.get(id) ?? 0) > before;

export function hearOf(id) {
    heardOf.delete(id);
    heardOf.set(id, heard);
    if (heardOf.size > MOST_HEARD) heardOf.delete(heardOf.keys().next().value);
}

export const opened = () => (route().place === 'conversation' ? [route().id] : []);

// Takes a conversation as it stands; `before` is when it was asked for, if it was.
export function learn(one, before) {
    const known = desk.conversations.get(one.id);
    if (before !== undefined && isNewer(one.id, before)) {
        // What was heard meanwhile is newer; only what the list does not tell is taken.
        if (known && one.routing !== undefined) desk.conversations.set(one.id, { ...known, routing: one.routing });
        return;
    }
    desk.queues.add(one.queue);
    const needed = (waits(one) && isWithinReach(one)) || (isMine(one) && one.status !== 'resolved');
    if (needed || opened().includes(one.id)) {
        desk.conversations.set(one.id, known?.routing !== undefined ? { routing: known.routing, ...one } : one);
    } else desk.conversations.delete(one.id);
}

export function put(timeline, entry) {
    const held = timeline.entries.get(entry.id);
    if (!held || held.rev <= entry.rev) timeline.entries.set(entry.id, entry);
}
