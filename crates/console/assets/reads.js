// What is asked of the server: who we are, the lists, one conversation, one client, a history.
import { read, readIfThere } from './api.js';
import { changed, desk, SHOWN, waits } from './desk.js';
import { isNewer, learn, now, opened, put } from './known.js';
import { rename, route } from './route.js';

// Entries of a timeline and conversations of the waiting list that are read at once; timelines and cards that are
// kept in mind.
const PAGE = 30,
    WAITING = 100,
    MOST_TIMELINES = 12,
    MOST_CARDS = 200;
const NONE = { items: [] };
const GONE = { contact: { rev: Infinity, content: { state: 'ended' } } };

// Who we are; throws what is wrong with the token.
export async function readMe() {
    desk.me = await read('/v1/me');
    changed();
}

// What is not in the feed in so many words: how we are seen, and what we may still accept.
export async function readUs() {
    try {
        await readMe();
        await readOffers();
        await readRings();
    } catch {
        // The line breaks again, and comes back again.
    }
}

// The lists, from nothing. Gives whether it succeeded.
export async function readAll() {
    const [before, page] = [now(), turn()];
    try {
        await readMe();
        const ours = ['open', 'pending', 'snoozed'].map(status =>
            read(`/v1/conversations?assignee=${encodeURIComponent(desk.me.name)}&status=${status}&limit=200`),
        );
        const [first, ...rest] = await Promise.all([read(waitingPath()), ...ours]);
        forget(before, one => !page.isOurs() && waits(one));
        page.reached(first, before);
        for (const one of rest.flatMap(page => page.items)) learn(one, before);
        desk.known = true;
        desk.problems.delete('lists');
        await readOffers();
        await readRings();
        await readAgents();
        return true;
    } catch (problem) {
        desk.problems.set('lists', problem);
        return false;
    } finally {
        page.end();
        changed();
    }
}

// What is open on the page is read again too; of the rest nothing is kept.
export function readOpen() {
    for (const [key, timeline] of desk.timelines) {
        if (timeline.shown) loadTimeline(key, { again: true });
        else desk.timelines.delete(key);
    }
    const { place, id } = route();
    const shown = place === 'client' ? id : desk.conversations.get(opened()[0])?.client?.id;
    for (const id of desk.cards.keys()) {
        ageMerges(id);
        if (id === shown) refreshCard(id);
        else desk.cards.delete(id);
    }
    for (const id of opened()) loadConversation(id, true);
}

// --- the waiting list

const waitingPath = cursor => {
    const query = new URLSearchParams({ waiting: true, limit: WAITING });
    if (desk.queue) query.set('queue', desk.queue);
    if (cursor) query.set('cursor', cursor);
    return `/v1/conversations?${query}`;
};

// Of everything that was not heard of since `before`, only what is open and what `stays` is kept.
function forget(before, stays) {
    const open = new Set(opened());
    for (const [id, one] of desk.conversations) {
        if (!open.has(id) && !isNewer(id, before) && !stays(one)) desk.conversations.delete(id);
    }
}

// One reading of the list at a time counts, the one that was begun last. While it is on its way everything that is
// heard is kept, since nobody knows how far the list will be known.
let turns = 0;
function turn() {
    const ours = (turns += 1);
    const edge = desk.edge;
    let done = false;
    desk.edge = null;
    desk.busy.add('waiting');
    const page = {
        isOurs: () => ours === turns,
        // To its end, or to the last of this page.
        reached({ items, next }, before) {
            if (!page.isOurs()) return;
            done = true;
            desk.more = next;
            desk.edge = next ? items.at(-1) : null;
            for (const one of items) learn(one, before);
        },
        end() {
            if (!page.isOurs()) return;
            desk.busy.delete('waiting');
            if (!done) desk.edge = edge;
        },
    };
    return page;
}

// Only this queue from now on; '' is all.
export function chooseQueue(queue) {
    desk.queue = queue;
    desk.shown = SHOWN;
    return readWaiting(null);
}

export const moreWaiting = () => readWaiting(desk.more);

async function readWaiting(cursor) {
    const [before, page] = [now(), turn()];
    changed();
    try {
        const found = await read(waitingPath(cursor));
        if (!page.isOurs()) return;
        if (cursor === null) forget(before, one => !waits(one));
        page.reached(found, before);
        desk.problems.delete('lists');
    } catch (problem) {
        if (page.isOurs()) desk.problems.set('lists', problem);
    } finally {
        page.end();
        changed();
    }
}

// Of what was heard meanwhile the list knows nothing: that it is offered, or that it is over.
async function readOffers() {
    const before = now();
    const { items } = await readIfThere('/v1/reservations', NONE);
    const offers = items.filter(isOffer).filter(({ id }) => !isNewer(id, before));
    const heard = [...desk.offers.values()].filter(({ id }) => isNewer(id, before));
    desk.offers = new Map([...offers, ...heard].map(one => [one.id, one]));
    changed();
}

