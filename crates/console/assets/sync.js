// Keeps what the page knows as the server has it: reads it once, then follows every change.
import { read, readIfThere } from './api.js';
import { announce, changed, desk, isMine } from './desk.js';
import { called, line } from './format.js';
import { Live } from './live.js';
import { rename, route } from './route.js';
import { t } from './words.js';

// Entries of a timeline that are read at once, and timelines that are kept in mind.
const PAGE = 30,
    MOST_TIMELINES = 12,
    MOST_CARDS = 200;
// A call that rings for longer has been forgotten by its telephone system.
const RINGS_FOR = 120e3;
const NONE = { items: [] };

let live = null;
// Rises with every change that was heard, so that an answer that was on its way meanwhile does not undo it.
let heard = 0;
const heardOf = new Map();

export async function start() {
    live = new Live({
        state(state) {
            if (desk.link === 'live' && state === 'away') announce(t('link_away'));
            if (desk.link === 'away' && state === 'live') announce(t('link_live'));
            desk.link = state;
            changed();
        },
        fresh: () => {
            readAll();
            readAgain();
        },
        back: readUs,
        event: take,
    });
    await live.run();
}

export function stop() {
    live?.stop();
    live = null;
}

// --- read

// Who we are; throws what is wrong with the token.
export async function readMe() {
    desk.me = await read('/v1/me');
    changed();
}

// What is not in the feed in so many words: how we are seen, and what we may still accept.
async function readUs() {
    try {
        await readMe();
        await readOffers();
    } catch {
        // The line breaks again, and comes back again.
    }
}

async function readAll() {
    const before = heard;
    try {
        await readMe();
        const mine = ['open', 'pending', 'snoozed'].map(status =>
            read(`/v1/conversations?assignee=${encodeURIComponent(desk.me.name)}&status=${status}&limit=200`),
        );
        const [first, ...rest] = await Promise.all([read('/v1/conversations?waiting=true&limit=200'), ...mine]);
        const kept = new Set(opened());
        for (const id of desk.conversations.keys()) {
            if (!kept.has(id) && !((heardOf.get(id) ?? 0) > before)) desk.conversations.delete(id);
        }
        for (const one of [first, ...rest].flatMap(page => page.items)) remember(one, before);
        desk.more = first.next;
        desk.known = true;
        desk.problems.delete('lists');
        await readOffers();
        await readAgents();
    } catch (problem) {
        desk.problems.set('lists', problem.message);
    }
    changed();
}

// What is open on the page is read again too.
function readAgain() {
    for (const [key, timeline] of desk.timelines) {
        if (timeline.shown) loadTimeline(key, { again: true });
        else desk.timelines.delete(key);
    }
    for (const id of desk.cards.keys()) {
        if (route().place === 'desk') desk.cards.delete(id);
        else refreshCard(id);
    }
    for (const id of opened()) loadConversation(id, true);
}

export async function moreWaiting() {
    const before = heard;
    try {
        const page = await read(`/v1/conversations?waiting=true&limit=200&cursor=${encodeURIComponent(desk.more)}`);
        for (const one of page.items) remember(one, before);
        desk.more = page.next;
        desk.problems.delete('lists');
    } catch (problem) {
        desk.problems.set('lists', problem.message);
    }
    changed();
}

async function readOffers() {
    const { items } = await readIfThere('/v1/reservations', NONE);
    desk.offers = new Map(items.filter(isOffer).map(one => [one.id, one]));
    changed();
}

async function readAgents() {
    const { items } = await readIfThere('/v1/agents', NONE);
    desk.agents = new Map(items.map(one => [one.name, one]));
    changed();
}

const isOffer = one => one.state === 'pending' && one.agent === desk.me?.name;
const opened = () => (route().place === 'conversation' ? [route().id] : []);

// One conversation with why it is where it is, for who opens it.
export async function loadConversation(id, again = false) {
    if (!again && desk.conversations.get(id)?.routing !== undefined) return;
    const before = heard;
    try {
        const one = await read(`/v1/conversations/${id}`);
        if (one.id !== id) return moved('conversation', id, one.id);
        remember(one, before);
        desk.problems.delete(`conversation:${id}`);
    } catch (problem) {
        desk.problems.set(`conversation:${id}`, problem.message);
    }
    changed();
}

export async function loadCard(id) {
    if (!desk.cards.has(id)) await refreshCard(id);
}

const refreshes = new Map();
export async function refreshCard(id) {
    try {
        const card = await read(`/v1/clients/${id}/card`);
        if (card.client.id !== id) return moved('client', id, card.client.id);
        desk.cards.set(id, card);
        for (const old of [...desk.cards.keys()].slice(0, -MOST_CARDS)) {
            desk.cards.delete(old);
            desk.candidates.delete(old);
        }
        if (card.candidates > 0) desk.candidates.set(id, (await read(`/v1/clients/${id}/candidates`)).items);
        else desk.candidates.delete(id);
        desk.problems.delete(`card:${id}`);
    } catch (problem) {
        desk.problems.set(`card:${id}`, problem.message);
    }
    changed();
}

// Several changes of a client in a row are one reason to look.
function refreshSoon(id) {
    if (!desk.cards.has(id) || refreshes.has(id)) return;
    refreshes.set(id, setTimeout(() => {
        refreshes.delete(id);
        refreshCard(id);
    }, 400));
}

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
        Object.assign(timeline, { state: 'failed', problem: problem.message });
    }
    changed();
}

// --- heard