// A call may have ended while nobody told us.
async function readRings() {
    for (const { entry } of [...desk.rings]) {
        const { contact } = await readIfThere(`/v1/contacts/${entry.contact}`, GONE);
        const { rev, content } = contact;
        const ring = desk.rings.find(one => one.entry.id === entry.id);
        if (ring && ring.entry.rev < rev) ring.entry = { ...ring.entry, rev, content };
    }
    desk.rings = desk.rings.filter(({ entry }) => entry.content?.state !== 'ended');
    changed();
}

async function readAgents() {
    const { items } = await readIfThere('/v1/agents', NONE);
    desk.agents = new Map(items.map(one => [one.name, one]));
    changed();
}

export const isOffer = one => one.state === 'pending' && one.agent === desk.me?.name;

// --- a conversation, a client

// One conversation with why it is where it is, for who opens it.
export async function loadConversation(id, again = false) {
    if (!again && desk.conversations.get(id)?.routing !== undefined) return;
    const before = now();
    try {
        const one = await read(`/v1/conversations/${id}`);
        if (one.id !== id) return moved('conversation', id, one.id);
        learn(one, before);
        desk.problems.delete(`conversation:${id}`);
    } catch (problem) {
        desk.problems.set(`conversation:${id}`, problem);
    }
    changed();
}

export async function loadCard(id) {
    if (!desk.cards.has(id)) await refreshCard(id);
}

export async function refreshCard(id) {
    try {
        const card = await read(`/v1/clients/${id}/card`);
        if (card.client.id !== id) return moved('client', id, card.client.id);
        desk.cards.set(id, card);
        for (const old of [...desk.cards.keys()].slice(0, -MOST_CARDS)) {
            for (const of of [desk.cards, desk.candidates, desk.merges]) of.delete(old);
        }
        if (card.candidates > 0) desk.candidates.set(id, (await read(`/v1/clients/${id}/candidates`)).items);
        else desk.candidates.delete(id);
        if (desk.merges.get(id)?.isOld !== false) await readMerges(id);
        desk.problems.delete(`card:${id}`);
    } catch (problem) {
        desk.problems.set(`card:${id}`, problem);
    }
    changed();
}

async function readMerges(id) {
    const list = { items: desk.merges.get(id)?.items ?? [], isOld: false };
    desk.merges.set(id, list);
    try {
        list.items = (await read(`/v1/clients/${id}/merges`)).items;
    } catch (problem) {
        list.isOld = true;
        throw problem;
    }
}

// Who they are made of may have changed: it is read anew with their card.
export function ageMerges(id) {
    const held = desk.merges.get(id);
    if (held) desk.merges.set(id, { ...held, isOld: true });
}

// Several changes of a client in a row are one reason to look.
const refreshes = new Map();
export function refreshSoon(id) {
    if (!desk.cards.has(id) || refreshes.has(id)) return;
    refreshes.set(id, setTimeout(() => {
        refreshes.delete(id);
        refreshCard(id);
    }, 400));
}

// It goes on under another id: whoever looks at it, looks there.
export function moved(place, from, to) {
    desk.timelines.delete(`${place}:${from}`);
    desk.cards.delete(from);
    desk.conversations.delete(from);
    const at = route();
    if (at.place === place && at.id === from) rename(place, to);
    if (place === 'client') {
        for (const one of desk.conversations.values()) if (one.client?.id === from) loadConversation(one.id, true);
        if (desk.timelines.has(`client:${to}`)) loadTimeline(`client:${to}`, { again: true });
        ageMerges(to);
        refreshSoon(to);
    }
    changed();
}

// --- a history

export const timelineKey = (conversation, client) => (client ? `client:${client}` : `conversation:${conversation}`);

// A timeline from its newest end, or one page further back.
export async function loadTimeline(key, { again = false, earlier = false, channel } = {}) {
    let timeline = desk.timelines.get(key);
    if (timeline && !again && !earlier && channel === undefined) {
        timeline.shown = true;
        return;
    }
    if (timeline?.state === 'reading' && earlier) return;
    if (!timeline) {
        timeline = { entries: new Map(), next: null, channel: '', state: 'reading', shown: true, problem: null };
        desk.timelines.set(key, timeline);
        for (const old of [...desk.timelines.keys()].slice(0, -MOST_TIMELINES)) desk.timelines.delete(old);
    }
    if (channel !== undefined) Object.assign(timeline, { channel, entries: new Map(), next: null });
    Object.assign(timeline, { state: 'reading', problem: null });
    changed();
    const asked = timeline.channel;
    const [kind, id] = key.split(':');
    const query = new URLSearchParams({ limit: PAGE });
    if (asked) query.set('channel', asked);
    if (earlier && timeline.next) query.set('cursor', timeline.next);
    try {
        const page = await read(`/v1/${kind}s/${id}/timeline?${query}`);
        if (timeline.channel !== asked) return;
        if (again) {
            // Between what was known and what is newest may lie more than a page: the past is paged in anew.
            const oldest = page.items.at(-1)?.occurred_at ?? '';
            for (const [id, held] of timeline.entries) if (held.occurred_at < oldest) timeline.entries.delete(id);
        }
        for (const entry of page.items) put(timeline, entry);
        timeline.next = page.next;
        timeline.state = 'read';
    } catch (problem) {
        Object.assign(timeline, { state: 'failed', problem });
    }
    changed();
}