// What a change was about may be gone by now; then it is null.
function take(name, data) {
    if (!data?.[name === 'deadline' ? 'conversation' : name]) return;
    heard += 1;
    if (name === 'entry') entry(data);
    else if (name === 'conversation') conversation(data);
    else if (name === 'client') client(data.client);
    else if (name === 'reservation') reservation(data);
    else if (name === 'deadline') deadline(data);
    else if (name === 'agent') agent(data.agent);
    changed();
}

function entry({ entry, client, rings = [] }) {
    for (const [key, timeline] of desk.timelines) {
        const held = timeline.entries.get(entry.id);
        const belongs = key === `client:${entry.client}` || key === `conversation:${entry.conversation}`;
        // It went to another client.
        if (held && !belongs && held.rev < entry.rev) timeline.entries.delete(entry.id);
        if (belongs && (!timeline.channel || timeline.channel === entry.channel)) put(timeline, entry);
    }
    const known = desk.conversations.get(entry.conversation);
    if (known && !(known.last_entry?.occurred_at > entry.occurred_at)) known.last_entry = entry;
    if (entry.client) refreshSoon(entry.client);
    const isNew = entry.rev === 1 && entry.direction === 'inbound' && entry.kind === 'contact';
    if (isNew && known && isMine(known)) announce(t('say_wrote', { who: called(known.client), what: line(entry) }));
    ring(entry, client, rings);
}

function ring(entry, client, rings) {
    const at = desk.rings.findIndex(one => one.entry.id === entry.id);
    if (entry.channel !== 'phone' || entry.kind !== 'contact') return;
    if (entry.content?.state !== 'ringing') {
        // Answered or ended; what was answered stays until it is put away.
        if (at >= 0 && entry.content?.state === 'ended') desk.rings.splice(at, 1);
        else if (at >= 0) desk.rings[at].entry = entry;
        return;
    }
    if (at >= 0 || !rings.includes(desk.me?.name) || Date.now() - Date.parse(entry.recorded_at) > RINGS_FOR) return;
    desk.rings.unshift({ entry, client });
    desk.rings.length = Math.min(desk.rings.length, 3);
    announce(t('say_rings', { who: called(client?.client ?? client ?? { name: entry.content?.from?.value }) }), 'assertive');
}

function conversation({ conversation, client }) {
    if (conversation.continued_in) {
        desk.conversations.delete(conversation.id);
        moved('conversation', conversation.id, conversation.continued_in);
        return;
    }
    const before = desk.conversations.get(conversation.id);
    heardOf.set(conversation.id, heard);
    if (heardOf.size > 5000) heardOf.delete(heardOf.keys().next().value);
    remember(conversation);
    if (conversation.client) refreshSoon(conversation.client.id);
    const waits = one => one?.status === 'open' && one.assignee === null;
    if (waits(conversation) && !waits(before) && (!desk.queue || desk.queue === conversation.queue)) {
        announce(t('say_waits', { who: called(conversation.client, conversation.last_entry), how: t(`channel_${conversation.channel}`) }));
    }
    if (client) client_(client);
}

// Of a conversation that nobody here needs any more nothing is kept.
function remember(one, before) {
    if (before !== undefined && (heardOf.get(one.id) ?? 0) > before) {
        // What was heard meanwhile is newer; only what the list does not tell is taken.
        const known = desk.conversations.get(one.id);
        if (known && one.routing !== undefined) known.routing = one.routing;
        return;
    }
    const known = desk.conversations.get(one.id);
    const needed = (one.status === 'open' && one.assignee === null) || (isMine(one) && one.status !== 'resolved');
    if (needed || opened().includes(one.id)) {
        desk.conversations.set(one.id, known?.routing !== undefined ? { routing: known.routing, ...one } : one);
    } else desk.conversations.delete(one.id);
}
export const learn = one => remember(one);

function client(one) {
    if (one.merged_into) return moved('client', one.id, one.merged_into);
    client_(one);
    refreshSoon(one.id);
}

function client_(one) {
    const card = desk.cards.get(one.id);
    if (card) card.client = { ...card.client, ...one };
    for (const known of desk.conversations.values()) {
        if (known.client?.id === one.id) known.client = { ...known.client, name: one.name, segment: one.segment };
    }
}

function reservation({ reservation }) {
    if (!isOffer(reservation)) {
        desk.offers.delete(reservation.id);
        return;
    }
    const isNew = !desk.offers.has(reservation.id);
    desk.offers.set(reservation.id, reservation);
    if (isNew) announce(t('say_offer', { who: called(reservation.conversation?.client, reservation.conversation?.last_entry) }), 'assertive');
}

function deadline({ conversation, notice }) {
    heardOf.set(conversation.id, heard);
    remember(conversation);
    if (isMine(conversation) || notice === 'breached') {
        announce(t(`say_${notice}`, { who: called(conversation.client, conversation.last_entry) }));
    }
}

function agent(one) {
    desk.agents.set(one.name, one);
    if (one.name === desk.me?.name) desk.me = { ...desk.me, ...one };
}

// It goes on under another id: whoever looks at it, looks there.
function moved(place, from, to) {
    desk.timelines.delete(`${place}:${from}`);
    desk.cards.delete(from);
    desk.conversations.delete(from);
    const now = route();
    if (now.place === place && now.id === from) rename(place, to);
    if (place === 'client') {
        for (const one of desk.conversations.values()) if (one.client?.id === from) loadConversation(one.id, true);
        if (desk.timelines.has(`client:${to}`)) loadTimeline(`client:${to}`, { again: true });
        refreshSoon(to);
    }
    changed();
}

function put(timeline, entry) {
    const held = timeline.entries.get(entry.id);
    if (!held || held.rev <= entry.rev) timeline.entries.set(entry.id, entry);
}
